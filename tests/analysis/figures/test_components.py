"""The picture of variance components."""

import polars as pl
import pytest

from analysis.figures.components import components
from analysis.figures.flips import flips
from analysis.figures.pictures import PICTURES
from analysis.spread.flips import FLIPS
from analysis.spread.variance import VARIANCE
from tests.support.cell_frame import study_of


def test_every_known_cause_has_a_mark_at_its_standard_deviation_and_no_other():
    study = study_of(["none", "hellaswag"], ["rte", "cola"])
    rows = [
        ("rte", "none", 4, 2, 1, None, 0.01, 0.02, 0.03),
        ("rte", "hellaswag", 4, 2, 1, None, 0.04, None, None),
        ("cola", "none", 4, 2, 1, None, 0.05, 0.06, 0.07),
    ]
    figure = components(pl.DataFrame(rows, schema=VARIANCE, orient="row"), study)
    drawn = [
        sorted((round(float(x), 6), int(y)) for line in ax.lines for x, y in line.get_xydata())
        for ax in figure.axes
    ]
    assert drawn == [[(1, 0), (2, 0), (3, 0), (4, 1)], [(5, 0), (6, 0), (7, 0)]]
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["hyperparameters", "seed", "examples"]


@pytest.mark.parametrize("targets", [["rte"], ["rte", "cola"]])
def test_sources_stand_from_top_to_bottom_in_the_grid_s_order(targets):
    study = study_of(["none", "hellaswag"], targets)
    rows = [(t, s, 4, 2, 1, None, 0.1, 0.1, 0.1) for t in targets for s in ("none", "hellaswag")]
    figure = components(pl.DataFrame(rows, schema=VARIANCE, orient="row"), study)
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["None", "HellaSwag"]
    assert ax.yaxis_inverted()


@pytest.mark.parametrize("draw", [components, flips])
def test_the_outermost_marks_are_shown_whole(draw):
    study = study_of(["none", "hellaswag"], ["rte"])
    variance = [("rte", "none", 4, 2, 1, None, 0.30, 0.41, 0.0), ("rte", "hellaswag", *[None] * 7)]
    flipped = [
        ("rte", "none", 1, 1, 0.41, *[None] * 5),
        ("rte", "hellaswag", 1, 1, 0.0, 1, 1, 0.4, 0.2, 0.2),
    ]
    schema, rows = {components: (VARIANCE, variance), flips: (FLIPS, flipped)}[draw]
    (ax,) = draw(pl.DataFrame(rows, schema=schema, orient="row"), study).axes
    low, high = ax.get_xlim()
    assert low < -1 and high > 42


def test_flips_are_drawn_in_percent_of_the_dev_examples_and_what_is_null_is_not():
    study = study_of(["none", "hellaswag"], ["rte"])
    rows = [
        ("rte", "none", 1, 1, 0.41, *[None] * 5),
        ("rte", "hellaswag", 1, 1, 0.1, 1, 1, 0.4, 0.3, 0.1),
    ]
    figure = flips(pl.DataFrame(rows, schema=FLIPS, orient="row"), study)
    lines = [[tuple(map(float, xy)) for xy in line.get_xydata()] for line in figure.axes[0].lines]
    assert lines == [[(41, 0), (10, 1)], [(40, 1)]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "two seeds", "source and None",
    ]  # fmt: skip


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_one_seed_flips_have_no_circles_no_row_of_none_and_no_word_on_them(seeds):
    study = study_of(["none", "hellaswag"], ["rte"])
    circle = (seeds - 1, seeds - 1, 0.1 if seeds > 1 else None)
    rows = [
        ("rte", "none", *circle, *[None] * 5),
        ("rte", "hellaswag", *circle, 1, 1, 0.4, 0.3, 0.1),
    ]
    frame = pl.DataFrame(rows, schema=FLIPS, orient="row")
    figure = flips(frame, study)
    (picture,) = (one for one in PICTURES if one.name == "flips")
    caption = picture.words(frame)
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "(squares)" in caption
    assert ticks == (["HellaSwag"] if seeds == 1 else ["None", "HellaSwag"])
    assert ("two seeds" in named) == ("circle" in caption) == (seeds > 1)
