"""Regression: one output is trained on the squared error, and learns."""

import dataclasses

import numpy as np
import pytest
import torch

from stilt.training import train
from stilt.training.forward import forward, predict
from stilt.training.metrics import score
from stilt.training.runtime import Runtime, make_accelerator
from tests.support.tiny_training import ALONE, encoded, fresh, point, task


def numbers(**more):
    return task(kind="regression", metric="pearson", labels=[], **more)


def of_lengths(rows):
    """Sequences whose label is a tenth of their length: what any encoder can learn."""
    data = encoded(rows)
    return dataclasses.replace(data, labels=(data.lengths / 10).astype(np.float32))


def test_the_loss_is_the_mean_squared_error_of_one_output(models):
    data, whole = of_lengths(8), np.arange(8)
    model = fresh(models, numbers(), dropout=False)
    assert model.config.num_labels == 1
    logits, _ = forward(model, data, whole, make_accelerator("cpu"))
    expected = ((logits[:, 0] - torch.from_numpy(data.labels)) ** 2).mean()
    runtime = Runtime(make_accelerator("cpu"))
    _, _, curves = train.fit(
        fresh(models, numbers(), dropout=False), data, numbers(epochs=1),
        point(batch_size=8, learning_rate=1e-9), runtime,
    )  # fmt: skip
    assert curves.loss == [pytest.approx(expected.item(), rel=1e-5)]


def test_the_gradient_is_the_same_in_small_passes(models):
    grads = []
    for chunk in (None, 3):
        model = fresh(models, numbers(), dropout=False)
        train.fit(
            model, of_lengths(8), numbers(epochs=1), point(batch_size=8, warmup_ratio=0.0),
            Runtime(make_accelerator("cpu"), chunk=chunk),
        )  # fmt: skip
        grads.append(torch.cat([p.detach().ravel() for p in model.parameters()]))
    torch.testing.assert_close(grads[0], grads[1], atol=2e-5, rtol=1e-3)


def test_it_learns_with_a_small_rate_and_its_score_tells(models):
    rated, data = numbers(epochs=12), of_lengths(96)
    model, _, curves = train.fit(
        fresh(models, rated), data, rated, point(learning_rate=2e-3, warmup_ratio=0.0),
        Runtime(make_accelerator("cpu")),
    )  # fmt: skip
    found = score(rated, predict(model, data, ALONE), data.labels)
    assert found.score == found.pearson > 0.8
    assert found.spearman > 0.8
    assert found.loss < 0.5 * data.labels.var()
    assert found.accuracy is found.mcc is None
    assert np.mean(curves.loss[-10:]) < 0.5 * curves.loss[0]
