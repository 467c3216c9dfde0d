"""Files that are no records, or not this study's: named and left out, never fatal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from analysis.read.columns import IDENTITY
from stilt.records.results import (
    DISAGREES,
    Damage,
    RecordError,
    RecordT,
    RunResult,
    agrees,
    read_record,
)

Kind = Literal[Damage, "study", "duplicate", "grid"]

_SAME = (*IDENTITY, "metric", "classes")
"""Columns in which a result and the grid's cell of the same id must agree."""


@dataclass(frozen=True)
class Problem:
    """A file that is left out, and why."""

    file: str
    """Path, relative to the study's folder."""
    kind: Kind
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def judge(model: type[RecordT], root: Path, file: str) -> RecordT | Problem:
    """Reads one record; a file that holds none, or a result that contradicts itself, is a problem.

    Args:
        model: kind of record.
        root: the study's folder.
        file: path below ``root``.
    """
    try:
        record = read_record(model, root / file)
    except RecordError as error:
        return Problem(file, error.kind, error.reason.removesuffix("."))
    if record is None:
        return Problem(file, "empty", "gone while it was read")
    if isinstance(record, RunResult) and not agrees(record):
        return Problem(file, "schema", DISAGREES)
    return record


def not_of_study(results: pl.DataFrame, grid: pl.DataFrame, study: str) -> list[Problem]:
    """Whole results that are not this study's own: of another study or grid, or a copy.

    Args:
        results: what ``analysis.read.records`` keeps of each.
        grid: what is known of the study's cells.
        study: the study's digest.
    """
    checked = results.select("file", "study_id", "cell", *_SAME)
    joined = checked.join(grid.select("cell", *_SAME), on="cell", how="left", suffix="_grid")
    odd = joined.filter(
        (pl.col("study_id") != study)
        | (pl.col("file") != pl.format("results/{}.json", "cell"))
        | pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_grid")) for name in _SAME)
    )
    return [Problem(row["file"], *_difference(row, study)) for row in odd.iter_rows(named=True)]


def _difference(row: dict[str, Any], study: str) -> tuple[Kind, str]:
    """Kind and message for a row of ``not_of_study``; the grid's values end in ``_grid``."""
    cell, own_file = row["cell"], f"results/{row['cell']}.json"
    if row["study_id"] != study:
        return "study", f"a result of study {row['study_id']}, not of this one ({study})"
    if row["stage_grid"] is None:
        return "grid", f"cell {cell} is not in this grid"
    if row["file"] != own_file:
        return "duplicate", f"holds cell {cell}, whose own file is {own_file}"
    pairs = {name: (row[name], row[f"{name}_grid"]) for name in _SAME}
    differences = [
        f"{name}={_shown(found)}, not {_shown(expected)}"
        for name, (found, expected) in pairs.items()
        if found != expected
    ]
    return "grid", f"not the grid's cell of this id: {', '.join(differences)}"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
