"""Mean score by learning rate and batch size, one map per target and source."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.figures.palette import present, short, styled
from analysis.stats.outcomes import outcome
from analysis.tables.latex import COLUMN, PAGE
from analysis.tables.presentation import number, source_title, target_title
from stilt.study import Study

COLOURS = "cividis"
"""Colour map whose lightness rises evenly, for every kind of colour vision and for grey print."""
SLANTED = {"rotation": 40, "ha": "left", "rotation_mode": "anchor", "x": 0.15}
"""How names of sources stand above columns too narrow for them."""
WRITTEN = 0.24
"""Inches: narrowest field that has room for its number."""


@styled
def heatmap(cells: pl.DataFrame, study: Study) -> Figure:
    """Draws the mean score x 100 over warmup ratios and seeds, with the number of degenerate runs.

    A row of maps has one colour scale, since scores of two targets do not compare. A field of which
    no run has ended is hatched.

    Args:
        cells: rows of columns.FRAME with ``degenerate``; only the stage ``target`` is drawn.
        study: for the names of tasks.
    """
    cells = cells.filter(pl.col("stage") == "target")
    targets, sources = present(cells, "target"), present(cells, "source")
    rates = cells["learning_rate"].unique().sort().to_list()
    batches = cells["batch_size"].unique().sort(descending=True).to_list()
    width = COLUMN if len(sources) * max(len(rates), 2) * 0.3 <= COLUMN - 1 else PAGE
    names = short((target_title(study, name) for name in targets), 16)
    tall = max(0.2 * len(batches), 0.06 * max(map(len, names)) + 0.1)
    titles = short((source_title(study, name) for name in sources), 22)
    slant = max(map(len, titles)) > 14 * (width - 1.1) / len(sources)
    height = len(targets) * (tall + 0.16) + (1.45 if slant else 0.85)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(targets), len(sources), squeeze=False)
    field = (width - 1.1) / (len(sources) * len(rates))
    for row, target in enumerate(targets):
        maps = [
            _means(cells.filter((pl.col("target") == target) & (pl.col("source") == source)),
                   rates, batches)
            for source in sources
        ]  # fmt: skip
        scale = _scale([means for means, _ in maps])
        for column, (means, counts) in enumerate(maps):
            ax = axes[row, column]
            image = ax.imshow(means, cmap=COLOURS, vmin=scale[0], vmax=scale[1], aspect="auto")
            _write(ax, means, counts, scale, field)
            last = row == len(targets) - 1
            ax.set_xticks(range(len(rates)), [number(x) for x in rates] if last else [],
                          rotation=90 if field < 0.3 else 0)  # fmt: skip
            ax.set_yticks(range(len(batches)), batches if column == 0 else [])
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            if row == 0:
                ax.set_title(titles[column], fontsize=7, **SLANTED if slant else {})
            if column == 0:
                ax.set_ylabel(names[row], fontsize=6.5)
        bar = figure.colorbar(image, ax=axes[row, :].tolist(), aspect=12, pad=0.01, fraction=0.03)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=5.5)
        bar.ax.locator_params(nbins=3)
    figure.supxlabel("learning rate")
    figure.supylabel("batch size")
    note = "mean score × 100; ×n: degenerate runs" if field >= WRITTEN else "mean score × 100"
    figure.suptitle(note, fontsize=6.5)
    return figure


def _means(
    cells: pl.DataFrame, rates: list[float], batches: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean scores x 100 (NaN where there is none) and degenerate counts, each (batches, rates)."""
    shape = len(batches), len(rates)
    means, counts = np.full(shape, np.nan), np.zeros(shape, np.int64)
    grouped = cells.group_by("learning_rate", "batch_size", maintain_order=True).agg(
        outcome().mean() * 100, pl.col("degenerate").sum()
    )
    for rate, batch, mean, degenerate in grouped.iter_rows():
        place = batches.index(batch), rates.index(rate)
        means[place] = np.nan if mean is None else mean
        counts[place] = degenerate
    return means, counts


def _scale(maps: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Common colour range of a row of maps."""
    values = np.concatenate([means[np.isfinite(means)] for means in maps])
    if not len(values):
        return 0.0, 1.0
    return float(values.min()), float(max(values.max(), values.min() + 0.1))


def _write(
    ax: Axes,
    means: NDArray[np.float64],
    counts: NDArray[np.int64],
    scale: tuple[float, float],
    field: float,
) -> None:
    """Writes the numbers into the fields, and hatches the empty ones."""
    for (row, column), mean in np.ndenumerate(means):
        if not np.isfinite(mean):
            corner = (column - 0.5, row - 0.5)
            ax.add_patch(
                Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="#999999", lw=0)
            )
            continue
        if field < WRITTEN:
            continue
        light = (mean - scale[0]) / (scale[1] - scale[0]) > 0.5
        degenerate = f" ×{counts[row, column]}" if counts[row, column] else ""
        ax.text(
            column, row, f"{mean:.1f}{degenerate}" if field > 0.38 else f"{mean:.0f}{degenerate}",
            ha="center", va="center", fontsize=5.5, color="black" if light else "white",
        )  # fmt: skip
