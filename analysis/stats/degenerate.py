"""What counts as a degenerate run: five definitions, each an expression over the frame of cells.

A run with a non-finite loss is degenerate under every definition. A cell that failed or is missing
is neither degenerate nor not: null.
"""

from typing import get_args

import numpy as np
import polars as pl

from analysis.flags import DEFAULT as DEFAULT
from analysis.flags import Definition as Definition

MOST_MISSED = 0.1
"""Of the runs that learnt nothing, the share that ``majority`` may take for healthy in ``auto``."""

CONSTANT = "that of the best constant answer (the majority class; for MCC 0)"
DEFINITIONS: dict[Definition, str] = {
    "auto": f"final dev score not above {CONSTANT}; where over a tenth of guesses would be, as in "
    "multiple choice, not above it by 1.645 standard errors; in regression a correlation not above "
    "0 by as much, or all but one number predicted",
    "majority": f"final dev score not above {CONSTANT}",
    "margin": "final dev score not above that of the best constant answer by 1.645 standard errors",
    "constant": "the same class predicted for every dev example, or all but the same number",
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
    standard error is the binomial one at the majority's accuracy (``margin``). ``auto``, the
    default, is ``majority`` where that misses few of the runs that learnt nothing and ``margin``
    elsewhere (``missed``). What a run of regression predicts is never quite one number, and may
    follow the texts' lengths, say: in ``auto`` it is degenerate if it is ``constant``, too.

    An evaluation has no training loss and a regression no even guess, so ``loss`` is null for them.
    ``loss`` is hardest to meet: one tenth of the updates whose mean is below ln K, by luck or
    before a collapse, and the run is not degenerate.
    """
    not_above = pl.col("score") <= threshold(definition) + _ROUNDING
    match definition:
        case "auto":
            verdict = not_above | ((pl.col("kind") == "regression") & pl.col("constant"))
        case "majority" | "margin":
            verdict = not_above
        case "constant":
            verdict = pl.col("constant")
        case "loss":
            even = pl.when(pl.col("kind").ne_missing("regression")).then(pl.col("classes").log())
            verdict = pl.col("lowest_loss") >= even
    return (
        pl.when(pl.col("status") == "diverged")
        .then(pl.lit(value=True))
        .when(pl.col("status") == "ok")
        .then(verdict)
        .alias("degenerate")
    )


def threshold(definition: Definition) -> pl.Expr:
    """Highest score of a degenerate run, as a fraction.

    Null without a result, and under definitions that do not look at the score.
    """
    constant = pl.col("majority")
    match definition:
        case "auto":
            lucky = missed() > MOST_MISSED
            highest = pl.when(lucky).then(constant + margin()).otherwise(constant)
        case "majority":
            highest = constant
        case "margin":
            highest = constant + margin()
        case "constant" | "loss":
            highest = pl.lit(None, pl.Float64)
    return highest.alias("threshold")


def margin() -> pl.Expr:
    """1.645 standard errors of the score of a run that learnt nothing, as a fraction.

    Of accuracy the binomial one. Of a correlation 1 / sqrt(n): n * MCC**2 is the chi-squared
    statistic of the 2 x 2 table, and n - 1 times the square of Pearson's or Spearman's is about
    the same of numbers. F1 is 2 J / (1 + J) of the Jaccard index J, a share of as many rows as
    have the class or were said to, which for a constant answer are all (delta method); macro F1
    has a K-th of the one class's that is answered.
    """
    base, rows = pl.col("majority"), pl.col("dev_rows")
    parts = pl.when(pl.col("metric") == "macro-f1").then(pl.col("classes")).otherwise(1)
    one = base * parts
    jaccard = one / (2 - one)
    of_f1 = 2 / (1 + jaccard) ** 2 * (jaccard * (1 - jaccard) / rows).sqrt() / parts
    return ONE_SIDED_95 * (
        pl.when(pl.col("metric").is_in(["mcc", "pearson", "spearman"]))
        .then(1 / rows.sqrt())
        .when(pl.col("metric").is_in(["f1", "macro-f1"]))
        .then(of_f1)
        .otherwise((base * (1 - base) / rows).sqrt())
    )


def missed() -> pl.Expr:
    """Share of the runs that learnt nothing that ``majority`` would take for healthy.

    What such a run does depends on the kind of task. A classifier answers one class, and scores
    what the majority class does at best: none is missed. Of a multiple choice each option is scored
    by itself, so none can be preferred by its place: the answers are guesses, of which each is
    right by chance, and their share lies above the majority class's with a binomial tail's
    probability. A regression's numbers are never quite equal: every other correlation is above 0.
    Null without a result.
    """

    def tail(rows: pl.Series) -> pl.Series:
        from scipy import stats  # takes a second to import

        parts = rows.struct.unnest()
        count, majority, chance = (
            parts[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            for name in ("dev_rows", "majority", "chance")
        )
        share = stats.binom.sf(np.floor(majority * count + _ROUNDING * count), count, chance)
        return pl.Series(share, nan_to_null=True)

    guesses = pl.struct("dev_rows", "majority", "chance").map_batches(
        tail, return_dtype=pl.Float64, is_elementwise=True
    )
    return (
        pl.when(pl.col("majority").is_null())
        .then(None)
        .when(pl.col("kind") == "multiple-choice")
        .then(guesses)
        .when(pl.col("kind") == "regression")
        .then(0.5)
        .otherwise(0.0)
        .alias("missed")
    )


def every_definition() -> list[pl.Expr]:
    """One column per definition: ``degenerate_majority`` and so on."""
    return [degenerate(name).alias(f"degenerate_{name}") for name in get_args(Definition)]
