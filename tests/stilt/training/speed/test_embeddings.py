"""Gradients of word embeddings by rows are those of the whole table, to the last bit."""

import contextlib

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from stilt.training import train
from stilt.training.runtime import Runtime
from stilt.training.speed.embeddings import RowGradients, row_gradients
from tests.support.tiny_training import encoded, fresh, point, task


def plainly(model):
    """In place of ``row_gradients``: torch fills a whole gradient for each pass."""
    return contextlib.nullcontext()


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "micro_batch", "chunk"), [(1, None, None), (3, None, 2), (1, 2, None), (2, 4, 3)]
)
def test_training_ends_with_the_same_weights(
    models, runtime, monkeypatch, options, micro_batch, chunk
):
    """Of batches in one pass or several, in small steps, and in parts that fit memory."""
    data, what = encoded(options=options), task(options, micro_batch=micro_batch)
    ended, norms = [], []
    for way in (row_gradients, plainly):
        monkeypatch.setattr(train, "row_gradients", way)
        asked = Runtime(runtime.accelerator, chunk)
        model, _, curves = train.fit(fresh(models, what), data, what, point(), asked)
        ended.append(weights(model))
        norms.append(curves.norm)
    assert norms[0] == norms[1]
    assert all(torch.equal(ended[0][name], ended[1][name]) for name in ended[1])
    start = fresh(models, what).get_input_embeddings().weight
    assert not torch.equal(model.get_input_embeddings().weight, start)


def test_any_reads_of_a_table_give_its_gradient():
    """Passes of any lengths, one after the other: padding, rows read twice, rows never read."""
    draw = np.random.default_rng(3)
    table, plain = (torch.nn.Embedding(50, 8, padding_idx=1) for _ in range(2))
    plain.load_state_dict(table.state_dict())
    kept = RowGradients(table)
    table.forward = kept.read
    for update in range(12):
        for _ in range(1 + update % 3):
            ids = [
                torch.from_numpy(draw.integers(0, high, (draw.integers(1, 5), draw.integers(1, 9))))
                for high in draw.integers(1, 51, 1 + update % 4)
            ]
            for one in (table, plain):
                torch.manual_seed(update)
                sum((one(i) * torch.randn(8)).square().sum() for i in ids).backward()
            kept.add()
            assert torch.equal(table.weight.grad, plain.weight.grad)
        # as clipping does, and the next update
        for one in (table, plain):
            one.weight.grad.mul_(0.5)
            one.weight.grad = None


SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 1,
    "embedding_size": 16,
}
ARCHITECTURES = (
    *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie"),
    *("mobilebert", "modernbert", "mpnet", "roberta", "squeezebert", "xlm-roberta"),
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_the_gradients_that_torch_gives(name):
    torch.manual_seed(5)
    own = {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2} if name == "distilbert" else {}
    made = AutoConfig.for_model(name, **SMALL | own)
    model = AutoModelForSequenceClassification.from_config(made).train()
    passes = [torch.randint(0, 60, shape) for shape in ((2, 5), (3, 9))]
    found = []
    for way in (plainly, row_gradients):
        with way(model) as kept:
            torch.manual_seed(7)
            sum(model(input_ids=ids).logits.square().sum() for ids in passes).backward()
            if kept is not None:
                kept.add()
        found.append(
            {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
        )
        model.zero_grad(set_to_none=True)
    assert kept is not None and found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_rows_of_padding_alone_have_no_gradient():
    table = torch.nn.Embedding(9, 4, padding_idx=2)
    kept = RowGradients(table)
    kept.read(torch.tensor([[2, 2]])).sum().backward()
    kept.add()
    assert not table.weight.grad.any()
    kept.add()
    assert kept.read_rows == []


def test_the_model_is_itself_again_afterwards(models):
    model = fresh(models, task())
    table = model.get_input_embeddings()
    with pytest.raises(RuntimeError), row_gradients(model) as kept:
        assert kept is not None and table.forward == kept.read
        with torch.inference_mode():
            assert torch.equal(table(torch.tensor([3])), table.weight[3:4])
        raise RuntimeError
    assert "forward" not in vars(table)


@pytest.mark.parametrize("change", ["shared", "scaled", "bounded", "another", "unnamed"])
def test_a_table_that_is_no_plain_one_is_left_to_torch(models, change):
    model = fresh(models, task())
    table = model.get_input_embeddings()
    if change == "shared":
        model.decoder = torch.nn.Linear(4, 4, bias=False)
        model.decoder.weight = table.weight
    elif change == "scaled":
        table.scale_grad_by_freq = True
    elif change == "bounded":
        table.max_norm = 1.0
    elif change == "unnamed":
        model.get_input_embeddings = lambda: model.decoder
    else:
        table.__class__ = type("Scaled", (torch.nn.Embedding,), {})
    with row_gradients(model) as kept:
        assert kept is None and "forward" not in vars(table)
