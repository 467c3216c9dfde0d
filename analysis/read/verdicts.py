"""Well-formed results that are not a study's own: of another study, grid, or name."""

import polars as pl

from analysis.read.records import HYPERPARAMETERS
from stilt.records.results import DISAGREES

IDENTITY = ("stage", "source", "source_id", "target", "seed", *HYPERPARAMETERS)
"""Columns in which a result must agree with the grid's cell of the same id."""


def refused(results: pl.DataFrame, grid: pl.DataFrame, study: str) -> pl.DataFrame:
    """Well-formed results that are not this grid's: file, kind, message."""
    agreed = (*IDENTITY, "metric", "classes")
    joined = results.join(
        grid.select("cell", *agreed).with_columns(in_grid=True),
        on="cell",
        how="left",
        suffix="_grid",
    )
    other = {name: pl.col(name).ne_missing(pl.col(f"{name}_grid")) for name in agreed}
    differences = [
        pl.when(differs).then(
            pl.format("{}={}, not {}", pl.lit(name), _shown(name), _shown(f"{name}_grid"))
        )
        for name, differs in other.items()
    ]
    own_file = pl.format("results/{}.json", pl.col("cell"))
    verdicts = [
        (
            "study",
            pl.col("study_id") != study,
            pl.format("a result of study {}, not of this one ({})", "study_id", pl.lit(study)),
        ),
        ("grid", pl.col("in_grid").is_null(), pl.format("cell {} is not in this grid", "cell")),
        (
            "duplicate",
            pl.col("file") != own_file,
            pl.format("holds cell {}, whose own file is {}", pl.col("cell"), own_file),
        ),
        (
            "grid",
            pl.any_horizontal(other.values()),
            pl.format(
                "not the grid's cell of this id: {}",
                pl.concat_str(differences, separator=", ", ignore_nulls=True),
            ),
        ),
        (
            "schema",
            ~pl.col("sound"),
            pl.lit(DISAGREES),
        ),
    ]
    # sentences are made for the bad ones alone: among a hundred thousand there are few
    bad = joined.filter(pl.any_horizontal(found for _, found, _ in verdicts))
    kind = pl.coalesce(pl.when(found).then(pl.lit(name)) for name, found, _ in verdicts)
    message = pl.coalesce(pl.when(found).then(text) for _, found, text in verdicts)
    return bad.select("file", kind=kind, message=message)


def _shown(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).fill_null("null")
