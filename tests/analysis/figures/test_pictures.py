import math
import random

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from analysis.figures.heatmap import heatmap
from analysis.figures.losscurves import PROGRESS, losses
from analysis.figures.palette import COLUMN, GREEN, PAGE, short
from analysis.figures.pictures import PICTURES, write_figures
from analysis.figures.sizes import sizes
from analysis.figures.tuning import tuning
from analysis.figures.violins import violins
from analysis.read.columns import FRAME
from analysis.stats.improvements import improvements, sized_tasks
from analysis.tables.presentation import number, source_title, thousands
from stilt.grid import Grid
from stilt.study import Study, bind

TARGETS = [
    "rte", "cola", "wic", "mednli", "socialiqa", "winogrande-xs", "winogrande-m", "winogrande-l",
]  # fmt: skip
SOURCES = [
    "none", "hellaswag", "hellaswag-p", "hella-sh", "cola", "rte",
    {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]},
]  # fmt: skip


def study_of(sources=("none", "hellaswag"), targets=("rte",), **axes) -> Study:
    block = {
        "sources": list(sources),
        "targets": list(targets),
        "learning_rate": [1e-5, 2e-5],
        "batch_size": [8, 16],
        "warmup_ratio": [0.0],
        "seed": [12],
        **axes,
    }
    table = {"name": "s", "model": {"hub": "o/m", "revision": "0"}, "blocks": [block]}
    return bind(Grid.model_validate(table), "model")


def cells_of(study: Study, score=lambda cell, place: 0.6 + 0.01 * place, **columns) -> pl.DataFrame:
    """One row per cell; a score of None is a missing cell, NaN a diverged one."""
    rows = []
    for place, cell in enumerate(study.cells.values()):
        source = study.sources.get(cell.source_id)
        task, value = study.tasks[cell.target], score(cell, place)
        status = "missing" if value is None else "diverged" if math.isnan(value) else "ok"
        rows.append(
            dict.fromkeys(FRAME)
            | cell.hyperparameters.model_dump()
            | {
                "cell": cell.id,
                "stage": cell.stage,
                "source": cell.source,
                "source_id": cell.source_id,
                "source_task": source and source.task,
                "source_size": source and source.train_size,
                "source_seed": source and source.hyperparameters.seed,
                "target": cell.target,
                "status": status,
                "metric": task.metric,
                "score": value if status == "ok" else None,
                "chance": task.chance,
                "majority": None if status == "missing" else task.chance + 0.03,
                "classes": len(task.labels),
                # the updates that the curves below show, whatever the batch
                "train_rows": 8,
                "loss": None
                if status == "missing"
                else [{"step": step, "value": 0.7 / step} for step in range(1, task.epochs + 1)],
            }
            | {name: make(cell) for name, make in columns.items()}
        )
    frame = pl.DataFrame(rows, schema=FRAME)
    verdict = pl.when(pl.col("status") == "ok").then(pl.col("score") <= pl.col("majority"))
    diverged = pl.when(pl.col("status") == "diverged").then(pl.lit(True))
    return frame.with_columns(pl.coalesce(diverged, verdict).alias("degenerate"))


def texts(artist) -> list[str]:
    return [text.get_text() for text in artist.findobj(Text) if text.get_text()]


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


@pytest.mark.parametrize("draw", [violins, heatmap, losses, tuning, sizes])
def test_no_writing_is_smaller_than_five_points_nor_a_figure_wider_than_the_page(draw):
    sources = ["none", "hellaswag-p", {"task": "hellaswag-p", "train_size": 2000}]
    study = study_of(sources, ["rte", "cola"])
    figure = draw(cells_of(study), study)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 5
    assert figure.get_size_inches()[0] <= PAGE


def test_dollar_signs_in_a_title_are_text_not_mathematics():
    study = study_of()
    task = study.tasks["rte"].model_copy(update={"title": "RTE $x_$ {"})
    study = study.model_copy(update={"tasks": study.tasks | {"rte": task}})
    assert "RTE $x_$ {" in texts(violins(cells_of(study), study))


def test_improvements_are_differences_of_mean_and_best_in_the_grids_order():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1, 2], batch_size=[8])
    scores = iter([0.50, 0.60, 0.62, 0.58, 0.70, 0.90])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["rows"].to_list() == [2000, study.tasks["hellaswag-p"].size.train]
    assert found["mean"].to_list() == pytest.approx([0.05, 0.25])
    assert found["best"].to_list() == pytest.approx([0.02, 0.30])


def test_improvements_keep_two_sources_of_equally_many_rows_apart():
    rows = study_of(["hellaswag-p"]).tasks["hellaswag-p"].size.train
    sources = ["none", {"task": "hellaswag-p", "train_size": rows}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1], batch_size=[8])
    scores = iter([0.50, 0.60, 0.80])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["rows"].to_list() == [rows, rows]
    assert found["mean"].to_list() == pytest.approx([0.1, 0.3])


def test_improvements_count_a_diverged_run_as_the_majority_class():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1], batch_size=[8])
    scores = iter([0.60, math.nan, 0.80])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["mean"].to_list() == pytest.approx([-0.07, 0.2])


def test_improvements_ignore_runs_whose_twin_has_no_score():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1, 2], batch_size=[8])
    scores = iter([0.50, None, 0.62, 0.99, None, 0.90])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["runs"].to_list() == [1]
    assert found["mean"].to_list() == pytest.approx([0.12])


def test_sizes_has_a_solid_line_for_the_best_and_a_dashed_one_for_the_mean_of_each_target():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, ["rte", "wic"])
    figure = sizes(cells_of(study), study)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    drawn = [line for line in lines if line.get_marker() not in ("", "None", "_", "|")]
    assert [line.is_dashed() for line in drawn] == [False, True, False, True]
    assert len({to_hex(line.get_color()) for line in drawn}) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2k", "39.9k"]


def test_a_task_of_one_size_is_not_a_study_of_sizes():
    assert sized_tasks(cells_of(study_of(["none", "hellaswag"]))) == []


def test_a_heat_map_writes_means_counts_degenerate_runs_and_hatches_what_is_missing():
    study = study_of(sources=["none"], seed=[1, 2])
    scores = iter([0.5, 0.7, 0.61, 0.63, None, None, 0.8, 0.9])
    figure = heatmap(cells_of(study, lambda *_: next(scores)), study)
    ax = figure.axes[0]
    assert {"60.0 ×1", "62.0", "85.0"} <= set(texts(ax))
    hatched = [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert len(hatched) == 1


def test_a_field_whose_runs_all_diverged_shows_how_many_and_what_they_count_as():
    study = study_of(sources=["none"], seed=[1, 2])
    scores = iter([math.nan, math.nan, 0.61, 0.63, 0.6, math.nan, 0.8, 0.9])
    figure = heatmap(cells_of(study, lambda *_: next(scores)), study)
    ax = figure.axes[0]
    assert {"53.0 ×2", "56.5 ×1"} <= set(texts(ax))
    assert not [p for p in ax.patches if isinstance(p, Rectangle) and p.get_hatch()]


def test_the_loss_of_a_diverged_run_ends_where_it_is_no_longer_finite():
    study = study_of(sources=["none"], learning_rate=[1e-5], batch_size=[8])
    # 16 rows in batches of 8, five epochs: ten updates were planned and six made
    points = [{"step": s, "value": v} for s, v in ((2, 0.7), (4, 0.6), (6, None))]
    cells = cells_of(study, lambda *_: math.nan, loss=lambda _: points, train_rows=lambda _: 16)
    figure = losses(cells, study)
    curve = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == len(PROGRESS))
    ends = curve.get_xdata()[np.isfinite(curve.get_ydata())].max()
    assert ends == pytest.approx(0.4)
    assert "0 + 1" in texts(figure.axes[0])


def test_a_run_whose_loss_was_never_finite_is_counted_and_breaks_nothing():
    study = study_of(sources=["none"], learning_rate=[1e-5], batch_size=[8])
    cells = cells_of(study, lambda *_: math.nan, loss=lambda _: [{"step": 1, "value": None}])
    assert "0 + 1" in texts(losses(cells, study).axes[0])


def test_expected_best_rises_from_the_mean_to_the_best_score():
    study = study_of(sources=["none"])
    scores = iter([0.60, 0.70, 0.80, 0.90])
    figure = tuning(cells_of(study, lambda *_: next(scores)), study)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata()[[0, -1]] == pytest.approx([75, 90])


def test_only_figures_that_make_sense_are_written_and_old_ones_removed(tmp_path):
    study = study_of(learning_rate=[1e-5], batch_size=[8])
    (tmp_path / "heatmap.png").write_text("of an older grid")
    paths = write_figures(cells_of(study), study, tmp_path)
    assert {path.stem for path in paths} == {"violins", "expected_best", "losses"}
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert {path.suffix for path in paths} == {".png", ".pdf", ".svg"}


def test_a_study_without_any_result_has_violins_that_say_so_and_no_other_figure(tmp_path):
    study = study_of()
    paths = write_figures(cells_of(study, lambda *_: None), study, tmp_path)
    assert {path.stem for path in paths} == {"violins"}


def test_a_study_without_target_cells_has_no_figure(tmp_path):
    study = study_of()
    cells = cells_of(study).with_columns(stage=pl.lit("evaluate"))
    assert write_figures(cells, study, tmp_path) == []


@pytest.mark.slow
def test_the_same_cells_give_the_same_bytes_whatever_the_users_own_settings(tmp_path):
    sources = ["none", "hellaswag-p", {"task": "hellaswag-p", "train_size": 2000}]
    study = study_of(sources)
    cells = cells_of(study)
    first = write_figures(cells, study, tmp_path / "a")
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.grid": True}):
        second = write_figures(cells, study, tmp_path / "b")
    assert {path.stem for path in first} == {picture.name for picture in PICTURES}
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert b"CreationDate" not in one.read_bytes()


def test_names_of_sources_for_people():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000, "seeds": [1, 2]}, "hellaswag"]
    study = study_of(sources)
    names = [
        source_title(study, name) for name in ("none", *(s.name for s in study.sources.values()))
    ]
    assert names == ["None", "HellaSwag-p@2k#1", "HellaSwag-p@2k#2", "HellaSwag"]
    assert source_title(study, "of another study") == "of another study"


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512"), (2000, "2k"), (39905, "39.9k"), (30000, "30k")]
)
def test_counts_are_short(count, text):
    assert thousands(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-6, "5e-6"), (2e-5, "2e-5"), (0.2, "0.2"), (0.0, "0"), (16, "16"), (20210925, "20210925")],
)
def test_hyperparameters_are_written_as_people_do(value, text):
    assert number(value) == text


@given(st.lists(st.text(min_size=1, max_size=40), unique=True, max_size=12), st.integers(10, 30))
def test_shortened_names_fit_and_stay_different(names, width):
    cut = short(names, width)
    assert all(len(name) <= width for name in cut)
    assert len(set(cut)) == len(names)


LONG = "A very long title of a data set, number {} of those compared"


@pytest.mark.parametrize("draw", [violins, tuning, losses])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_long_titles_neither_overlap_nor_leave_the_figure_nor_become_equal(draw, count):
    study = study_of(targets=TARGETS[:count])
    tasks = {
        name: task.model_copy(update={"title": LONG.format(place)})
        for place, (name, task) in enumerate(study.tasks.items())
    }
    study = study.model_copy(update={"tasks": tasks})
    cells = cells_of(study, degenerate=lambda cell: False)
    figure = draw(cells, study)
    FigureCanvasAgg(figure).draw()
    boxes = []
    for ax in figure.axes:
        title = ax.get_title(loc="left")
        if title:
            boxes.append((title, ax._left_title.get_window_extent()))
        boxes += [("", text.get_window_extent()) for text in ax.texts if " + " in text.get_text()]
    titles = [title for title, _ in boxes if title]
    assert len(set(titles)) == len(titles) == count
    for place, (_, box) in enumerate(boxes):
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for _, other in boxes[place + 1 :])
