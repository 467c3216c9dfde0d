"""Flipped answers of small frames whose numbers can be counted by hand."""

import pytest

from analysis.spread.flips import FLIPS, flips
from analysis.stats.examples import answers_of
from tests.support.cell_frame import cells_of, study_of

GOLD = "00001111"
SAID = {
    ("none", 12): "00000000",
    ("none", 42): "00000011",  # differs from the first in 2 of 8
    ("hellaswag", 12): "00001110",  # from none's in 3, all gained
    ("hellaswag", 42): "10001111",  # from none's in 3: two gained, one lost; from 12 in 2
}


def made(said=SAID, score=lambda cell, place: 0.5, **axes):
    axes = {"learning_rate": [1e-5], "batch_size": [8], "seed": [12, 42]} | axes
    cells = cells_of(
        study_of(**axes), score,
        predictions=lambda cell: said.get((cell.source, cell.seed)), gold=lambda cell: GOLD,
    )  # fmt: skip
    found = flips(cells, answers_of(cells))
    assert dict(found.schema) == FLIPS
    return {row["source"]: row for row in found.iter_rows(named=True)}


def test_flips_of_seeds_and_of_the_source_are_counted_by_example():
    rows = made()
    none, source = rows["none"], rows["hellaswag"]
    assert (none["seed_pairs"], none["seed_flips"]) == (1, 2 / 8)
    assert none["none_pairs"] is none["none_flips"] is none["gained"] is None
    assert (source["seed_pairs"], source["seed_flips"]) == (1, 2 / 8)
    assert (source["none_pairs"], source["none_pairs_planned"]) == (2, 2)
    assert source["none_flips"] == 3 / 8
    assert source["gained"] == pytest.approx((3 + 2) / 16)
    assert source["lost"] == pytest.approx(1 / 16)


def test_pairs_of_seeds_share_hyperparameters_and_every_pair_counts():
    rows = made(learning_rate=[1e-5, 2e-5], seed=[12, 42, 1])
    # of three seeds the third has no predictions
    assert (rows["none"]["seed_pairs"], rows["none"]["seed_pairs_planned"]) == (2, 6)
    assert rows["none"]["seed_flips"] == 2 / 8


def test_a_diverged_or_missing_run_has_no_answers():
    def score(cell, place):
        return {("none", 42): float("nan"), ("hellaswag", 12): None}.get(
            (cell.source, cell.seed), 0.5
        )

    rows = made(score=score)
    assert rows["none"]["seed_flips"] is rows["hellaswag"]["seed_flips"] is None
    assert (rows["hellaswag"]["none_pairs"], rows["hellaswag"]["none_pairs_planned"]) == (0, 2)
    assert rows["hellaswag"]["none_flips"] is rows["hellaswag"]["lost"] is None


def test_without_predictions_nothing_is_said():
    cells = cells_of(study_of())
    found = flips(cells)
    assert found["seed_flips"].count() == found["none_flips"].count() == 0
    assert made({})["hellaswag"]["none_pairs"] == 0
