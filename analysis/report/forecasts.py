"""Predicted seconds of a study's runs beside those that they took."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

import polars as pl

from analysis.read.collect import Collection
from analysis.report.costs import runs_of
from analysis.tables.presentation import Section, TextTable, target_title
from stilt.errors import ConfigError
from stilt.system.units import counted
from stilt.training.speed.calibration import Calibration, read_calibration
from stilt.training.speed.forecast import forecast

HEADER = ("task", "runs", "predicted, s", "took, s", "error")
STAGES = {"source": "Sources", "target": "Targets"}
"""Runs that train, and what the table calls them."""


def predictions(collection: Collection) -> tuple[str, TextTable] | None:
    """How well the calibration that a study was planned by predicts its runs, in words and a table.

    By the calibration alone: the forecast of a submit is also refined by runs that have ended. Of
    runs that trained to their end, for this study and on the calibrated device; None without any.
    """
    found = _calibration(collection)
    if found is None:
        return None
    study = collection.study
    predict = forecast(study, found, found.settings[0]).base
    compared = runs_of(collection).filter(
        pl.col("taken_from").is_null(),
        pl.col("status") == "ok",
        pl.col("stage").is_in(list(STAGES)),
        pl.col("device") == found.device,
    )
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for item, stage, task, took in compared.select("cell", "stage", "target", "seconds").rows():
        if item in study.runs and took:
            pairs[STAGES[stage], task].append((predict(study.runs[item]), took))
    if not pairs:
        return None
    whole = _error(pair for some in pairs.values() for pair in some)
    sections = []
    for title in dict.fromkeys(STAGES.values()):
        rows = tuple(
            (
                target_title(study, task),
                str(len(some)),
                f"{median(estimate for estimate, _ in some):.1f}",
                f"{median(took for _, took in some):.1f}",
                f"{100 * _error(some):.0f} %",
            )
            for (of, task), some in pairs.items()
            if of == title
        )
        sections += [Section(title, rows)] if rows else []
    count = sum(map(len, pairs.values()))
    told = (
        f"median relative error {100 * whole:.0f} % over {counted(count, 'run')}, by the "
        f"calibration of {found.made[:10]} on {found.place}"
    )
    caption = (
        f"{study.name}: predicted seconds of runs and those that they took, medians, and the "
        "median of relative errors. From calibration.json and results/."
    )
    return told, TextTable("forecast", caption, HEADER, tuple(sections))


def _error(pairs: Iterable[tuple[float, float]]) -> float:
    """Median of relative errors of predicted seconds."""
    return median(abs(estimate / took - 1) for estimate, took in pairs)


def _calibration(collection: Collection) -> Calibration | None:
    try:
        return read_calibration(collection.folder.calibration)
    except ConfigError:
        return None
