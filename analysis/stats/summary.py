"""The frame of cells -> the frames that go in the paper: summary, and best against trials.

Pure: frames in, frames out. Scores stay fractions. Nothing is averaged over cells that are missing
or failed; a diverged run counts as the majority-class baseline everywhere
(``analysis.stats.outcomes``). Every row says how many there are of each.
"""

from typing import get_args

import numpy as np
import polars as pl

from analysis.stats.degenerate import (
    DEFAULT,
    MOST_MISSED,
    Definition,
    degenerate,
    every_definition,
    missed,
)
from analysis.stats.inference import clustered_wilson, expected_best
from analysis.stats.outcomes import outcome

FACTORS = ("learning_rate", "batch_size", "warmup_ratio", "seed")
"""Axes of the grid whose effect on degenerate runs is tested."""

COUNTED_STATUSES = {
    "ok": "scored",
    "diverged": "diverged",
    "failed": "failed",
    "missing": "missing",
}
"""Status of a cell -> column that counts it."""

PLACE = ("stage", "target", "source")
"""What a row of a summary is about."""
CONFIGURATION = ("learning_rate", "batch_size", "warmup_ratio")
"""What is resampled and swapped: hyperparameters, with all their seeds."""
SEEDS = ("seed", "init_seed", "order_seed")
TRIAL = ("target", *CONFIGURATION, *SEEDS)
"""What two paired trials have in common."""
SAME_SOURCE = ("source_task", "source_size", "source_seed")
"""What sources of two studies have in common: their names also tell what else a grid varies."""


def in_order(cells: pl.DataFrame) -> pl.DataFrame:
    """Distinct stages, targets and sources, in the order in which the grid names them."""
    first = [pl.col("row").min().over(name).alias(f"{name}_at") for name in PLACE]
    return (
        cells.select(PLACE)
        .with_row_index("row")
        .select(*PLACE, *first)
        .unique(maintain_order=True)
        .sort([f"{name}_at" for name in PLACE])
        .select(PLACE)
    )


def summarize_cells(cells: pl.DataFrame, definition: Definition = DEFAULT) -> pl.DataFrame:
    """Min, mean, best and the rest of each source on each target.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        definition: of a degenerate run.

    Returns:
        One row per stage, target and source, in the grid's order: ``cells`` of the grid; how many
        are ``scored``, ``diverged``, ``failed``, ``missing``, and have ``ended`` (scored or
        diverged); ``min``, ``mean``, ``median``, ``best``, ``sd`` (n - 1), ``q1``, ``q3``, ``iqr``
        of those that ended; ``majority`` and ``chance``; ``missed``, the share of runs that learnt
        nothing that the definition ``majority`` would miss, and the ``rule`` that ``auto`` takes
        for it; ``degenerate`` of ``judged`` (ended, and the definition has what it needs) with
        ``share`` and its interval ``low``, ``high`` (``inference.clustered_wilson``); the count
        under each definition; the cell with the best score and its hyperparameters, null where
        none has a score; mean ``seconds`` of a run, and ``hours`` of all. A statistic of no run is
        null.
    """
    status, score, counted = pl.col("status"), pl.col("score"), pl.col("outcome")
    definitions = [f"degenerate_{name}" for name in get_args(Definition)]
    judged = cells.with_columns(outcome(), degenerate(definition), missed(), *every_definition())
    rows = judged.group_by(PLACE, maintain_order=True).agg(
        pl.col("metric").first(),
        pl.len().cast(pl.Int64).alias("cells"),
        *((status == name).sum().cast(pl.Int64).alias(to) for name, to in COUNTED_STATUSES.items()),
        counted.count().cast(pl.Int64).alias("ended"),
        counted.min().alias("min"),
        counted.mean().alias("mean"),
        counted.median().alias("median"),
        counted.max().alias("best"),
        counted.std().alias("sd"),
        counted.quantile(0.25, interpolation="linear").alias("q1"),
        counted.quantile(0.75, interpolation="linear").alias("q3"),
        pl.col("majority").drop_nulls().first(),
        pl.col("chance").first(),
        pl.col("missed").max(),
        pl.col("degenerate").sum().cast(pl.Int64),
        pl.col("degenerate").count().cast(pl.Int64).alias("judged"),
        *(pl.col(name).sum().cast(pl.Int64) for name in definitions),
        *(pl.col(name).get(score.arg_max()).alias(f"best_{name}") for name in ("cell", *FACTORS)),
        pl.col("seconds").mean(),
        (pl.col("seconds").sum() / 3600).alias("hours"),
    )
    rows = rows.with_columns(
        rule=pl.when(pl.col("missed") > MOST_MISSED)
        .then(pl.lit("margin"))
        .when(pl.col("missed").is_not_null())
        .then(pl.lit("majority")),
        iqr=pl.col("q3") - pl.col("q1"),
    )
    rows = rows.join(_shares(judged), on=PLACE, maintain_order="left")
    return in_order(cells).join(rows, on=PLACE, how="left", maintain_order="left")


def _shares(judged: pl.DataFrame) -> pl.DataFrame:
    """Share of degenerate runs of each place, seeds of a configuration taken together."""
    # a head that is scored without training has no configuration, and each seed stands alone
    alone = pl.when(pl.col("learning_rate").is_null()).then("seed")
    by = (*PLACE, *CONFIGURATION, alone.alias("alone"))
    clusters = judged.group_by(*by, maintain_order=True).agg(
        pl.col("degenerate").sum().cast(pl.Int64).alias("count"),
        pl.col("degenerate").count().cast(pl.Int64).alias("of"),
    )
    rows = []
    for place, some in clusters.group_by(PLACE, maintain_order=True):
        found = clustered_wilson(some["count"].to_numpy(), some["of"].to_numpy())
        rows.append((*place, found.value, found.low, found.high))
    schema = dict.fromkeys(PLACE, pl.String) | dict.fromkeys(("share", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def best_against_trials(cells: pl.DataFrame) -> pl.DataFrame:
    """Expected best dev score of each source on each target against the number of trials.

    Returns:
        ``stage``, ``target``, ``source``, ``trials`` (1 to n), ``expected`` (k different trials of
        the grid) and ``expected_with_replacement``; see ``analysis.stats.inference.expected_best``.
    """
    runs = cells.with_columns(outcome())
    runs = runs.filter(pl.col("stage") == "target", pl.col("outcome").is_not_null())
    parts = []
    for row in in_order(runs).iter_rows(named=True):
        chosen = runs.filter(pl.col(name) == value for name, value in row.items())
        outcomes = chosen["outcome"].to_numpy()
        parts.append(
            pl.DataFrame(
                {
                    **row,
                    "trials": np.arange(1, len(outcomes) + 1),
                    "expected": expected_best(outcomes),
                    "expected_with_replacement": expected_best(outcomes, replacement=True),
                },
                schema=EXPECTED_BEST,
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame(schema=EXPECTED_BEST)


EXPECTED_BEST: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(PLACE, pl.String),
    "trials": pl.Int64,
    **dict.fromkeys(("expected", "expected_with_replacement"), pl.Float64),
}
"""Columns of a frame of expected best scores."""
