"""Expected best score against the number of trials, one panel per target, one line per source."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.palette import (
    DASHES,
    GREY,
    MARKERS,
    colour_of_sources,
    darker,
    in_turn,
    panels,
    present,
    short,
    styled,
)
from analysis.stats.summary import best_against_trials
from analysis.tables.latex import COLUMN
from analysis.tables.presentation import source_title, target_title
from stilt.study import Study

BUDGETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Ticks of the axis of trials."""


@styled
def tuning(cells: pl.DataFrame, study: Study) -> Figure:
    """Draws what the best of k trials of the grid scores on average, for every k.

    A diverged run uses up a trial (``analysis.stats.outcomes``); a missing one is none.

    Args:
        cells: rows of columns.FRAME; only the stage ``target`` is drawn.
        study: for the names of tasks.

    Source: Dodge et al. 2019, with the exact estimator ``inference.expected_best``.
    """
    cells = cells.filter(pl.col("stage") == "target")
    targets, sources = present(cells, "target"), present(cells, "source")
    curves = best_against_trials(cells)
    names = (target_title(study, target) for target in targets)
    figure, axes = panels(names, 4, (1.5, 0.8))
    colours = {name: darker(colour) for name, colour in colour_of_sources(sources).items()}
    dashes, markers = in_turn(sources, DASHES), in_turn(sources, MARKERS)
    for target, ax in zip(targets, axes, strict=True):
        panel = curves.filter(pl.col("target") == target)
        for source in sources:
            line = panel.filter(pl.col("source") == source)
            ax.plot(
                line["trials"], line["expected"] * 100, color=colours[source],
                linestyle=dashes[source], marker=markers[source], ms=2.6, lw=0.9,
                markevery=_marked(len(line)),
            )  # fmt: skip
        _axis(ax, panel["trials"].to_list())
    figure.supxlabel("trials")
    figure.supylabel("expected best × 100")
    titles = short((source_title(study, name) for name in sources), 22)
    figure.legend(
        handles=[
            Line2D(
                [], [], color=colours[source], ls=dashes[source], marker=markers[source],
                ms=2.6, lw=0.9, label=title,
            )
            for source, title in zip(sources, titles, strict=True)
        ],
        loc="outside upper center",
        ncols=4 if figure.get_figwidth() > COLUMN else 2,
        handlelength=3.2,
    )  # fmt: skip
    return figure


def _marked(count: int) -> list[int]:
    """Places of the marks on a line: the ticks and its end."""
    return sorted({budget - 1 for budget in BUDGETS if budget < count / 1.3} | {max(count - 1, 0)})


def _axis(ax: Axes, trials: list[int]) -> None:
    """A logarithmic axis of trials from 1 to the most that any source has."""
    most = max(trials, default=1)
    ax.set_xscale("log")
    ticks = [*(budget for budget in BUDGETS if budget <= most / 1.3), most]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.grid(axis="y")
    if not trials:
        ax.text(0.5, 0.5, "no result yet", transform=ax.transAxes, ha="center", color=GREY)
