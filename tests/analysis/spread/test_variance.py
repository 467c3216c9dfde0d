"""Variance components of small frames whose numbers can be worked out by hand."""

import random

import pytest

from analysis.spread.variance import VARIANCE, variance_components
from analysis.stats.examples import answers_of
from analysis.stats.summary import summarize_cells
from tests.support.run_frame import frame, runs


def one(*cells):
    found = variance_components(frame(*cells))
    assert dict(found.schema) == VARIANCE
    return found.row(0, named=True)


def test_seeds_and_hyperparameters_are_told_apart_by_moments():
    # within configurations squares of 0.1 twice each: 0.04 over 2; means 0.4 and 0.8 vary by 0.08,
    # of which half a seed's variance is the seeds'
    row = one(*runs("none", [0.3, 0.5, 0.7, 0.9]))
    assert row["seed"] == pytest.approx(0.02**0.5)
    assert row["hyperparameters"] == pytest.approx((0.08 - 0.02 / 2) ** 0.5)
    assert (row["runs"], row["configurations"], row["source_seeds"]) == (4, 2, 1)
    assert row["source_seed"] is row["examples"] is None


def test_hyperparameters_that_vary_less_than_seeds_explain_count_as_nothing():
    assert one(*runs("none", [0.3, 0.7, 0.7, 0.3]))["hyperparameters"] == 0


def test_with_one_seed_everything_is_the_hyperparameters_and_the_seed_is_unknown():
    row = one(*runs("none", [0.4, 0.8], seeds=(12,)))
    assert row["seed"] is None
    assert row["hyperparameters"] == pytest.approx(0.08**0.5)


def test_seeds_of_a_source_are_taken_together():
    cells = [
        cell
        for seed, level in ((1, 0.5), (2, 0.7))
        for cell in runs(f"a#{seed}", [level, level + 0.1], seeds=(12,), source_seed=seed)
    ]
    found = variance_components(frame(*cells))
    assert found["source"].to_list() == ["a"]
    row = found.row(0, named=True)
    assert (row["source_seeds"], row["configurations"], row["runs"]) == (2, 2, 4)
    assert row["hyperparameters"] == pytest.approx(0.005**0.5)
    # means 0.55 and 0.75 vary by 0.02, of which half a configuration's variance is theirs
    assert row["source_seed"] == pytest.approx((0.02 - 0.005 / 2) ** 0.5)


def test_examples_vary_as_the_mean_of_all_runs_does_over_dev_sets():
    gold = "01" * 50
    said = gold[:80] + "".join("10"[int(c)] for c in gold[80:])
    cells = [
        cell | {"predictions": said, "gold": gold} for cell in runs("none", [0.8, 0.8], seeds=(12,))
    ]
    found = variance_components(frame(*cells), answers_of(frame(*cells)))
    # every run has the same 80 of 100
    assert found["examples"][0] == pytest.approx((0.8 * 0.2 / 100) ** 0.5, rel=0.05)


def test_runs_that_have_not_ended_are_not_there():
    row = one(*runs("none", [0.3, 0.5, 0.7, 0.9, None, None]))
    assert (row["runs"], row["configurations"]) == (4, 2)


@pytest.mark.parametrize("derive", [variance_components, summarize_cells])
def test_the_same_runs_have_the_same_statistics_to_the_last_bit(derive):
    # many configurations: enough for their sums to be taken in more than one order
    draw = random.Random(0)
    scores = [draw.random() for _ in range(400)]
    table = frame(*runs("none", scores), *runs("a", scores[::-1]))
    assert len({str(derive(table).rows()) for _ in range(10)}) == 1
