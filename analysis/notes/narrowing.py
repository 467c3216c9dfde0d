"""Which comparisons hold dev examples fixed though that was not asked for, in words."""

from collections.abc import Iterator

import polars as pl

from analysis.stats.scope import FIXED, Scope


def narrowed(differences: pl.DataFrame, asked: Scope) -> Iterator[str]:
    """A line on targets without the predictions that an interval over dev examples needs.

    Args:
        differences: ``analysis.stats.differences.differences``.
        asked: what intervals should generalise to.
    """
    narrow = differences.filter(pl.col("interval") == "narrow", pl.col("ended") > 0)
    if asked == "whole" and narrow.height:
        targets = ", ".join(narrow["target"].unique(maintain_order=True))
        yield (
            f"Dev examples are held fixed on {targets}: not every run has stored predictions for "
            f"the same examples, so intervals and p of mean differences are for {FIXED}."
        )
