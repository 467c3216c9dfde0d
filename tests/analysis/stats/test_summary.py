"""Summaries of small frames whose numbers can be worked out by hand."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.read.collect import collect
from analysis.read.columns import FRAME
from analysis.stats.effects import main_effects
from analysis.stats.summary import (
    DIFFERENCES,
    best_against_trials,
    differences_against_none,
    differences_between,
    in_order,
    summarize_cells,
)
from stilt.folder import StudyFolder
from tests.support.fake_study import SMALL, make_study
from tests.support.run_frame import frame, runs


def one(found, **where):
    return found.row(
        by_predicate=pl.all_horizontal(pl.col(k) == v for k, v in where.items()), named=True
    )


def test_the_statistics_are_those_of_the_scores():
    row = one(summarize_cells(frame(*runs("none", [0.5, 0.6, 0.8, 0.9]))), source="none")
    assert row["min"] == 0.5
    assert row["mean"] == pytest.approx(0.7)
    assert row["median"] == pytest.approx(0.7)
    assert row["best"] == 0.9
    # squares of -0.2, -0.1, 0.1, 0.2 over n - 1
    assert row["sd"] == pytest.approx((0.1 / 3) ** 0.5)
    assert (row["q1"], row["q3"]) == (pytest.approx(0.575), pytest.approx(0.825))
    assert row["iqr"] == pytest.approx(0.25)
    assert (row["degenerate"], row["judged"], row["share"]) == (1, 4, 0.25)
    assert row["low"] == pytest.approx(0.0456, abs=1e-4)
    assert row["high"] == pytest.approx(0.6994, abs=1e-4)
    assert (row["best_cell"], row["best_learning_rate"], row["best_seed"]) == ("c3", 2.0, 42)
    assert row["seconds"] == 36.0
    assert row["hours"] == pytest.approx(0.04)


def diverged(*cells):
    """The same runs, had they diverged: without a score, with a dev set all the same."""
    return [
        {k: v for k, v in cell.items() if k != "score"} | {"status": "diverged"} for cell in cells
    ]


def test_cells_that_did_not_end_are_counted_and_not_averaged():
    cells = frame(
        *runs("none", [0.6, 0.8]),
        *diverged({"learning_rate": 2.0}),
        {"learning_rate": 3.0, "status": "failed"},
        {"learning_rate": 4.0, "status": "missing"},
    )
    row = one(summarize_cells(cells), source="none")
    assert row["cells"] == 5
    assert [row[name] for name in ("scored", "diverged", "failed", "missing")] == [2, 1, 1, 1]
    assert row["ended"] == 3
    assert row["mean"] == pytest.approx((0.6 + 0.8 + 0.5) / 3)
    assert (row["min"], row["median"], row["best"]) == (0.5, 0.6, 0.8)
    # the diverged run is degenerate; failed and missing cells are not judged
    assert (row["degenerate"], row["judged"]) == (1, 3)


def test_a_source_whose_runs_diverge_does_worse_than_one_whose_runs_score():
    scores = [0.7, 0.8, 0.9, 0.6]
    steady, shaky = runs("steady", scores), runs("shaky", scores)
    shaky[0:2] = diverged(*shaky[0:2])
    cells = frame(*runs("none", [0.6, 0.6, 0.6, 0.6]), *steady, *shaky)
    found = summarize_cells(cells)
    assert one(found, source="steady")["mean"] == pytest.approx(0.75)
    # two runs at the majority's 0.5 instead of 0.7 and 0.8
    row = one(found, source="shaky")
    assert row["mean"] == pytest.approx((0.5 + 0.5 + 0.9 + 0.6) / 4)
    assert (row["ended"], row["scored"], row["degenerate"], row["best_cell"]) == (4, 2, 2, "c10")
    gaps = differences_against_none(cells)
    assert one(gaps, source="steady")["mean"] == pytest.approx(0.15)
    gap = one(gaps, source="shaky")
    assert gap["mean"] == pytest.approx(0.025)
    assert (gap["scored"], gap["ended"], gap["pairs"]) == (2, 4, 4)
    assert (gap["wins"], gap["ties"], gap["losses"]) == (1, 1, 2)
    # configurations of two seeds: -0.2 and 0.3 in sum; no swap has a smaller sum than 0.1
    assert gap["p"] == pytest.approx(1.0)
    assert gap["improvement"] == pytest.approx((0 + 0 + 4 + 2) / 16)
    curve = best_against_trials(cells).filter(pl.col("source") == "shaky")
    assert curve["expected"][0] == pytest.approx(row["mean"])


def test_a_diverged_run_of_none_raises_the_difference_from_it():
    none = runs("none", [0.7, 0.7], seeds=(12,))
    none[0:1] = diverged(none[0])
    cells = frame(*none, *runs("a", [0.7, 0.7], seeds=(12,)))
    assert one(differences_against_none(cells), source="a")["mean"] == pytest.approx(0.1)


def test_a_source_whose_runs_all_diverged_counts_as_the_majority_class_and_has_no_best_cell():
    row = one(summarize_cells(frame(*diverged(*runs("none", [0.9, 0.9])))), source="none")
    assert (row["min"], row["mean"], row["best"], row["sd"]) == (0.5, 0.5, 0.5, 0.0)
    assert (row["ended"], row["scored"], row["best_cell"]) == (2, 0, None)


def test_a_source_without_any_result_has_a_row_of_nulls():
    found = summarize_cells(frame(*runs("none", [None, None])))
    row = one(found, source="none")
    assert (row["cells"], row["scored"], row["missing"]) == (2, 0, 2)
    for name in ("min", "mean", "median", "best", "sd", "iqr", "share", "low", "high", "best_cell"):
        assert row[name] is None
    assert row["degenerate"] == row["judged"] == 0


def test_a_single_score_has_no_standard_deviation():
    row = one(summarize_cells(frame(*runs("none", [0.6]))), source="none")
    assert (row["min"], row["mean"], row["best"], row["sd"]) == (0.6, 0.6, 0.6, None)


def test_the_definition_decides_what_is_degenerate_and_all_are_counted():
    cells = frame(
        *runs("none", [0.5, 0.55, 0.9, 0.9]),
        {"learning_rate": 9.0, "score": 0.9, "constant": True, "lowest_loss": 0.7},
    )
    rows = [
        one(summarize_cells(cells, name), source="none")
        for name in ("majority", "margin", "constant", "loss")
    ]
    assert [row["degenerate"] for row in rows] == [1, 2, 1, 1]
    for row in rows:
        assert [
            row[f"degenerate_{name}"] for name in ("majority", "margin", "constant", "loss")
        ] == [1, 2, 1, 1]


def test_rows_follow_the_order_of_the_grid():
    cells = frame(
        *({"source": s, "target": t, "score": 0.6} for s in ("none", "b", "a") for t in ("z", "y")),
        {"stage": "evaluate", "source": "a", "target": "x", "score": 0.6},
    )
    expected = [("target", t, s) for t in ("z", "y") for s in ("none", "b", "a")]
    expected.append(("evaluate", "x", "a"))
    assert in_order(cells).rows() == expected
    assert summarize_cells(cells).select("stage", "target", "source").rows() == expected


def test_an_empty_frame_has_empty_tables():
    cells = pl.DataFrame(schema=FRAME)
    for found in (
        summarize_cells(cells),
        differences_against_none(cells),
        main_effects(cells),
        best_against_trials(cells),
    ):
        assert found.is_empty()
    assert dict(differences_against_none(cells).schema) == DIFFERENCES


def test_differences_are_paired_by_hyperparameters_and_seed():
    cells = frame(
        *runs("none", [0.5, 0.6, 0.7, 0.8]),
        *reversed(runs("a", [0.6, 0.7, 0.8, 0.9])),  # the order of rows does not pair
    )
    found = differences_against_none(cells)
    assert dict(found.schema) == DIFFERENCES
    row = one(found, source="a")
    assert (row["pairs"], row["ended"], row["configurations"]) == (4, 4, 2)
    for name in ("mean", "mean_low", "mean_high", "best", "best_low", "best_high"):
        assert row[name] == pytest.approx(0.1)
    assert (row["wins"], row["ties"], row["losses"]) == (4, 0, 0)
    assert row["p"] == row["p_holm"] == pytest.approx(0.5)  # two configurations: 2 of 4 swaps
    # 0.6 beats 0.5 and ties with 0.6; 0.7: 2 and a tie; 0.8: 3 and a tie; 0.9: all 4
    assert row["improvement"] == pytest.approx((1.5 + 2.5 + 3.5 + 4) / 16)


def test_pairs_that_are_not_whole_do_not_enter():
    cells = frame(*runs("none", [0.5, None, 0.7, 0.9]), *runs("a", [0.6, 0.99, None, 0.9]))
    row = one(differences_against_none(cells), source="a")
    assert (row["pairs"], row["ended"], row["configurations"]) == (4, 2, 2)
    assert row["mean"] == pytest.approx(0.05)
    assert row["best"] == pytest.approx(0.0)
    assert (row["wins"], row["ties"], row["losses"]) == (1, 1, 0)


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
    assert (row["judged"], row["degenerate"], row["degenerate_other"]) == (7, 2, 6)
    assert (row["only"], row["only_other"]) == (1, 5)
    assert row["mcnemar"] == pytest.approx(14 / 64)


def test_holm_is_over_all_rows_of_the_table():
    none = runs("none", [0.5, 0.5, 0.5], seeds=(12,))
    cells = frame(
        *none,
        *runs("a", [0.6, 0.6, 0.6], seeds=(12,)),
        *runs("b", [0.6, 0.6, 0.6], seeds=(12,)),
        *runs("c", [0.6, None, None], seeds=(12,)),
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


def test_evaluations_are_not_compared():
    cells = frame(
        {"stage": "evaluate", "score": 0.4, "learning_rate": None},
        {"stage": "evaluate", "score": 0.5, "learning_rate": None, "source": "a"},
    )
    assert differences_against_none(cells).is_empty()
    assert summarize_cells(cells)["mean"].to_list() == [0.4, 0.5]


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


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), missing=st.floats(0, 0.9))
def test_a_study_at_any_moment_can_be_summarized(tmp_path_factory, seed, missing):
    path = tmp_path_factory.mktemp("study") / "s"
    block = SMALL["blocks"][0] | {"learning_rate": [1e-5, 2e-5], "targets": ["rte"]}
    study = make_study(
        path, grid=SMALL | {"blocks": [block]}, seed=seed,
        missing=missing, failed=(1 - missing) / 3, diverged=(1 - missing) / 3, points=3,
    )  # fmt: skip
    cells = collect(StudyFolder(path), study).cells
    found = summarize_cells(cells)
    statuses = found.select("scored", "diverged", "failed", "missing").sum_horizontal()
    assert statuses.equals(found["cells"], check_names=False)
    assert found["cells"].sum() == len(study.cells)
    ended = found.filter(pl.col("ended") > 0)
    assert (ended["min"] <= ended["mean"] + 1e-12).all()
    assert (ended["mean"] <= ended["best"] + 1e-12).all()
    gaps = differences_against_none(cells)
    assert (gaps["wins"] + gaps["ties"] + gaps["losses"] == gaps["ended"]).all()
    assert gaps["p"].drop_nulls().is_between(0, 1).all()


def test_expected_best_counts_a_diverged_run_as_a_trial_at_the_majority_class():
    cells = frame(
        *runs("none", [0.9, 0.7]),
        {"learning_rate": 9.0, "status": "diverged", "majority": 0.5},
        {"learning_rate": 8.0, "status": "missing"},
    ).with_columns(majority=pl.when(pl.col("status") != "missing").then(0.5))
    found = best_against_trials(cells)
    assert found["trials"].to_list() == [1, 2, 3]
    # of 0.5, 0.7, 0.9: mean, then pairs 0.7, 0.9, 0.9, then all
    assert found["expected"].to_list() == pytest.approx([0.7, 2.5 / 3, 0.9])
    assert found["expected_with_replacement"][1] == pytest.approx((0.5 + 3 * 0.7 + 5 * 0.9) / 9)
