"""Figures as a whole: which are written, their bytes, sizes and titles."""

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from analysis.figures.heatmap import heatmap
from analysis.figures.losscurves import losses
from analysis.figures.pictures import PICTURES, write_figures
from analysis.figures.sizes import sizes
from analysis.figures.tuning import tuning
from analysis.figures.violins import violins
from analysis.tables.latex import PAGE
from tests.support.cell_frame import TARGETS, cells_of, study_of


@pytest.mark.parametrize("draw", [violins, heatmap, losses, tuning, sizes])
def test_no_writing_is_smaller_than_five_points_nor_a_figure_wider_than_the_page(draw):
    sources = ["none", "hellaswag-p", {"task": "hellaswag-p", "train_size": 2000}]
    study = study_of(sources, ["rte", "cola"])
    figure = draw(cells_of(study), study)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 5
    assert figure.get_size_inches()[0] <= PAGE


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
    drawn = {picture.name for picture in PICTURES if picture.frame == "cells"}
    assert {path.stem for path in first} == drawn
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert b"CreationDate" not in one.read_bytes()


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
