"""Frames -> CSV; a summary -> CSV, JSON, Markdown and LaTeX."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from analysis.read.collect import Collection
from analysis.stats.degenerate import DEFINITIONS
from analysis.stats.differences import Question
from analysis.stats.scope import meaning
from analysis.tables.latex import latex
from analysis.tables.presentation import TextTable, as_markdown, plain
from stilt.system.files import replacing, write_text


def write_summary(
    content: dict[str, Any],
    summary: pl.DataFrame,
    tables: Sequence[TextTable],
    notes: Sequence[str],
    folder: Path,
    name: str = "summary",
) -> list[Path]:
    """Writes a summary as CSV, JSON, Markdown and LaTeX.

    Args:
        content: what ``json_content`` gives.
        summary: the frame that becomes CSV, at full precision, scores as fractions.
        tables: what becomes Markdown and LaTeX.
        notes: lines above the Markdown tables.
        folder: where.
        name: of the files, without suffix.
    """
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in ("csv", "json", "md", "tex")}
    write_csv(summary, paths["csv"])
    write_text(paths["json"], json_text(content))
    write_text(paths["md"], markdown(tables, notes))
    write_text(paths["tex"], latex(tables))
    return list(paths.values())


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Writes a frame as CSV, whole or not at all."""
    with replacing(path) as temporary:
        inert(frame).write_csv(temporary)


def inert(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame whose texts no spreadsheet takes for a formula: such a one gets an apostrophe."""
    text = pl.col(pl.String)
    formula = text.str.contains(r"^[=+\-@\t\r]")
    return frame.with_columns(pl.when(formula).then(pl.lit("'") + text).otherwise(text).name.keep())


def json_text(content: object) -> str:
    """JSON for people and scripts; a number that is not finite is a bug."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def json_content(
    collection: Collection, frames: dict[str, pl.DataFrame], notes: Sequence[str], asked: Question
) -> dict[str, Any]:
    """Everything that the tables say, and the cells behind what they do not say.

    Args:
        collection: the study.
        frames: name -> frame whose rows are written, at full precision, scores as fractions.
        notes: what is missing, in words.
        asked: what the frames rest on.
    """
    cells = collection.cells
    unscored = cells.filter(pl.col("status") != "ok")
    return {
        "study": collection.study.name,
        "digest": collection.study.digest,
        "model": collection.study.model_identity,
        "revision": collection.study.revision,
        "revisions": [one.model_dump(mode="json") for one in collection.study.revisions],
        "degenerate": {
            "definition": asked.definition,
            "meaning": DEFINITIONS[asked.definition],
        },
        "interval": {"asked": asked.scope, "meaning": meaning(asked.scope)},
        "notes": list(notes),
        "cells": dict(cells["status"].value_counts().sort("status").iter_rows()),
        **{name: frame.to_dicts() for name, frame in frames.items()},
        "not_scored": unscored.select(
            "cell", "status", "source", "target", "failure_kind", "failure_message", "log"
        ).to_dicts(),
        "left_out": [
            {"file": problem.file, "kind": problem.kind, "message": problem.message}
            for problem in collection.problems
        ],
    }


def markdown(tables: Sequence[TextTable], notes: Sequence[str] = ()) -> str:
    """All tables as one Markdown text."""
    head = "\n".join(f"- {plain(note.strip())}" for note in notes)
    return "\n".join([*([head, ""] if head else []), *(as_markdown(table) for table in tables)])
