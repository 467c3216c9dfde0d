"""Where the variance of a run's score comes from: one panel per target, one mark per cause."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.palette import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PURPLE,
    darker,
    panels,
    present,
    short,
    styled,
)
from analysis.spread.variance import CAUSES
from analysis.tables.latex import COLUMN
from analysis.tables.presentation import source_title, target_title
from stilt.study import Study

COLOURS = dict(zip(CAUSES, map(darker, (BLUE, ORANGE, PURPLE, GREEN)), strict=True))
MARKS = {cause: (mark, COLOURS[cause]) for cause, mark in zip(CAUSES, MARKERS, strict=False)}


@styled
def components(variance: pl.DataFrame, study: Study) -> Figure:
    """Draws the standard deviation that a run's score would have if one thing alone varied.

    Args:
        variance: ``analysis.spread.variance.variance_components``; what is null is not drawn.
        study: for the names of tasks.
    """
    names = {cause: cause.replace("_", " ") for cause in CAUSES}
    return dots(variance, study, names, MARKS, "SD of a score × 100, if this alone varied")


def dots(
    frame: pl.DataFrame,
    study: Study,
    names: Mapping[str, str],
    marks: Mapping[str, tuple[str, Any]],
    axis: str,
) -> Figure:
    """Draws a panel for each target with a row for each source, and in it a mark for each column.

    Args:
        frame: ``target``, ``source`` and columns of fractions, drawn × 100; nulls are not.
        study: for the names of tasks.
        names: column -> what the legend calls it.
        marks: column -> shape and colour.
        axis: what is drawn.
    """
    targets, sources = present(frame, "target"), present(frame, "source")
    titles = (target_title(study, target) for target in targets)
    figure, axes = panels(titles, 3, (0.9 + 0.18 * len(sources), 1.3), sharey=True)
    rows = short((source_title(study, name) for name in sources), 16)

    def look(column: str) -> dict[str, Any]:
        shape, colour = marks[column]
        return {
            "linestyle": "none", "marker": shape, "ms": 3.4, "color": colour, "fillstyle": "none",
        }  # fmt: skip

    for target, ax in zip(targets, axes, strict=True):
        panel = frame.filter(pl.col("target") == target)
        for column in names:
            there = panel.drop_nulls(column)
            places = [sources.index(name) for name in there["source"]]
            ax.plot(there[column] * 100, places, **look(column))
        ax.set_yticks(range(len(sources)), rows)
        ax.set_ylim(len(sources) - 0.5, -0.5)
        # the outermost marks are shown whole, one at 0, too
        most = float(np.nanmax(panel.select(*names).cast(pl.Float64).to_numpy(), initial=0)) * 100
        ax.set_xlim(-0.04 * (most or 1), 1.06 * (most or 1))
        ax.grid(axis="both")
    figure.supxlabel(axis)
    figure.legend(
        handles=[
            Line2D([], [], label=name, **look(column))
            for column, name in names.items()
            if frame[column].count()
        ],
        loc="outside upper center",
        ncols=4 if figure.get_figwidth() > COLUMN else 2,
    )
    return figure
