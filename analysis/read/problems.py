"""Files that are no records, or not this study's: named and left out, never fatal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl

from analysis.read.columns import IDENTITY
from stilt.cell import Run
from stilt.records.results import Damage, RecordError, RecordT, Result, SourceResult, read_record
from stilt.records.validity import Judge, Measured, contradiction, not_planned

Kind = Literal[Damage, "unplanned", "duplicate", "grid", "rows"]
"""``unplanned``: what the grid does not plan, such as a result of a cell that it planned once."""


ResultT = TypeVar("ResultT", Result, SourceResult)


@dataclass(frozen=True)
class Problem:
    """A file that is left out, and why."""

    file: str
    """Path, relative to the study's folder."""
    kind: Kind
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def read(model: type[RecordT], root: Path, file: str) -> RecordT | Problem:
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
    if isinstance(record, (Result, SourceResult)) and (said := contradiction(record)):
        return Problem(file, "schema", said)
    return record


def not_of_study(results: pl.DataFrame, grid: pl.DataFrame, judge: Judge) -> list[Problem]:
    """Whole results that are not this study's own: of another grid or other rows, or a copy.

    Args:
        results: what ``analysis.read.records`` keeps of each.
        grid: what is known of the study's cells.
        judge: who has the last word on a result that stands out.
    """
    checked = results.select("file", "cell", *IDENTITY, *MEASURED)
    joined = checked.join(
        grid.select("cell", *IDENTITY), on="cell", how="left", suffix="_grid", maintain_order="left"
    )
    odd = joined.filter(
        (pl.col("file") != pl.format("results/{}.json", "cell"))
        | pl.col("stage_grid").is_null()
        | pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_grid")) for name in DECIDING)
    )
    problems = [Problem(row["file"], *_difference(row, judge)) for row in odd.iter_rows(named=True)]
    # thousands of results say the same of a task and its rows: each of their answers is judged once
    own = checked.join(odd.select("file"), on="file", how="anti", maintain_order="left")
    for row in own.unique(["target", *MEASURED], maintain_order=True).iter_rows(named=True):
        found = Measured(*(row[name] for name in MEASURED))
        if said := judge.misfit(found, row["target"], None):
            same = [pl.col(name).eq_missing(pl.lit(row[name])) for name in ("target", *MEASURED)]
            problems += [Problem(file, "rows", said) for file in own.filter(*same)["file"]]
    return problems


MEASURED = Measured._fields
"""Columns of what a result says of its task and rows."""
DECIDING = tuple(name for name in IDENTITY if name != "source")
"""Columns of ``IDENTITY`` without the source's name, which changes as a grid grows."""


def _difference(row: dict[str, Any], judge: Judge) -> tuple[Kind, str]:
    """Kind and message for an odd row of ``not_of_study``; the grid's values end in ``_grid``."""
    cell, own_file = row["cell"], f"results/{row['cell']}.json"
    if row["stage_grid"] is None:
        kind: Kind = "unplanned" if row["file"] == own_file else "grid"
        return kind, f"cell {cell} is not in this grid"
    if row["file"] != own_file:
        return "duplicate", f"holds cell {cell}, whose own file is {own_file}"
    said = judged(Result, judge, judge.study.runs[cell])
    return "grid", str(said.message if isinstance(said, Problem) else "not the cell of this id")


def judged(model: type[ResultT], judge: Judge, run: Run) -> ResultT | Problem:
    """Reads the result of a run and judges it against the study."""
    file = str(judge.folder.record(run).relative_to(judge.folder.path))
    record = read(model, judge.folder.path, file)
    if isinstance(record, Problem):
        return record
    if said := not_planned(record.item, run):
        return Problem(file, "grid", said)
    said = judge.flaw(record, run)
    return record if said is None else Problem(file, "rows", said)
