"""What counts as a degenerate run: four definitions, each an expression over the frame of cells.

A run with a non-finite loss is degenerate under every definition. A cell that failed or is missing
is neither degenerate nor not: null.
"""

from typing import Literal, get_args

import polars as pl

Definition = Literal["majority", "margin", "constant", "loss"]

DEFINITIONS: dict[Definition, str] = {
    "majority": "final dev score not above the majority class (MCC not above 0)",
    "margin": "final dev score not above the majority class by 1.645 standard errors",
    "constant": "the same class predicted for every dev example",
    "loss": "training loss, smoothed over tenths of the updates, never once below ln K, that of a "
    "uniform guess, which makes it the strictest definition",
}
"""Each definition in words, for captions."""

ONE_SIDED_95 = 1.645
"""Normal quantile at 0.95."""

_ROUNDING = 1e-9
"""Scores that differ by less are equal: a share of at most millions of examples, in float64."""


def degenerate(definition: Definition) -> pl.Expr:
    """Whether a run is degenerate; null without a run, or where the run lacks what is needed.

    ``majority`` is Mosbach et al. (2021), section 3: accuracy at the end of training less than or
    equal to that of a majority classifier. ``margin`` also catches runs that beat it by luck: the
    standard error is the binomial one at the majority's accuracy, and 1 / sqrt(n) for the Matthews
    correlation, since n * MCC**2 is the chi-squared statistic of the 2 x 2 table. An evaluation has
    no training loss, so ``loss`` is null for it. ``loss`` is hardest to meet: one tenth of the
    updates whose mean is below ln K, by luck or before a collapse, and the run is not degenerate.
    """
    match definition:
        case "majority":
            verdict = pl.col("score") <= pl.col("majority") + _ROUNDING
        case "margin":
            verdict = pl.col("score") <= pl.col("majority") + margin() + _ROUNDING
        case "constant":
            verdict = pl.col("constant")
        case "loss":
            verdict = pl.col("lowest_loss") >= pl.col("classes").log()
    return (
        pl.when(pl.col("status") == "diverged")
        .then(pl.lit(value=True))
        .when(pl.col("status") == "ok")
        .then(verdict)
        .alias("degenerate")
    )


def margin() -> pl.Expr:
    """1.645 standard errors of the score of a run that learnt nothing, as a fraction."""
    share, rows = pl.col("majority"), pl.col("dev_rows")
    binomial = (share * (1 - share) / rows).sqrt()
    return ONE_SIDED_95 * pl.when(pl.col("metric") == "mcc").then(1 / rows.sqrt()).otherwise(
        binomial
    )


def every_definition() -> list[pl.Expr]:
    """One column per definition: ``degenerate_majority`` and so on."""
    return [degenerate(name).alias(f"degenerate_{name}") for name in get_args(Definition)]
