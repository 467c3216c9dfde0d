"""Result files that a test changes, and the rows that come of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from analysis.read.collect import Collection
from stilt.study import Study


def first_cell(study: Study) -> str:
    """Id of the grid's first cell."""
    return next(iter(study.cells))


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Changes a JSON file in place, in the form in which records are written."""
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table, separators=(",", ":")) + "\n")


def cut_short(path: Path) -> None:
    """Takes the end off a file."""
    path.write_bytes(path.read_bytes()[:-200])


def row(collection: Collection, cell: str) -> dict[str, Any]:
    """A cell's row."""
    return collection.cells.row(by_predicate=pl.col("cell") == cell, named=True)
