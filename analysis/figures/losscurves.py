"""Training loss of degenerate runs against the others, one panel per target."""

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.figures.palette import BLUE, GREEN, VERMILLION, panels, present, styled
from analysis.tables.latex import COLUMN
from analysis.tables.presentation import target_title
from stilt.schedule import plan_updates
from stilt.study import Study
from stilt.task import Task

PROGRESS = np.linspace(0, 1, 51)
"""Shares of a run's planned updates at which its loss is read: runs of different length become
comparable, and one that diverged ends where it did."""
COUNTS = 0.38
"""Inches: width of the two counts beside a panel's title."""
SINGLES = 8
"""Runs of each kind that are drawn one by one, besides their median and spread."""


@styled
def losses(cells: pl.DataFrame, study: Study) -> Figure:
    """Draws the loss over the course of training: healthy runs solid, degenerate ones dashed.

    Thick lines are medians, bands span the 10th to the 90th percentile, thin lines are runs picked
    evenly by their last loss. A loss that is no longer finite ends its line; one beyond twice
    that of an even guess leaves the panel at the top. The axis begins at 0, unless all curves lie
    in the upper half.

    Args:
        cells: rows of columns.FRAME with ``degenerate``; rows without a curve are left out.
        study: for the names of tasks.
    """
    drawn = cells.filter((pl.col("stage") == "target") & (pl.col("loss").list.len() > 0))
    targets = present(drawn, "target")
    names = (target_title(study, target) for target in targets)
    figure, axes = panels(names, 4, (1.45, 0.7), COUNTS, sharex=True)
    for target, ax in zip(targets, axes, strict=True):
        _panel(ax, drawn.filter(pl.col("target") == target), study.tasks[target])
    figure.supxlabel("share of the planned updates")
    numbers = (drawn["kind"] == "regression").any()
    figure.supylabel(f"training loss ({'nats, or squared error' if numbers else 'nats'})")
    figure.legend(
        handles=[
            Line2D([], [], color=BLUE, label="healthy runs (first count)"),
            Line2D([], [], color=VERMILLION, ls=(0, (4, 1.5)), label="degenerate runs (second)"),
            Line2D([], [], color=GREEN, ls=":", label="ln K: even guess"),
        ],
        loc="outside upper center",
        ncols=3 if figure.get_figwidth() > COLUMN else 2,
    )
    return figure


def _panel(ax: Axes, panel: pl.DataFrame, task: Task) -> None:
    """Draws one target."""
    # no loss of regression is that of an even guess
    even = math.nan if task.kind == "regression" else math.log(task.outputs)
    ax.axhline(even, color=GREEN, linestyle=":", linewidth=0.9, zorder=1)
    count, lowest, highest = {}, even, even
    for flag, colour, dash in ((False, BLUE, "-"), (True, VERMILLION, (0, (4, 1.5)))):
        runs = panel.filter(pl.col("degenerate").fill_null(False) == flag)
        count[flag] = len(runs)
        if runs.is_empty():
            continue
        curves = _curves(runs["loss"], _planned(runs, task))
        singles = curves[_picked(curves)]
        for curve in singles:
            ax.plot(PROGRESS, curve, color=colour, linestyle=dash, lw=0.35, alpha=0.55, zorder=2)
        low, middle, high = _percentiles(curves)
        lowest = np.fmin.reduce([lowest, *singles.flat, *low])
        highest = np.fmax.reduce([highest, *curves[:, 0], *high])
        ax.fill_between(PROGRESS, low, high, color=colour, alpha=0.15, lw=0, zorder=2)
        ax.plot(PROGRESS, middle, color=colour, linestyle=dash, lw=1.4, zorder=3)
    ax.set_xlim(0, 1)
    # where every run of a regression target diverged at once, there is no loss to show
    if np.isfinite(highest):
        ax.set_ylim(_limits(float(lowest), float(np.fmin(highest, 2 * even))))
    ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    ax.annotate(f"{count[False]} + {count[True]}", (1, 1), (0, 4), xycoords="axes fraction",
                textcoords="offset points", ha="right", fontsize=6, color="#555555")  # fmt: skip


def _limits(lowest: float, highest: float) -> tuple[float, float]:
    """Range of the y axis: from 0, unless that left more than half of the panel empty."""
    high = 1.04 * highest
    return (lowest - 0.08 * (high - lowest) if lowest > high / 2 else 0.0), high


def _planned(runs: pl.DataFrame, task: Task) -> list[int]:
    """Updates that each run would make if nothing stopped it."""
    totals = {
        (rows, batch): plan_updates(
            rows=rows,
            epochs=task.epochs,
            batch_size=batch,
            warmup_ratio=0.0,
            micro_batch=task.micro_batch,
        ).total
        for rows, batch in runs.select("train_rows", "batch_size").unique().iter_rows()
    }
    return [totals[pair] for pair in runs.select("train_rows", "batch_size").iter_rows()]


def _curves(runs: pl.Series, planned: list[int]) -> NDArray[np.float64]:
    """Losses of runs at ``PROGRESS``: (runs, progress).

    Args:
        runs: of each its points ``{"step": update, "value": mean loss since the last point}``.
        planned: updates of each if nothing had stopped it.
    """
    points = runs.explode().struct
    steps = points.field("step").cast(pl.Float64).to_numpy()
    values = points.field("value").fill_null(np.nan).to_numpy()
    ends = np.cumsum(runs.list.len().to_numpy())[:-1]
    each = zip(np.split(steps, ends), np.split(values, ends), planned, strict=True)
    return np.stack([_curve(*run) for run in each])


def _curve(
    steps: NDArray[np.float64], values: NDArray[np.float64], planned: int
) -> NDArray[np.float64]:
    """One run's loss at ``PROGRESS``; NaN from the first value that is not finite on."""
    share = steps / planned
    broken = np.nonzero(~np.isfinite(values))[0]
    end = broken[0] if len(broken) else len(values)
    if end == 0:
        return np.full(len(PROGRESS), np.nan)
    return np.asarray(np.interp(PROGRESS, share[:end], values[:end], right=np.nan))


def _percentiles(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """10th, 50th and 90th percentile over runs that still have a loss: (3, progress)."""
    shown = np.full((3, curves.shape[1]), np.nan)
    alive = np.isfinite(curves).any(axis=0)
    shown[:, alive] = np.nanpercentile(curves[:, alive], (10, 50, 90), axis=0)
    return shown


def _picked(curves: NDArray[np.float64]) -> list[int]:
    """Rows of at most ``SINGLES`` curves, spread evenly over their last losses."""
    last = np.nan_to_num(curves[:, -1], nan=np.inf)
    order = np.argsort(last, kind="stable")
    places = np.linspace(0, len(order) - 1, min(SINGLES, len(order))).round().astype(int)
    return sorted({int(order[place]) for place in places})
