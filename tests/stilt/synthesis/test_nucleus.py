"""Nucleus sampling against that of transformers, and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    TopPLogitsWarper,
)

from stilt.synthesis import generate
from stilt.synthesis.nucleus import draw, in_nucleus


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.99, 1.0])
def test_the_nucleus_is_the_one_that_transformers_keeps(top_p):
    scores = torch.randn(6, 200, generator=torch.Generator().manual_seed(3)) * 3
    everything = torch.arange(200)
    kept = torch.stack(
        [in_nucleus(row.softmax(-1).expand(200, 200), everything, top_p) for row in scores]
    )
    theirs = TopPLogitsWarper(top_p=top_p)(torch.zeros(6, 1), scores.clone()).isfinite()
    assert torch.equal(kept, theirs)


def test_a_nucleus_worked_by_hand():
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).expand(4, 4)
    tokens = torch.arange(4)
    assert in_nucleus(probabilities, tokens, 0.9).tolist() == [True, True, True, False]
    assert in_nucleus(probabilities, tokens, 0.7).tolist() == [True, True, False, False]
    assert in_nucleus(probabilities, tokens, 0.4).tolist() == [True, False, False, False]


@pytest.mark.parametrize("top_p", [0.6, 0.9, 1.0])
def test_draws_have_the_distribution_that_transformers_samples_from(top_p):
    scores = torch.randn(1, 30, generator=torch.Generator().manual_seed(8)) * 2
    warped = TopPLogitsWarper(top_p=top_p)(torch.zeros(1, 1), scores.clone())
    expected = warped.softmax(-1)[0].double()
    draws = 40_000
    drawn = draw(scores.softmax(-1).expand(draws, 30), top_p, [np.random.default_rng(4)] * draws)
    counts = torch.bincount(drawn, minlength=30).double()
    assert counts[expected == 0].sum() == 0
    inside = expected > 0
    wanted = draws * expected[inside]
    chi_square = float(((counts[inside] - wanted) ** 2 / wanted).sum())
    degrees = int(inside.sum()) - 1
    # mean and standard deviation of chi-square: degrees, sqrt(2 degrees)
    assert abs(chi_square - degrees) < 4 * (2 * degrees) ** 0.5


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(0, 20),
    top_p=st.floats(1e-6, 1.0),
    size=st.integers(1, 40),
)
def test_every_draw_is_in_the_nucleus(seed, scale, top_p, size):
    scores = torch.randn(5, size, generator=torch.Generator().manual_seed(seed)) * scale
    probabilities = scores.softmax(-1)
    drawn = draw(probabilities, top_p, generate.streams(seed, count=5))
    assert bool(in_nucleus(probabilities, drawn, top_p).all())
    assert bool((probabilities.gather(1, drawn[:, None]) > 0).all())
