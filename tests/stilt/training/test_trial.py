"""Each architecture is tried on each layout of texts, whatever the data, before it is trained."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from stilt.data.encode import encode
from stilt.data.splits import Splits
from stilt.errors import ModelError
from stilt.task import load_task
from stilt.training.trial import Layout, require_padding_invariance, sample
from tests.support.plain_task import plain_task
from tests.support.sentences import WORDS

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
SMALL = {
    "vocab_size": 80,
    "max_position_embeddings": 130,
    "initializer_range": 0.3,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
}
SIZES = SMALL | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
NARROW = SIZES | {"embedding_size": 16}
CONFIGS = {
    "albert": NARROW,
    "bart": SMALL | {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    "bert": SIZES,
    "camembert": SIZES,
    "convbert": NARROW,
    "deberta": SIZES,
    "deberta-v2": SIZES,
    "distilbert": SMALL | {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": NARROW,
    "fnet": SIZES,
    "gpt2": SMALL | {"pad_token_id": None, "n_embd": 16, "n_layer": 1, "n_head": 2},
    "longformer": SIZES | {"attention_window": 8},
    "modernbert": SIZES,
    "mpnet": SIZES,
    "roberta": SIZES,
    "squeezebert": NARROW | {"q_groups": 1, "k_groups": 1, "v_groups": 1},
    "t5": SMALL | {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_layers": 1, "num_heads": 2},
    "xlm-roberta": SIZES,
    "xlnet": {"vocab_size": 80, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32},
}
PAIR = plain_task(text_b="{b}")
CHOICE = plain_task(
    kind="multiple-choice", choices=["{b}", "{c}"], labels=["0", "1"], max_length=40
)
TAKEN = {
    **dict.fromkeys(("albert", "bert", "camembert", "deberta-v2", "distilbert"), "both"),
    **dict.fromkeys(("electra", "longformer", "modernbert", "mpnet", "roberta"), "both"),
    **dict.fromkeys(("squeezebert", "xlm-roberta"), "both"),
    # their classification heads mask padding; transformers has no other heads for them
    "bart": "classification",
    "deberta": "classification",
}


@pytest.fixture(scope="module")
def tokenizer():
    """A word a token, laid out as RoBERTa's."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *sorted(set(WORDS))])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        **dict(zip(("cls_token", "pad_token", "sep_token", "unk_token"), SPECIAL, strict=True)),
    )


def made(name, task, **changes):
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **CONFIGS[name] | changes)
    kinds = {"classification": AutoModelForSequenceClassification}
    return kinds.get(task.kind, AutoModelForMultipleChoice).from_config(config)


def tried(name, task, tokenizer, **changes):
    model = made(name, task, **changes)
    require_padding_invariance(model, Layout.of(task), tokenizer, name)


@pytest.mark.parametrize("task", [PAIR, CHOICE], ids=lambda task: task.kind)
@pytest.mark.parametrize("name", CONFIGS)
def test_an_architecture_is_taken_or_refused_at_once(name, task, tokenizer):
    if TAKEN.get(name) in ("both", task.kind):
        tried(name, task, tokenizer)
    elif task.kind == "multiple-choice" and name in ("bart", "deberta", "gpt2", "t5"):
        with pytest.raises(ValueError, match="Unrecognized configuration"):
            made(name, task)
    else:
        with pytest.raises(ModelError, match=f"model {name} .*(behind it|cannot be given)"):
            tried(name, task, tokenizer)


def test_a_mean_over_the_mask_is_given_the_mask(tokenizer):
    for task in (PAIR, CHOICE):
        tried("modernbert", task, tokenizer, classifier_pooling="mean")


def test_what_an_architecture_asks_of_single_texts_is_found_out_by_their_layout(tokenizer):
    single = CHOICE.model_copy(update={"text_a": None})
    with pytest.raises(ModelError, match="exactly three separator tokens"):
        tried("longformer", single, tokenizer)
    tried("roberta", single, tokenizer)


def test_a_decoder_with_a_padding_token_scores_by_the_last_token_that_is_none(tokenizer):
    tried("gpt2", PAIR, tokenizer, pad_token_id=1)


def test_logits_that_are_not_finite_are_refused(tokenizer):
    model = made("roberta", PAIR)
    with torch.no_grad():
        model.roberta.embeddings.word_embeddings.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="its logits are not finite"):
        require_padding_invariance(model, Layout.of(PAIR), tokenizer, "broken")


def test_an_embedding_that_is_too_small_is_refused_with_the_reason(tokenizer):
    with pytest.raises(ModelError, match=r"padded sequences \(IndexError: index out"):
        tried("roberta", PAIR, tokenizer, vocab_size=6)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("rte", Layout(1, 0, 0, 64)),
        ("wic", Layout(1, 1, 0, 64)),
        ("socialiqa", Layout(3, 1, 0, 64)),
        ("cola", Layout(1, 0, None, 50)),
    ],
)
def test_a_layout_has_the_segments_and_separators_of_its_task(name, layout):
    assert Layout.of(load_task(name)) == layout


@pytest.mark.parametrize("task", [PAIR, CHOICE, PAIR.model_copy(update={"max_length": 8})])
def test_the_made_up_texts_have_several_lengths(task, tokenizer):
    layout = Layout.of(task)
    data = encode(layout.examples(sorted(set(WORDS))), tokenizer, layout.longest)
    assert len(data) == 3
    assert data.options == layout.options
    assert len(set(data.lengths.tolist())) > 1
    assert data.lengths.max() == layout.longest


def test_a_sample_is_of_the_first_texts_and_their_tokens(tokenizer):
    examples = Layout.of(CHOICE).examples(sorted(set(WORDS)))
    data = encode(examples, tokenizer, 40)
    splits = Splits(examples, examples, "here")
    pairs, ids = sample(splits.train, data)
    assert pairs == [pair for example in examples for pair in example.pairs]
    assert [one.tolist() for one in ids] == [
        data.ids[start:end].tolist()
        for start, end in zip(data.offsets[:-1], data.offsets[1:], strict=True)
    ]
