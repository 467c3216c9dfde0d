"""Differences of small frames whose numbers can be worked out by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from analysis.stats.differences import (
    DIFFERENCES,
    Question,
    differences_against_none,
    differences_between,
    pooled_differences,
)
from analysis.stats.examples import answers_of
from analysis.stats.inference import symmetry_wealth
from tests.support.run_frame import frame, runs


def one(found, **where):
    return found.row(
        by_predicate=pl.all_horizontal(pl.col(k) == v for k, v in where.items()), named=True
    )


def test_a_diverged_run_of_none_raises_the_difference_from_it():
    none = runs("none", [0.7, 0.7], seeds=(12,))
    none[0] = {k: v for k, v in none[0].items() if k != "score"} | {"status": "diverged"}
    cells = frame(*none, *runs("a", [0.7, 0.7], seeds=(12,)))
    assert one(differences_against_none(cells), source="a")["mean"] == pytest.approx(0.1)


def test_differences_are_paired_by_hyperparameters_and_seed():
    cells = frame(
        *runs("none", [0.5, 0.6, 0.7, 0.8]),
        *reversed(runs("a", [0.6, 0.7, 0.8, 0.9])),  # the order of rows does not pair
    )
    found = differences_against_none(cells)
    assert dict(found.schema) == DIFFERENCES
    row = one(found, source="a")
    assert (row["pairs"], row["ended"], row["configurations"]) == (4, 4, 2)
    assert row["final"]
    for name in ("mean", "mean_low", "mean_high", "best", "best_low", "best_high"):
        assert row[name] == pytest.approx(0.1)
    assert (row["wins"], row["ties"], row["losses"]) == (4, 0, 0)
    assert row["p"] == row["p_holm"] == pytest.approx(0.5)  # two configurations: 2 of 4 swaps
    # 0.6 beats 0.5 and ties with 0.6; 0.7: 2 and a tie; 0.8: 3 and a tie; 0.9: all 4
    assert row["improvement"] == pytest.approx((1.5 + 2.5 + 3.5 + 4) / 16)


@pytest.mark.parametrize(("metric", "widest"), [("accuracy", 1.0), ("f1", 1.0), ("mcc", 2.0)])
def test_no_interval_goes_beyond_what_two_scores_can_differ_by(metric, widest):
    # two configurations that disagree: Student's t of one degree of freedom is 12.7 wide
    sides = (("none", [0.1, 0.1, 0.9, 0.9]), ("a", [0.9, 0.9, 0.2, 0.2]))
    cells = frame(*(run | {"metric": metric} for side in sides for run in runs(*side)))
    row = one(differences_against_none(cells), source="a")
    assert (row["mean_low"], row["mean_high"]) == (-widest, widest)
    assert row["mean"] == pytest.approx(0.05)
    assert row["p"] > 0.05


def test_pairs_that_are_not_whole_do_not_enter():
    cells = frame(*runs("none", [0.5, None, 0.7, 0.9]), *runs("a", [0.6, 0.99, None, 0.9]))
    row = one(differences_against_none(cells), source="a")
    assert (row["pairs"], row["ended"], row["configurations"]) == (4, 2, 2)
    assert row["mean"] == pytest.approx(0.05)
    assert row["best"] == pytest.approx(0.0)
    assert (row["wins"], row["ties"], row["losses"]) == (1, 1, 0)
    assert not row["final"]


def test_a_comparison_that_lacks_pairs_has_neither_interval_nor_p():
    cells = frame(*runs("none", [0.5, 0.6, 0.7, 0.9]), *runs("a", [0.6, 0.7, 0.8, None]))
    row = one(differences_against_none(cells), source="a")
    assert (row["ended"], row["pairs"], row["final"]) == (3, 4, False)
    assert row["mean"] == pytest.approx(0.1)
    claims = ["p", "p_holm", "mcnemar", "mcnemar_holm", "error"]
    claims += [
        f"{name}{end}" for name in ("mean", "best", "improvement") for end in ("_low", "_high")
    ]
    assert {row[name] for name in claims} == {None}


def test_what_is_final_is_adjusted_for_what_is_still_to_come():
    none = runs("none", [0.5, 0.5, 0.5], seeds=(12,))
    cells = frame(
        *none, *runs("a", [0.6, 0.6, 0.6], seeds=(12,)), *runs("b", [0.6, 0.6, None], seeds=(12,))
    )
    found = differences_against_none(cells)
    assert found["p"].to_list() == [pytest.approx(0.25), None]
    assert found["p_holm"].to_list() == [pytest.approx(0.5), None]


def test_degenerate_runs_are_compared_pair_by_pair_diverged_ones_too():
    cells = frame(
        *runs("none", [0.4, 0.4, 0.4, 0.4, 0.4, 0.9, 0.4, None]),
        *runs("a", [0.9, 0.9, 0.9, 0.9, 0.9, 0.4, None, 0.9]),
    )
    cells = cells.with_columns(
        pl.when(pl.col("source") == "a", pl.col("status") == "missing")
        .then(pl.lit("diverged"))
        .otherwise("status")
        .alias("status")
    )
    row = one(differences_against_none(cells), source="a")
    assert row["mcnemar"] is None, "one pair is still to come"
    assert (row["judged"], row["degenerate"], row["degenerate_other"]) == (7, 2, 6)
    assert (row["only"], row["only_other"]) == (1, 5)
    whole = cells.filter(pl.col("learning_rate") < 4)
    row = one(differences_against_none(whole), source="a")
    # configurations differ by -2, -2 and 0 of their seeds: two of four swaps reach 4
    assert (row["only"], row["only_other"]) == (1, 5)
    assert row["mcnemar"] == pytest.approx(2 / 4)


def test_holm_is_over_all_rows_of_the_table():
    none = runs("none", [0.5, 0.5, 0.5], seeds=(12,))
    cells = frame(
        *none,
        *runs("a", [0.6, 0.6, 0.6], seeds=(12,)),
        *runs("b", [0.6, 0.6, 0.6], seeds=(12,)),
        *runs("c", [0.6], seeds=(12,)),
    )
    found = differences_against_none(cells)
    assert found["p"].to_list() == [pytest.approx(0.25), pytest.approx(0.25), None]
    assert found["p_holm"].to_list() == [pytest.approx(0.5), pytest.approx(0.5), None]


def test_init_and_order_seeds_tell_pairs_apart():
    cells = frame(
        *runs("none", [0.5], init_seed=1),
        *runs("none", [0.7], init_seed=2),
        *runs("a", [0.6], init_seed=2),
        *runs("a", [0.6], init_seed=1),
    )
    row = one(differences_against_none(cells), source="a")
    assert (row["ended"], row["configurations"]) == (2, 1)
    assert (row["wins"], row["losses"]) == (1, 1)


def test_without_none_there_is_nothing_to_compare_with():
    assert differences_against_none(frame(*runs("a", [0.5, 0.6]))).is_empty()


def test_two_studies_are_compared_where_both_have_the_cell():
    first = frame(*runs("none", [0.6, 0.7]), *runs("a", [0.9, 0.9]), *runs("b", [0.9, 0.9]))
    second = frame(*runs("a", [0.5, 0.6]), *runs("none", [0.6, 0.6]))
    found = differences_between(first, second)
    assert found["source"].to_list() == ["none", "a"]
    assert found["mean"].to_list() == [pytest.approx(0.05), pytest.approx(0.35)]


def test_a_source_pairs_with_its_like_whatever_its_name():
    first = frame(*runs("a", [0.9, 0.9], source_seed=42))
    second = frame(
        *runs("a#42", [0.5, 0.6], source_task="a", source_seed=42),
        *runs("a#12", [0.1, 0.1], source_task="a", source_seed=12),
        *runs("a@9#42", [0.1, 0.1], source_task="a", source_seed=42, source_size=9),
    )
    found = differences_between(first, second)
    assert found.select("source", "pairs").rows() == [("a", 2)]
    assert found["mean"].to_list() == [pytest.approx(0.35)]


# --- dev examples, source seeds, interim looks


def answered(source, predictions, gold="0101010101", **more):
    """Runs of one seed whose scores are those of their predictions."""
    right = [
        sum(a == b for a, b in zip(said, gold, strict=True)) / len(gold) for said in predictions
    ]
    cells = runs(source, right, seeds=(12,), **more)
    return [
        cell | {"predictions": said, "gold": gold}
        for cell, said in zip(cells, predictions, strict=True)
    ]


NONE = ["0101000000", "0101000011", "0111000000"]
BETTER = ["0101010101", "0101010111", "0111010101"]


def test_the_default_interval_speaks_of_new_dev_examples():
    cells = frame(*answered("none", NONE), *answered("a", BETTER))
    row = one(differences_against_none(cells, answers_of(cells)), source="a")
    assert row["interval"] == "whole"
    assert row["generalises_to"] == (
        "new dev examples, configurations and seeds, for this source checkpoint"
    )
    narrow = one(differences_against_none(cells), source="a")
    assert narrow["interval"] == "narrow"
    assert narrow["generalises_to"] == (
        "other configurations and seeds, for these dev examples and source checkpoints"
    )
    # none answers 7, 7 and 6 of ten, the other 10, 9 and 9
    assert row["mean"] == narrow["mean"] == pytest.approx(8 / 30)
    # two examples gain in all three runs, one in two of them
    variance = (1 + 1 + 4 / 9) / 10 - (8 / 30) ** 2
    assert row["error_examples"] == pytest.approx((variance / 10) ** 0.5, rel=0.05)
    assert row["mean_high"] - row["mean_low"] > narrow["mean_high"] - narrow["mean_low"]
    asked = Question(scope="narrow")
    assert differences_against_none(cells, answers_of(cells), asked).equals(
        differences_against_none(cells)
    )


def test_where_predictions_are_missing_the_interval_is_narrow_and_says_so():
    cells = frame(*answered("none", NONE), *answered("a", BETTER))
    lacking = cells.with_columns(predictions=pl.when(pl.col("cell") != "c0").then("predictions"))
    row = one(differences_against_none(lacking, answers_of(lacking)), source="a")
    assert row["interval"] == "narrow"
    assert row["error_examples"] is None
    assert row["mean_low"] is not None


def test_two_studies_are_compared_on_their_common_examples():
    first, second = frame(*answered("none", BETTER)), frame(*answered("none", NONE))
    both = (answers_of(first), answers_of(second))
    row = one(differences_between(first, second, both), source="none")
    assert (row["interval"], row["mean"]) == ("whole", pytest.approx(8 / 30))
    other = frame(*answered("none", NONE, gold="0101010100"))
    row = one(differences_between(first, other, (both[0], answers_of(other))), source="none")
    assert row["interval"] == "narrow"


def test_seeds_of_a_source_are_taken_together_in_a_row_of_their_own():
    none = runs("none", [0.5, 0.6], seeds=(12,))
    seeds = [
        cell
        for seed, gain in ((1, 0.1), (2, 0.2), (3, 0.3))
        for cell in runs(
            f"a@9#{seed}", [0.5 + gain, 0.6 + gain], seeds=(12,),
            source_task="a", source_size=9, source_seed=seed,
        )
    ]  # fmt: skip
    cells = frame(*none, *seeds, *runs("b", [0.6, 0.6], seeds=(12,), source_seed=1))
    found = pooled_differences(cells)
    row = one(found, source="a@9")
    assert found.height == 1, "a source of one seed is not pooled"
    assert (row["pairs"], row["configurations"], row["source_seeds"]) == (6, 2, 3)
    assert row["mean"] == pytest.approx(0.2)
    assert differences_against_none(cells)["source"].to_list() == ["a@9#1", "a@9#2", "a@9#3", "b"]


def test_the_pooled_interval_lets_the_source_s_seed_vary():
    gains = {1: NONE, 2: BETTER, 3: ["0101010001", "0101010011", "0111010001"]}
    seeds = [
        cell
        for seed, said in gains.items()
        for cell in answered(f"a#{seed}", said, source_task="a", source_seed=seed)
    ]
    cells = frame(*answered("none", NONE), *seeds)
    row = one(pooled_differences(cells, answers_of(cells)), source="a")
    assert row["generalises_to"] == ("new dev examples, configurations, seeds and source seeds")
    # gains of the seeds: 0, 8 and 5 of 30
    variance = float(np.var([0, 8 / 30, 5 / 30], ddof=1))
    assert row["error_sources"] == pytest.approx((variance / 3) ** 0.5)
    assert row["mean_high"] - row["mean_low"] > 2 * stats.t.ppf(0.975, 20) * row["error_sources"]


def test_an_interim_look_takes_configurations_in_the_order_in_which_they_were_done():
    start = datetime(2026, 11, 20, tzinfo=UTC)
    gaps, places = [0.02, 0.05, -0.01, 0.03], [2, 0, 3, 1]
    scores = [0.6 + gap for gap in gaps]
    none = runs("none", [0.6] * 4 + [0.6], seeds=(12,))
    better = runs("a", [*scores, None], seeds=(12,))
    for cell, place in zip(better, places, strict=False):
        cell["finished"] = start + timedelta(hours=place)
    for cell in none:
        cell["finished"] = start - timedelta(hours=1)
    row = one(differences_against_none(frame(*none, *better)), source="a")
    wealth = symmetry_wealth(pl.Series([0.05, 0.03, 0.02, -0.01]).to_numpy())
    assert wealth > 1.5
    assert row["interim_e"] == pytest.approx(wealth)
    assert row["interim_p"] == row["interim_p_holm"] == pytest.approx(1 / wealth)
    assert not row["final"]


def test_a_configuration_counts_in_an_interim_look_when_all_its_seeds_are_there():
    cells = frame(*runs("none", [0.5, 0.5, 0.5, 0.5]), *runs("a", [0.6, 0.6, 0.7, None]))
    assert one(differences_against_none(cells), source="a")["interim_e"] == 1.0


def test_a_comparison_without_a_run_speaks_of_what_was_asked():
    cells = frame(*runs("none", [None, None]), *runs("a", [None, None]))
    answers = {"rte": cells.select("cell", "predictions", "gold")}
    for scope in ("whole", "narrow"):
        found = differences_against_none(cells, answers.get, Question(scope=scope))
        assert found["interval"].to_list() == [scope]
