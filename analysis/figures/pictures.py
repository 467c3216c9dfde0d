"""The figures of a study: which of them make sense for it, what each shows, and their files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from analysis.figures.components import components
from analysis.figures.flips import flips
from analysis.figures.heatmap import heatmap
from analysis.figures.losscurves import losses
from analysis.figures.palette import save
from analysis.figures.sizes import sizes
from analysis.figures.tuning import tuning
from analysis.figures.violins import thresholds, violins
from analysis.stats.improvements import sized_tasks
from analysis.stats.outcomes import CONVENTION, outcome
from analysis.stats.scope import FIXED
from analysis.tables.presentation import TITLES
from stilt.study import Study


@dataclass(frozen=True)
class Picture:
    """One figure: its files' name, its words, how it is drawn and when."""

    name: str
    title: str
    caption: str | Callable[[pl.DataFrame], str]
    """What it shows; made from the frame where that leaves some of it out."""
    draw: Callable[[pl.DataFrame, Study], Figure]
    fits: Callable[[pl.DataFrame], bool]
    """Whether the frame has what the figure shows."""
    frame: str = "cells"
    """Which frame is drawn: the cells of the stage ``target``, or one made from them."""

    def words(self, frame: pl.DataFrame) -> str:
        """The caption of the figure that such a frame gives."""
        return self.caption if isinstance(self.caption, str) else self.caption(frame)


def _any(cells: pl.DataFrame) -> bool:
    return not cells.is_empty()


def _ended(cells: pl.DataFrame) -> bool:
    return cells.select(outcome()).to_series().count() > 0


def _varied(cells: pl.DataFrame) -> bool:
    axes = cells.select("learning_rate", "batch_size").unique()
    return _ended(cells) and len(axes) > 1


def _sized(cells: pl.DataFrame) -> bool:
    sized = pl.col("source_task").is_in(sized_tasks(cells))
    return _ended(cells.filter(sized)) and _ended(cells.filter(pl.col("source") == "none"))


def _curved(cells: pl.DataFrame) -> bool:
    return bool((cells["loss"].list.len() > 0).any())


def _answered(frame: pl.DataFrame) -> bool:
    return frame["seed_flips"].count() + frame["none_flips"].count() > 0


def _of_violins(cells: pl.DataFrame) -> str:
    highest = (
        "The thin line in the crosses' colour is the highest score of a degenerate run, 1.645 "
        "standard errors above the best constant answer's. "
    )
    return (
        "Each violin holds the runs of one source on one target; its lowest, mean and best score × "
        "100 are written on it. Points are runs, crosses degenerate ones. The green dashed line is "
        "the score of a random guess, the grey dotted one that of the best constant answer. "
        f"{highest if thresholds(cells) else ''}At the foot stand the degenerate runs of those "
        f"that ended, and how many are still open (no result). {CONVENTION}"
    )


def _of_flips(frame: pl.DataFrame) -> str:
    seeds = "two seeds of one source (circles)"
    source = "the source and None with equal hyperparameters and seed (squares)"
    kinds = [("seed_flips", seeds), ("none_flips", source)]
    shown = [words for column, words in kinds if frame[column].count()]
    beside = (
        "A square to the right of its row's circle is a change that the seed alone does not "
        "explain. "
    )
    return (
        "Share of the dev examples that two runs answer differently, in percent, on average over "
        f"pairs of runs: {', and '.join(shown)}. {beside if len(shown) == len(kinds) else ''}"
        f"Diverged runs answer nothing. Estimates for {FIXED}, without intervals."
    )


PICTURES = (
    Picture(
        "violins",
        "Scores of all runs",
        _of_violins,
        violins,
        _any,
    ),
    Picture(
        "sizes",
        "Improvement against the intermediate training size",
        "Best (solid) and mean (dashed) improvement over None, × 100, for each number of training "
        "rows of the intermediate task. Only hyperparameters whose runs ended on both sides count. "
        f"Bars span the seeds of a source that has several. {CONVENTION}",
        sizes,
        _sized,
    ),
    Picture(
        "expected_best",
        "Expected best score against the number of trials",
        "What the best of k trials drawn from this grid without replacement scores on average, "
        f"× 100. {CONVENTION}",
        tuning,
        _ended,
    ),
    Picture(
        "variance",
        TITLES["variance"],
        "Standard deviation that a run's score × 100 would have if one thing alone varied: the "
        "source's seed, the hyperparameters, the seed, or the dev examples (a dev set of this "
        "size, the same for all runs). What has one value alone has no mark. Estimates for this "
        f"grid, without intervals. {CONVENTION}",
        components,
        _any,
        "variance",
    ),
    Picture(
        "flips",
        "Answers that flip with the seed, and with the source",
        _of_flips,
        flips,
        _answered,
        "flips",
    ),
    Picture(
        "heatmap",
        "Mean score by learning rate and batch size",
        "Mean score × 100 over warmup ratios and seeds; ×n counts degenerate runs. Each target has "
        f"a colour scale of its own. Hatched: no run has ended. {CONVENTION}",
        heatmap,
        _varied,
    ),
    Picture(
        "losses",
        "Training loss of degenerate and healthy runs",
        "Median (thick) and 10th to 90th percentile (band) of the training loss over the course of "
        "a run, for healthy runs (solid) and degenerate ones (dashed), with up to eight single "
        "runs of each. A diverged run's curve ends where its loss is no longer finite. The green "
        "dotted line is ln K, the loss of an even guess; a regression, whose loss is the squared "
        "error, has none.",
        losses,
        _curved,
    ),
)
"""Every figure, in the order of the report."""


def write_figures(
    cells: pl.DataFrame,
    study: Study,
    folder: Path,
    frames: Mapping[str, pl.DataFrame] | None = None,
) -> list[Path]:
    """Draws and writes the figures that make sense for these cells, as PNG, PDF and SVG.

    Args:
        cells: rows of ``columns.FRAME`` with the column ``degenerate``.
        study: for the names of tasks.
        folder: where the files go; files of figures that make no sense are removed from it.
        frames: made from these cells, by name; figures of a frame that is not there make no sense.

    Returns:
        The files' paths, in the order of ``PICTURES``; the same cells give the same bytes.
    """
    known = {**(frames or {}), "cells": cells.filter(pl.col("stage") == "target")}
    paths: list[Path] = []
    for picture in PICTURES:
        drawn = known.get(picture.frame)
        if drawn is not None and picture.fits(drawn):
            paths += save(picture.draw(drawn, study), folder, picture.name)
        else:
            for kind in ("png", "pdf", "svg"):
                (folder / f"{picture.name}.{kind}").unlink(missing_ok=True)
    return paths
