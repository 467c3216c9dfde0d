"""What trained models took over from where they started, and what was drawn anew."""

from dataclasses import dataclass

import polars as pl

from analysis.tables.presentation import source_title, target_title
from stilt.study import Study


@dataclass(frozen=True)
class StartParts:
    """Runs of one source and target that started from the same parts."""

    source: str
    target: str
    runs: int
    carried: str
    fresh: str


def starts(study: Study, runs: pl.DataFrame) -> list[StartParts]:
    """Groups trained runs by what they started from: one row a pair, unless its runs differ.

    Args:
        study: the study, for titles.
        runs: rows of ``columns.FRAME``.
    """
    trained = runs.filter(pl.col("carried").is_not_null())
    groups = trained.group_by("source", "target", "carried", "fresh", maintain_order=True).len()
    return [
        StartParts(
            source=source_title(study, source),
            target=target_title(study, target),
            runs=count,
            carried=carried or "nothing",
            fresh=fresh or "nothing",
        )
        for source, target, carried, fresh, count in groups.iter_rows()
    ]
