"""A study's results in Python: as a frame, and as a figure. ``import stilt`` shows both."""

import polars as pl
from matplotlib.axes import Axes

from analysis.figures.violins import draw_violins
from analysis.read.collect import collect
from analysis.read.columns import NARROW
from analysis.stats.degenerate import DEFAULT, degenerate, threshold
from stilt.errors import ConfigError, unknown
from stilt.folder import StudyFolder, read_study


def results(study: StudyFolder) -> pl.DataFrame:
    """Every cell of a study, with its result where it has one.

    Columns are those of ``cells.csv``, among them ``cell`` (its id), ``source``, ``target``, the
    hyperparameters, ``status`` (ok, diverged, failed, missing) and ``score`` (a fraction), and
    ``degenerate``, by the default definition.

    Args:
        study: what ``define_study`` or ``open_study`` gave.

    Raises:
        ConfigError: The folder is no study.

    >>> import stilt
    >>> cells = stilt.results(stilt.open_study("tiny"))
    >>> cells.group_by("source", "target", maintain_order=True).len().rows()
    [('none', 'rte', 4), ('none', 'cola', 4), ('hellaswag', 'rte', 4), ('hellaswag', 'cola', 4)]
    """
    cells = collect(study, read_study(study), NARROW).cells
    return cells.with_columns(degenerate(DEFAULT))


def violins(
    study: StudyFolder, target: str, axis: Axes, *, cells: pl.DataFrame | None = None
) -> None:
    """Draws the scores of every source on one target, as the report does, on a given axis.

    Args:
        study: what ``define_study`` or ``open_study`` gave.
        target: name of a task.
        axis: what is drawn on; its limits, ticks and title are set.
        cells: some of the rows of ``results(study)``; all where absent.

    Raises:
        ConfigError: The study has no such target.

    >>> import matplotlib.pyplot as plt
    >>> import stilt
    >>> figure, axis = plt.subplots()
    >>> stilt.violins(stilt.open_study("tiny"), "rte", axis)
    >>> axis.get_title(loc="left")
    'RTE'
    """
    cells = results(study) if cells is None else cells
    targets = cells.filter(pl.col("stage") == "target")["target"].unique(maintain_order=True)
    if target not in targets:
        raise ConfigError(unknown("target", target, targets))
    draw_violins(axis, cells.with_columns(threshold(DEFAULT)), read_study(study), target)
