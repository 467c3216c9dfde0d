"""Summaries of small frames whose numbers can be worked out by hand."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.read.collect import collect
from analysis.read.columns import FRAME
from analysis.stats.differences import DIFFERENCES, differences_against_none
from analysis.stats.effects import main_effects
from analysis.stats.summary import best_against_trials, in_order, summarize_cells
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
    # shares 1/2 and 0 of two configurations vary 4/3 as much as fair draws do: Wilson's for 3 runs
    assert row["low"] == pytest.approx(0.0368, abs=1e-4)
    assert row["high"] == pytest.approx(0.7439, abs=1e-4)
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
    names = ("auto", "majority", "margin", "constant", "loss")
    rows = [one(summarize_cells(cells, name), source="none") for name in names]
    assert [row["degenerate"] for row in rows] == [1, 1, 2, 1, 1]
    for row in rows:
        assert [row[f"degenerate_{name}"] for name in names] == [1, 1, 2, 1, 1]
    # guesses among options beat 50 of 100 with probability .46, so auto takes the margin there
    row = one(summarize_cells(cells.with_columns(kind=pl.lit("multiple-choice"))), source="none")
    assert (row["rule"], row["degenerate"]) == ("margin", 2)
    assert row["missed"] == pytest.approx(0.4602, abs=1e-4)


def test_seeds_of_a_configuration_do_not_count_as_independent_runs():
    # both seeds of one configuration of two: Wilson's interval for 1 of 2, not for 2 of 4
    cells = frame(*runs("none", [0.4, 0.4, 0.9, 0.9]))
    row = one(summarize_cells(cells), source="none")
    assert (row["degenerate"], row["judged"]) == (2, 4)
    assert (row["low"], row["high"]) == (
        pytest.approx(0.0945, abs=1e-4),
        pytest.approx(0.9055, abs=1e-4),
    )


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


def test_evaluations_are_not_compared():
    cells = frame(
        {"stage": "evaluate", "score": 0.4, "learning_rate": None},
        {"stage": "evaluate", "score": 0.5, "learning_rate": None, "source": "a"},
    )
    assert differences_against_none(cells).is_empty()
    assert summarize_cells(cells)["mean"].to_list() == [0.4, 0.5]


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
