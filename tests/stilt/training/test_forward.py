"""Passes without padded work give the logits and the gradients of padded ones."""

import math

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch.nn import functional

from stilt.training.forward import PASS_OVERHEAD, forward, pad, predict
from stilt.training.runtime import make_accelerator
from tests.support.tiny_training import ALONE, encoded, fresh, task


@pytest.mark.parametrize("options", [1, 3])
def test_grouping_by_length_gives_the_padded_batchs_logits_and_gradients(
    models, monkeypatch, options
):
    data, what = encoded(options=options), task(options)
    rows = np.arange(12)
    labels = torch.from_numpy(data.labels[rows])
    found = []
    for overhead in (0.0, 40.0, math.inf):
        monkeypatch.setitem(PASS_OVERHEAD, "cpu", overhead)
        model = fresh(models, what, dropout=False).train()
        logits, computed = forward(model, data, rows, ALONE.accelerator)
        functional.cross_entropy(logits, labels).backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((logits.detach(), grads, computed))
    padded = found[-1]
    assert found[0][2] < padded[2], "grouping computes fewer positions"
    for logits, grads, _ in found[:-1]:
        assert torch.allclose(logits, padded[0], atol=1e-6)
        assert grads.keys() == padded[1].keys()
        for name, gradient in grads.items():
            assert torch.allclose(gradient, padded[1][name], atol=1e-6), name


def test_a_plain_padded_batch_through_the_library_gives_the_same_logits(models):
    data, what = encoded(6, options=3), task(3)
    model = fresh(models, what).eval()
    batch = pad(data, np.arange(18), 1, ALONE.accelerator.device)
    plain = model(**{key: value.view(6, 3, -1) for key, value in batch.items()}).logits
    assert torch.allclose(
        forward(model, data, np.arange(6), ALONE.accelerator)[0], plain, atol=1e-6
    )


def test_predictions_do_not_depend_on_the_company_an_example_keeps(models):
    data, what = encoded(17, options=3), task(3)
    model = fresh(models, what)
    together = predict(model, data, ALONE)
    alone = np.concatenate(
        [
            forward(model.eval(), data, np.array([i]), ALONE.accelerator)[0].detach()
            for i in range(17)
        ]
    )
    assert together.shape == (17, 3)
    assert np.allclose(together, alone, atol=1e-6)


def test_the_fast_recipe_computes_nearly_the_same_in_half_the_bits(models, fast):
    data, what = encoded(12), task()
    model = fresh(models, what, dropout=False)
    labels = torch.from_numpy(data.labels)

    def step(accelerator):
        model.zero_grad()
        logits, _ = forward(model, data, np.arange(12), accelerator)
        functional.cross_entropy(logits, labels).backward()
        return logits.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    logits, gradient = step(fast)
    assert logits.dtype == gradient.dtype == torch.float32
    AcceleratorState._reset_state()
    plain_logits, plain_gradient = step(make_accelerator("cpu"))
    assert not torch.equal(logits, plain_logits)
    assert torch.allclose(logits, plain_logits, atol=0.02)
    assert functional.cosine_similarity(gradient, plain_gradient, dim=0) > 0.99
