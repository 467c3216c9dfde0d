"""Figure 2: how the scores of all runs spread, one panel per target, one violin per source."""

import math
from typing import cast

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from analysis.figures.palette import (
    GREEN,
    GREY,
    VERMILLION,
    colour_of_sources,
    darker,
    panel_titles,
    present,
    short,
    styled,
)
from analysis.stats.outcomes import outcome
from analysis.tables.latex import COLUMN, PAGE
from analysis.tables.presentation import in_metric, source_title, target_title
from stilt.study import Study

LETTER = 0.38 / len(" (MCC)")
"""Inches of a letter of a title."""
SLOT = 0.31
"""Inches that a violin needs for three numbers of 6 points."""
MARGIN = 0.32
"""Inches that a panel's y axis needs."""
PANEL = 1.75
"""Inches: height of a panel."""
LABEL = 5.8
"""Points: size of the annotated numbers."""
VECTORS = 500
"""Runs of a violin up to which each is a shape of its own in SVG and PDF; more are a picture."""
VISIBLE = 1.0
"""Score × 100 by which two lines differ that are seen apart."""
BEHIND = {"boxstyle": "round,pad=0.06", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
"""Keeps lines and points from crossing a number."""


@styled
def violins(cells: pl.DataFrame, study: Study) -> Figure:
    """Draws the scores of every source on every target.

    Each violin has its lowest, mean and best score written on it, times 100; runs are points, and
    crosses where they are degenerate, diverged ones at the best constant answer's. Under each
    violin stands how many runs were degenerate, and how many of the planned ones have not ended.

    Args:
        cells: rows of columns.FRAME with ``degenerate``, and with ``threshold`` where its line is
            wanted; only the stage ``target`` is drawn.
        study: for the names of tasks.

    Source: paper, Figure 2.
    """
    cells = cells.filter(pl.col("stage") == "target").with_columns(outcome())
    targets, sources = present(cells, "target"), present(cells, "source")
    across, rows = _grid(len(targets), len(sources))
    width = COLUMN if across * (len(sources) * SLOT + MARGIN) <= COLUMN else PAGE
    figure = Figure(figsize=(width, rows * PANEL + 0.75), layout="constrained")
    axes = figure.subplots(rows, across, squeeze=False)
    colours = colour_of_sources(sources)
    titles = panel_titles(
        (target_title(study, target) for target in targets), width, across,
        LETTER * max((len(in_metric(name)) for name in cells["metric"].unique()), default=0),
    )  # fmt: skip
    for place, ax in enumerate(axes.flat):
        if place >= len(targets):
            ax.set_axis_off()
            continue
        panel = cells.filter(pl.col("target") == targets[place])
        _panel(ax, panel, sources, colours)
        ax.set_title(titles[place] + in_metric(panel["metric"][0]), loc="left")
        last = place + across >= len(targets)
        names = short(
            (source_title(study, name) for name in sources),
            # slanted, they hang to the left: three narrow panels have no room for more
            14 if width == COLUMN and across > 2 else 22,
        )
        labels = ax.set_xticks(
            range(len(sources)), names if last else [], rotation=32, ha="right",
            rotation_mode="anchor",
        )  # fmt: skip
        for tick in labels if place < across * (rows - 1) else []:
            tick.label1.set_in_layout(False)  # hangs into the empty place below
    figure.supylabel("score × 100")
    handles = _legend(threshold=bool(thresholds(cells)))
    figure.legend(handles=handles, loc="outside upper center", ncols=3 if width > COLUMN else 2)
    figure.draw_without_rendering()
    for target, ax in zip(targets, axes.flat, strict=False):
        _annotate(ax, cells.filter(pl.col("target") == target), sources)
    return figure


def draw_violins(ax: Axes, cells: pl.DataFrame, study: Study, target: str) -> None:
    """Draws one target's panel on an axis of any figure, whose layout it settles.

    Args:
        ax: what is drawn on.
        cells: as for ``violins``; only the target's of the stage ``target`` are drawn.
        study: for the names of tasks.
        target: one of its tasks.
    """
    cells = cells.filter(pl.col("stage") == "target").with_columns(outcome())
    sources = present(cells, "source")
    panel = cells.filter(pl.col("target") == target)
    _panel(ax, panel, sources, colour_of_sources(sources))
    ax.set_title(target_title(study, target) + in_metric(panel["metric"][0]), loc="left")
    names = short((source_title(study, name) for name in sources), 22)
    ax.set_xticks(range(len(sources)), names, rotation=32, ha="right", rotation_mode="anchor")
    ax.set_ylabel("score × 100")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    _annotate(ax, panel, sources)


def thresholds(cells: pl.DataFrame) -> dict[str, float]:
    """Targets whose degenerate runs reach visibly above the best constant answer's score.

    Args:
        cells: as for ``violins``.

    Returns:
        Target -> highest score of a degenerate run, × 100.
    """
    if "threshold" not in cells.columns:
        return {}
    highest = cells.group_by("target", maintain_order=True).agg(
        pl.col("threshold", "majority").max() * 100
    )
    above = highest.filter(pl.col("threshold") - pl.col("majority") > VISIBLE)
    return dict(above.select("target", "threshold").iter_rows())


def _grid(panels: int, sources: int) -> tuple[int, int]:
    """Columns and rows of panels, so that each violin has room for its numbers."""
    most = max(1, min(panels, int(PAGE / (sources * SLOT + MARGIN))))
    rows = math.ceil(panels / most)
    return math.ceil(panels / rows), rows


def _panel(ax: Axes, panel: pl.DataFrame, sources: list[str], colours: dict[str, str]) -> None:
    """Draws one target: violins, points, baselines, and the counts below."""
    ended = panel.filter(pl.col("outcome").is_not_null())
    chance, majority = panel["chance"].max(), panel["majority"].max()
    lines = [float(value) * 100 for value in (chance, majority) if isinstance(value, float)]
    highest = list(thresholds(panel).values())
    low, high = _limits([*(ended["outcome"] * 100).to_list(), *lines, *highest])
    ax.set(xlim=(-0.6, len(sources) - 0.4), ylim=(low, high))
    if isinstance(majority, float):
        ax.axhline(majority * 100, color=GREY, linestyle=":", linewidth=0.8, zorder=1)
    if isinstance(chance, float):
        ax.axhline(chance * 100, color=GREEN, linestyle="--", linewidth=0.9, zorder=1)
    for height in highest:
        ax.axhline(height, color=VERMILLION, linewidth=0.5, zorder=1)
    for place, source in enumerate(sources):
        runs = panel.filter(pl.col("source") == source)
        _violin(ax, place, runs, colours[source])
    if ended.is_empty():
        ax.text(0.5, 0.6, _open(panel), transform=ax.transAxes, ha="center", color=GREY)


def _open(panel: pl.DataFrame) -> str:
    """Why a panel has no run to show, by what became of its cells."""
    failed = int((panel["status"] == "failed").sum())
    if not failed:
        return "no result yet"
    return "all runs failed" if failed == len(panel) else f"{failed} failed, no result yet"


def _limits(values: list[float]) -> tuple[float, float]:
    """Range of the y axis, with room for numbers above and counts below."""
    low, high = (min(values), max(values)) if values else (0.0, 100.0)
    span = max(high - low, 4.0)
    return low - 0.34 * span, high + 0.17 * span


def _violin(ax: Axes, place: int, runs: pl.DataFrame, colour: str) -> None:
    """Draws one source's runs at x = ``place``, and its counts at the foot of the panel."""
    ended = runs.filter(pl.col("outcome").is_not_null())
    scores = ended["outcome"].to_numpy() * 100
    if len(scores) > 1:
        parts = ax.violinplot(
            [scores], [place], widths=0.86, showextrema=False, points=80, facecolor=(colour, 0.28)
        )
        for body in cast("list[PolyCollection]", parts["bodies"]):
            body.set(edgecolor=darker(colour), linewidth=0.7, zorder=2)
    degenerate = ended["degenerate"].fill_null(False).to_numpy()
    across = place + _swarm(scores, *ax.get_ylim())
    healthy = ~degenerate
    many = len(scores) > VECTORS
    fade = 0.15 if many else 1.0
    ax.plot(
        across[healthy], scores[healthy], "o", ms=1.0 if many else 1.8, mew=0,
        color=darker(colour), zorder=3, alpha=fade, rasterized=many,
    )  # fmt: skip
    ax.plot(
        across[degenerate], scores[degenerate], "x", ms=2.6, mew=0.2 if many else 0.8,
        color=VERMILLION, zorder=4, alpha=fade, rasterized=many,
    )  # fmt: skip
    if len(scores) > 1:
        ax.plot([place - 0.2, place + 0.2], [scores.mean()] * 2, color="black", lw=0.9, zorder=5)
    count = int(ended["degenerate"].fill_null(False).sum())
    judged = ended["degenerate"].count()
    text = f"{count}/{len(ended)}" if judged else "–"
    if many and judged:
        text = f"{100 * count / len(ended):.1f} %"
    if len(ended) < len(runs):
        text += f"\n{len(runs) - len(ended)} open"
    ax.annotate(
        text, (place, 0), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", va="bottom", fontsize=5.3, linespacing=1.0,
        color=VERMILLION if count else "#555555",
    )  # fmt: skip


def _swarm(scores: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Sideways shifts that part points of nearly equal score; the same for the same scores.

    Args:
        scores: (N,).
        low: lower end of the axis, in the scores' unit.
        high: its upper end.

    Returns:
        (N,), in x units, within 0.3 of 0.
    """
    shifts = np.zeros(len(scores))
    heights = np.floor((scores - low) / (high - low) * 70).astype(int)
    for height in np.unique(heights):
        (level,) = np.nonzero(heights == height)
        step = min(0.09, 0.6 / len(level))
        shifts[level] = (np.arange(len(level)) - (len(level) - 1) / 2) * step
    return shifts


def _annotate(ax: Axes, panel: pl.DataFrame, sources: list[str]) -> None:
    """Writes lowest, mean and best of each violin; the outer two give way to the mean.

    The panel's layout must be done: how far apart two numbers are is known only then.
    """
    low, high = ax.get_ylim()
    unit = (high - low) / (ax.bbox.height / ax.figure.dpi * 72)
    for place, source in enumerate(sources):
        scores = panel.filter(pl.col("source") == source)["outcome"].drop_nulls().to_numpy() * 100
        if not len(scores):
            continue
        mean, gap = scores.mean(), (LABEL + 0.8) * unit
        heights = {
            "mean": mean + 0.5 * gap,
            "best": max(scores.max() + 0.65 * gap, mean + 1.5 * gap),
        }
        heights["lowest"] = min(scores.min() - 0.65 * gap, mean - 0.6 * gap)
        values = {"mean": mean, "best": scores.max(), "lowest": scores.min()}
        if len(scores) == 1:
            heights = {"best": heights["best"] - 0.5 * gap}
        for name, height in heights.items():
            ax.text(
                place, height, f"{values[name]:.1f}", ha="center", va="center", fontsize=LABEL,
                fontweight="bold" if name == "mean" else "normal", zorder=6,
                bbox=BEHIND,
            )  # fmt: skip


def _legend(*, threshold: bool) -> list[Line2D | Patch]:
    """Explains the marks that every panel has, and the ``threshold`` that some have."""
    highest = Line2D([], [], color=VERMILLION, lw=0.5, label="degenerate up to here")
    return [
        Line2D([], [], color="none", marker="o", ms=2.5, mfc="#444444", mew=0, label="run"),
        Line2D([], [], color="none", marker="x", ms=3.5, mec=VERMILLION, label="degenerate run"),
        Line2D([], [], color="black", lw=0.9, label="mean"),
        Line2D([], [], color=GREEN, ls="--", lw=0.9, label="random guess"),
        Line2D([], [], color=GREY, ls=":", lw=0.8, label="constant answer"),
        *([highest] if threshold else []),
        Patch(facecolor="none", edgecolor="none", label="foot: degenerate / ended"),
    ]
