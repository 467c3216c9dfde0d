"""Where the variance of a run's score comes from: one panel per target, one mark per cause."""

import polars as pl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.palette import (
    BLUE,
    COLUMN,
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
from analysis.stats.variance import CAUSES
from analysis.tables.presentation import source_title, target_title
from stilt.study import Study

COLOURS = dict(zip(CAUSES, map(darker, (BLUE, ORANGE, PURPLE, GREEN)), strict=True))
MARKS = dict(zip(CAUSES, MARKERS, strict=False))


@styled
def components(variance: pl.DataFrame, study: Study) -> Figure:
    """Draws the standard deviation that a run's score would have if one thing alone varied.

    Args:
        variance: ``analysis.stats.variance.variance_components``; what is null is not drawn.
        study: for the names of tasks.
    """
    targets, sources = present(variance, "target"), present(variance, "source")
    names = (target_title(study, target) for target in targets)
    figure, axes = panels(names, 3, (0.9 + 0.18 * len(sources), 1.3), sharey=True)
    titles = short((source_title(study, name) for name in sources), 16)
    for target, ax in zip(targets, axes, strict=True):
        panel = variance.filter(pl.col("target") == target)
        for cause in CAUSES:
            there = panel.drop_nulls(cause)
            ax.plot(
                there[cause] * 100, [sources.index(name) for name in there["source"]],
                linestyle="none", marker=MARKS[cause], ms=3.4, color=COLOURS[cause],
                fillstyle="none",
            )  # fmt: skip
        ax.set_yticks(range(len(sources)), titles)
        ax.set_ylim(len(sources) - 0.5, -0.5)
        # a mark at 0 is shown whole
        ax.set_xlim(left=-0.04 * ax.get_xlim()[1])
        ax.grid(axis="both")
    figure.supxlabel("SD of a score × 100, if this alone varied")
    figure.legend(
        handles=[
            Line2D(
                [], [], linestyle="none", marker=MARKS[cause], ms=3.4, color=COLOURS[cause],
                fillstyle="none", label=cause.replace("_", " "),
            )
            for cause in CAUSES
            if variance[cause].count()
        ],
        loc="outside upper center",
        ncols=4 if figure.get_figwidth() > COLUMN else 2,
    )  # fmt: skip
    return figure
