"""Where the variance of a run's score comes from: source seed, hyperparameters, seed, examples."""

import numpy as np
import polars as pl

from analysis.stats.examples import Answers, Examples
from analysis.stats.outcomes import outcome
from analysis.stats.summary import CONFIGURATION, in_order

CAUSES = ("source_seed", "hyperparameters", "seed", "examples")
"""In the order in which they are shown."""

VARIANCE: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("target", "source"), pl.String),
    **dict.fromkeys(("runs", "configurations", "source_seeds"), pl.Int64),
    **dict.fromkeys(CAUSES, pl.Float64),
}
"""Columns of a frame of variance components."""


def variance_components(
    cells: pl.DataFrame, answers: Answers | None = None, *, seed: int = 0
) -> pl.DataFrame:
    """Standard deviations that one run's score would have if one thing alone varied.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        answers: predictions of each target's runs; None where there are none.
        seed: of the resampling of dev examples.

    Returns:
        One row per target and source, the seeds of a source together: ``runs`` that ended, in so
        many ``configurations`` of so many ``source_seeds``; and in the score's unit, null where
        there is nothing to tell it from: ``source_seed``, ``hyperparameters``, ``seed`` (within
        hyperparameters), by the moments of a nested analysis of variance, 0 where a moment is
        negative (Searle, Casella and McCulloch 1992, chapter 3; seeds are nested in configurations
        and these in source seeds); ``examples``: of the mean of all runs over dev sets of this
        size, by resampling examples.
    """
    ended = cells.with_columns(outcome(), pl.col("source").str.replace(r"#\d+$", "")).filter(
        pl.col("stage") == "target", pl.col("outcome").is_not_null()
    )
    examples = Examples([(cells, answers)], seed) if answers else None
    rows = []
    for target, source in in_order(ended).select("target", "source").iter_rows():
        part = ended.filter(pl.col("target") == target, pl.col("source") == source)
        resampled = examples.of(target) if examples else None
        of_examples = None
        if resampled is not None:
            places = [resampled.rows[0][cell] for cell in part["cell"]]
            of_examples = float(resampled.scores[places].mean(axis=0).std(ddof=1))
        rows.append({"target": target, "source": source, **_nested(part), "examples": of_examples})
    return pl.DataFrame(rows, schema=VARIANCE)


def _nested(runs: pl.DataFrame) -> dict[str, object]:
    """Standard deviations of source seeds, configurations within them, and seeds within these."""
    by_configuration = runs.group_by("source_seed", *CONFIGURATION, maintain_order=True).agg(
        pl.len().alias("runs"),
        pl.col("outcome").mean().alias("mean"),
        ((pl.col("outcome") - pl.col("outcome").mean()) ** 2).sum().alias("squares"),
    )
    by_source = by_configuration.group_by("source_seed", maintain_order=True).agg(
        pl.len().alias("configurations"),
        pl.col("mean").mean(),
        ((pl.col("mean") - pl.col("mean").mean()) ** 2).sum().alias("squares"),
    )
    configurations, sources = by_configuration.height, by_source.height
    within = _ratio(float(by_configuration["squares"].sum()), runs.height - configurations)
    between = _ratio(float(by_source["squares"].sum()), configurations - sources)
    means = by_source["mean"].to_numpy()
    among = _ratio(float(((means - means.mean()) ** 2).sum()), sources - 1)
    seeds = runs.height / configurations
    settings = configurations / sources
    return {
        "runs": runs.height,
        "configurations": runs.select(CONFIGURATION).n_unique(),
        "source_seeds": sources,
        "seed": _root(within),
        # without a second seed the two cannot be told apart, and all of it is the hyperparameters'
        "hyperparameters": _root(between, (within or 0.0) / seeds),
        "source_seed": _root(among, (between or 0.0) / settings),
    }


def _ratio(squares: float, freedom: int) -> float | None:
    return squares / freedom if freedom > 0 else None


def _root(variance: float | None, less: float = 0.0) -> float | None:
    return None if variance is None else float(np.sqrt(max(variance - less, 0.0)))
