"""Figure 3: improvement over ``none`` against the training size of the intermediate task."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.palette import GREY, MARKERS, TARGETS, in_turn, panels, present, short, styled
from analysis.stats.improvements import improvements, sized_tasks
from analysis.tables.latex import COLUMN
from analysis.tables.presentation import target_title, thousands
from stilt.study import Study


@styled
def sizes(cells: pl.DataFrame, study: Study) -> Figure:
    """Draws best (solid) and mean (dashed) improvement over ``none`` against training rows.

    Where a source has several seeds, the line goes through their mean and a bar spans them.

    Args:
        cells: rows of columns.FRAME, of a study with ``sized_tasks``.
        study: for names and sizes of tasks.

    Source: paper, Figure 3.
    """
    gains = improvements(cells, study).filter(pl.col("runs") > 0)
    tasks, targets = sized_tasks(cells), present(cells, "target")
    targets = [name for name in targets if name in set(gains["target"])]
    names = (target_title(study, task) for task in tasks)
    figure, axes = panels(names, 2, (2.1, 0.5), sharey=True)
    colours, markers = in_turn(targets, TARGETS), in_turn(targets, MARKERS)
    for task, ax in zip(tasks, axes, strict=True):
        ax.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        ax.grid(axis="y")
        for place, target in enumerate(targets):
            lines = gains.filter((pl.col("task") == task) & (pl.col("target") == target))
            aside = 1.02 ** (place - (len(targets) - 1) / 2)
            _size_lines(ax, lines, colours[target], markers[target], aside)
        _size_axis(ax, gains.filter(pl.col("task") == task))
    figure.supxlabel("training rows of the intermediate task")
    figure.supylabel("improvement over None × 100")
    titles = short((target_title(study, target) for target in targets), 20)
    handles = [
        Line2D([], [], color=colours[target], marker=markers[target], label=title)
        for target, title in zip(targets, titles, strict=True)
    ]
    handles.append(Line2D([], [], color="black", label="best"))
    handles.append(Line2D([], [], color="black", ls=(0, (3, 1.5)), label="mean"))
    wide = figure.get_figwidth() > COLUMN
    figure.legend(handles=handles, loc="outside upper center", ncols=5 if wide else 3)
    return figure


def _size_lines(ax: Axes, lines: pl.DataFrame, colour: str, marker: str, aside: float) -> None:
    """Draws one target's two lines, moved ``aside`` by a factor so that no mark hides another."""
    for name, dash, face in (("best", "-", colour), ("mean", (0, (3, 1.5)), "white")):
        spread = lines.group_by("rows", maintain_order=True).agg(
            (pl.col(name).mean() * 100).alias("middle"),
            (pl.col(name).min() * 100).alias("low"),
            (pl.col(name).max() * 100).alias("high"),
        )
        spread = spread.with_columns(pl.col("rows").fill_null(_beyond(lines))).sort("rows")
        middle = spread["middle"]
        # a mean of equal values may be rounded to either side of them
        below, above = (middle - spread["low"]).clip(0), (spread["high"] - middle).clip(0)
        ax.errorbar(
            spread["rows"] * aside, middle, [below, above],
            color=colour, linestyle=dash, marker=marker, mfc=face, mew=0.8, elinewidth=0.6,
            capsize=1.2 if (spread["high"] > spread["low"]).any() else 0,
        )  # fmt: skip


def _beyond(lines: pl.DataFrame) -> int:
    """Where a source of unknown size stands: right of all others."""
    largest = lines["rows"].max()
    return 2 * largest if isinstance(largest, int) else 1


def _size_axis(ax: Axes, gains: pl.DataFrame) -> None:
    """Puts a tick at each size, on a logarithmic axis."""
    known = gains["rows"].drop_nulls().unique().sort().to_list()
    ticks = {size: thousands(size) for size in known}
    if gains["rows"].null_count():
        ticks[_beyond(gains)] = "all"
    ax.set_xscale("log")
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()
    ax.margins(x=0.12)
