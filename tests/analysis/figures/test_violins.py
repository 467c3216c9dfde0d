"""Violins: their numbers, points and crosses, and room for all that is written."""

import math
import random

import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from analysis.figures.palette import GREEN, VERMILLION
from analysis.figures.pictures import PICTURES
from analysis.figures.violins import violins
from analysis.stats.degenerate import threshold
from analysis.tables.latex import COLUMN, PAGE
from tests.support.cell_frame import TARGETS, cells_of, study_of
from tests.support.drawn_text import texts

SOURCES = [
    "none", "hellaswag", "hellaswag-p", "hella-sh", "cola", "rte",
    {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]},
]  # fmt: skip


def by_title(figure, title: str):
    return next(ax for ax in figure.axes if ax.get_title(loc="left") == title)


def test_a_violin_says_the_lowest_mean_and_best_score_times_100():
    study = study_of(sources=["none"])
    scores = iter([0.61, 0.72, 0.655, 0.83])
    figure = violins(cells_of(study, lambda *_: next(scores)), study)
    shown = texts(by_title(figure, "RTE"))
    assert {"61.0", "70.4", "83.0"} <= set(shown)
    assert "0/4" in shown


def test_every_target_is_a_panel_and_every_source_with_runs_a_violin():
    study = study_of(sources=["none", "hellaswag", "hellaswag-p"], targets=["rte", "cola", "wic"])
    figure = violins(cells_of(study), study)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.axison]
    assert titles == ["RTE", "CoLA (MCC)", "WiC"]
    for ax in figure.axes:
        bodies = [c for c in ax.collections if isinstance(c, PolyCollection)]
        assert len(bodies) == 3
    assert {"None", "HellaSwag", "HellaSwag-p"} <= set(texts(figure))


def test_the_random_guess_is_a_green_dashed_line_at_100_over_k():
    study = study_of(targets=["mednli"])
    figure = violins(cells_of(study), study)
    lines = [line for line in figure.axes[0].lines if to_hex(line.get_color()) == GREEN.lower()]
    assert [line.get_linestyle() for line in lines] == ["--"]
    assert lines[0].get_ydata()[0] == pytest.approx(100 / 3)


@pytest.mark.parametrize(("definition", "highest"), [("auto", 35.11), ("majority", None)])
def test_the_highest_degenerate_score_is_a_line_where_it_is_not_the_constant_answer_s(
    definition, highest
):
    study = study_of(targets=["socialiqa", "rte"])
    made = cells_of(study, kind=lambda cell: study.tasks[cell.target].kind, dev_rows=lambda _: 1000)
    cells = made.with_columns(
        pl.when(pl.col("target") == "socialiqa")
        .then(0.3267)
        .otherwise("majority")
        .alias("majority")
    ).with_columns(threshold(definition))
    figure = violins(cells, study)
    drawn = {
        ax.get_title(loc="left"): [
            line.get_ydata()[0]
            for line in ax.lines
            if to_hex(line.get_color()) == VERMILLION.lower() and line.get_marker() == "None"
        ]
        for ax in figure.axes
    }
    assert drawn == {
        "SocialIQA": [pytest.approx(highest, abs=0.01)] if highest else [], "RTE": [],
    }  # fmt: skip
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ("degenerate up to here" in named) == (highest is not None)
    (caption,) = (picture.words(cells) for picture in PICTURES if picture.name == "violins")
    assert ("the highest score of a degenerate run" in caption) == (highest is not None)


def test_degenerate_runs_are_crosses_the_others_points_and_none_is_lost():
    study = study_of(sources=["none"], seed=[1, 2, 3])
    figure = violins(cells_of(study, lambda _, place: 0.5 if place < 5 else 0.7), study)
    marks = {line.get_marker(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert marks["x"] == 5
    assert marks["o"] == 7
    assert "5/12" in texts(figure.axes[0])


def test_points_of_equal_score_do_not_hide_each_other():
    study = study_of(sources=["none"], seed=[1, 2, 3])
    figure = violins(cells_of(study, lambda *_: 0.7), study)
    points = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert len(set(points.get_xdata())) == 12


def test_runs_without_a_score_are_counted_at_the_foot():
    study = study_of(sources=["none"], seed=[1, 2])
    scores = iter([None, None, None, math.nan, 0.7, 0.8, 0.7, 0.8])
    figure = violins(cells_of(study, lambda *_: next(scores)), study)
    assert "1/5\n3 open" in texts(figure.axes[0])


def test_a_panel_without_any_score_says_so():
    study = study_of(targets=["rte", "wic"])
    cells = cells_of(study, lambda cell, _: None if cell.target == "wic" else 0.7)
    figure = violins(cells, study)
    assert "no result yet" in texts(by_title(figure, "WiC"))
    assert "no result yet" not in texts(by_title(figure, "RTE"))


def test_diverged_runs_are_crosses_at_the_majority_class_also_where_no_run_has_a_score():
    study = study_of(sources=["none"])
    figure = violins(cells_of(study, lambda *_: math.nan), study)
    crosses = next(line for line in figure.axes[0].lines if line.get_marker() == "x")
    assert crosses.get_ydata() == pytest.approx([53.0] * 4)
    shown = texts(figure.axes[0])
    assert {"4/4", "53.0"} <= set(shown)
    assert "no result yet" not in shown


def test_a_panel_without_a_result_says_whether_its_runs_failed():
    study = study_of(targets=["rte", "wic"], sources=["none"])
    cells = cells_of(study, lambda *_: None).with_columns(
        status=pl.when(pl.col("target") == "rte").then(pl.lit("failed")).otherwise("status")
    )
    figure = violins(cells, study)
    assert "all runs failed" in texts(by_title(figure, "RTE"))
    assert "no result yet" in texts(by_title(figure, "WiC"))


def test_a_single_run_is_one_point_with_one_number():
    study = study_of(sources=["none"], learning_rate=[1e-5], batch_size=[8])
    figure = violins(cells_of(study, lambda *_: 0.7), study)
    assert texts(figure.axes[0]).count("70.0") == 1


@pytest.mark.parametrize(("sources", "targets"), [(1, 1), (2, 3), (4, 8), (8, 2)])
def test_numbers_and_names_of_a_violin_figure_are_apart_and_on_the_page(sources, targets):
    study = study_of(SOURCES[: max(1, sources - 1)], TARGETS[:targets])
    rng = random.Random(0)
    cells = cells_of(study, lambda *_: 0.5 if rng.random() < 0.2 else rng.uniform(0.6, 0.9))
    figure = violins(cells, study)
    assert figure.get_size_inches()[0] in (COLUMN, PAGE)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for ax in figure.axes:
        numbers = [text for text in ax.texts if text.get_text().replace(".", "").isdigit()]
        boxes = [text.get_window_extent(renderer) for text in numbers]
        for place, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[place + 1 :])
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible() and text.axes is not None and text.axes.axison:
            box = text.get_window_extent(renderer)
            assert box.x0 > -1
            assert box.x1 < figure.bbox.width + 1


def test_dollar_signs_in_a_title_are_text_not_mathematics():
    study = study_of()
    task = study.tasks["rte"].model_copy(update={"title": "RTE $x_$ {"})
    study = study.model_copy(update={"tasks": study.tasks | {"rte": task}})
    assert "RTE $x_$ {" in texts(violins(cells_of(study), study))


def test_runs_that_the_definition_cannot_judge_are_not_counted_as_healthy():
    study = study_of(["none"], ["stsb"])
    cells = cells_of(study, lambda *_: 0.7).with_columns(
        pl.lit(None, pl.Boolean).alias("degenerate")
    )
    shown = texts(violins(cells, study).axes[0])
    assert "–" in shown
    assert "0/4" not in shown
