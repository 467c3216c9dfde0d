"""The frame of cells -> the frames that go in the paper: summary, differences, best against trials.

Pure: frames in, frames out. Scores stay fractions. Nothing is averaged over cells that are missing
or failed; a diverged run counts as the majority-class baseline everywhere
(``analysis.stats.outcomes``). Every row says how many there are of each.
"""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import polars as pl

from analysis.stats.degenerate import Definition, degenerate, every_definition
from analysis.stats.inference import (
    Floats,
    bootstrap,
    expected_best,
    holm,
    mcnemar,
    permutation,
    wilson,
)
from analysis.stats.outcomes import outcome
from stilt.cell import NONE

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
_CONFIGURATION = ("learning_rate", "batch_size", "warmup_ratio")
_SEEDS = ("seed", "init_seed", "order_seed")
TRIAL = ("target", *_CONFIGURATION, *_SEEDS)
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


def summarize_cells(cells: pl.DataFrame, definition: Definition = "majority") -> pl.DataFrame:
    """Min, mean, best and the rest of each source on each target.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        definition: of a degenerate run.

    Returns:
        One row per stage, target and source, in the grid's order: ``cells`` of the grid; how many
        are ``scored``, ``diverged``, ``failed``, ``missing``, and have ``ended`` (scored or
        diverged); ``min``, ``mean``, ``median``, ``best``, ``sd`` (n - 1), ``q1``, ``q3``, ``iqr``
        of those that ended; ``majority`` and ``chance``; ``degenerate`` of ``judged`` (ended, and
        the definition has what it needs) with ``share`` and its Wilson interval ``low``, ``high``;
        the count under each definition; the cell with the best score and its hyperparameters,
        null where none has a score; mean ``seconds`` of a run, and ``hours`` of all. A statistic
        of no run is null.
    """
    status, score, counted = pl.col("status"), pl.col("score"), pl.col("outcome")
    definitions = [f"degenerate_{name}" for name in get_args(Definition)]
    rows = (
        cells.with_columns(outcome(), degenerate(definition), *every_definition())
        .group_by(PLACE)
        .agg(
            pl.col("metric").first(),
            pl.len().cast(pl.Int64).alias("cells"),
            *(
                (status == name).sum().cast(pl.Int64).alias(to)
                for name, to in COUNTED_STATUSES.items()
            ),
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
            pl.col("degenerate").sum().cast(pl.Int64),
            pl.col("degenerate").count().cast(pl.Int64).alias("judged"),
            *(pl.col(name).sum().cast(pl.Int64) for name in definitions),
            *(
                pl.col(name).get(score.arg_max()).alias(f"best_{name}")
                for name in ("cell", *FACTORS)
            ),
            pl.col("seconds").mean(),
            (pl.col("seconds").sum() / 3600).alias("hours"),
        )
    )
    shares = [wilson(*pair) for pair in rows.select("degenerate", "judged").iter_rows()]
    ends = pl.DataFrame(
        [(x.value, x.low, x.high) for x in shares],
        schema={"share": pl.Float64, "low": pl.Float64, "high": pl.Float64},
        orient="row",
    )
    rows = rows.with_columns(iqr=pl.col("q3") - pl.col("q1"))
    rows = pl.concat([rows, ends], how="horizontal")
    return in_order(cells).join(rows, on=PLACE, how="left", maintain_order="left")


def differences_against_none(
    cells: pl.DataFrame, definition: Definition = "majority", *, seed: int = 0
) -> pl.DataFrame:
    """Each source against ``none`` on each target, cells paired by hyperparameters and seed.

    Returns:
        See ``differences``; empty where the grid has no ``none``.
    """
    targets = cells.filter(pl.col("stage") == "target")
    none = targets.filter(pl.col("source") == NONE)
    return differences(targets.filter(pl.col("source") != NONE), none, (), definition, seed=seed)


def differences_between(
    first: pl.DataFrame, second: pl.DataFrame, definition: Definition = "majority", *, seed: int = 0
) -> pl.DataFrame:
    """The first study minus the second, cells paired by source, target, hyperparameters and seed.

    Returns:
        See ``differences``: rows for the sources, under the first one's names, and targets that
        both have.
    """
    parts = [cells.filter(pl.col("stage") == "target") for cells in (first, second)]
    return differences(parts[0], parts[1], SAME_SOURCE, definition, seed=seed)


def differences(
    first: pl.DataFrame,
    second: pl.DataFrame,
    also: Sequence[str],
    definition: Definition,
    *,
    seed: int,
) -> pl.DataFrame:
    """Differences of paired cells, per target and source of the first frame.

    Args:
        first: cells, ``analysis.read.columns.FRAME``.
        second: cells they are paired with.
        also: columns that pairs have in common, besides target, hyperparameters and seeds.
        definition: of a degenerate run.
        seed: of bootstrap and permutation.

    Returns:
        ``pairs`` of the grid, those that are ``scored`` on both sides, and those that have
        ``ended`` on both, in so many ``configurations``; ``mean`` and ``best``: differences over
        the ended with ``_low`` and
        ``_high``; ``p`` of the permutation test, ``p_holm`` over the table; ``improvement``
        (probability, with ends); ``wins``, ``ties``, ``losses``; and of the pairs ``judged`` on
        both sides how many are degenerate: ``degenerate`` in the first, ``degenerate_other`` in
        the second, ``only`` and ``only_other`` in one alone, with McNemar's ``mcnemar`` and
        ``mcnemar_holm``.
    """
    columns = (*TRIAL, *also)
    pairs = first.with_columns(outcome(), degenerate(definition)).join(
        second.with_columns(outcome(), degenerate(definition)).select(
            *columns,
            pl.col("score").alias("score_other"),
            pl.col("outcome").alias("outcome_other"),
            pl.col("degenerate").alias("degenerate_other"),
        ),
        on=columns,
        how="inner",
        nulls_equal=True,
        maintain_order="left",
    )
    if pairs.is_empty():
        return pl.DataFrame(schema=DIFFERENCES)
    rows = []
    for target, source in in_order(pairs).select("target", "source").iter_rows():
        part = pairs.filter(pl.col("target") == target, pl.col("source") == source)
        rows.append({"target": target, "source": source, **_difference(part, seed)})
    frame = pl.DataFrame(rows, schema=DIFFERENCES)
    return frame.with_columns(
        pl.Series(f"{name}_holm", holm(frame[name].to_list()), dtype=pl.Float64)
        for name in ("p", "mcnemar")
    )


DIFFERENCES: dict[str, pl.DataType | type[pl.DataType]] = {
    "target": pl.String,
    "source": pl.String,
    "metric": pl.String,
    **dict.fromkeys(("pairs", "scored", "ended", "configurations"), pl.Int64),
    **{f"{name}{end}": pl.Float64 for name in ("mean", "best") for end in ("", "_low", "_high")},
    **dict.fromkeys(("p", "p_holm"), pl.Float64),
    **{f"improvement{end}": pl.Float64 for end in ("", "_low", "_high")},
    **dict.fromkeys(("wins", "ties", "losses", "judged"), pl.Int64),
    **dict.fromkeys(("degenerate", "degenerate_other", "only", "only_other"), pl.Int64),
    **dict.fromkeys(("mcnemar", "mcnemar_holm"), pl.Float64),
}
"""Columns of a frame of differences."""


def _difference(pairs: pl.DataFrame, seed: int) -> dict[str, object]:
    first, second = _matrix(pairs, "outcome"), _matrix(pairs, "outcome_other")
    whole = np.isfinite(first) & np.isfinite(second)
    gaps = (first - second)[whole]
    found: dict[str, object] = {
        "metric": pairs["metric"][0],
        "pairs": pairs.height,
        "scored": pairs.select("score", "score_other").drop_nulls().height,
        "ended": int(whole.sum()),
        "configurations": int(whole.any(axis=1).sum()),
        "wins": int((gaps > 0).sum()),
        "ties": int((gaps == 0).sum()),
        "losses": int((gaps < 0).sum()),
        "p": permutation(first, second, seed=seed),
    }
    for name, interval in bootstrap(first, second, seed=seed).items():
        found |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    judged = pairs.select("degenerate", "degenerate_other").drop_nulls()
    a, b = judged["degenerate"], judged["degenerate_other"]
    only, only_other = int((a & ~b).sum()), int((b & ~a).sum())
    return found | {
        "judged": judged.height,
        "degenerate": int(a.sum()),
        "degenerate_other": int(b.sum()),
        "only": only,
        "only_other": only_other,
        "mcnemar": mcnemar(only, only_other) if judged.height else None,
    }


def _matrix(pairs: pl.DataFrame, column: str) -> Floats:
    """A column as (configurations, seeds); NaN where the grid has no such cell, or no result."""
    codes = [
        pairs.select(pl.struct(names).rank("dense").alias("code"))["code"].to_numpy() - 1
        for names in (_CONFIGURATION, _SEEDS)
    ]
    matrix = np.full([int(code.max()) + 1 for code in codes], np.nan)
    matrix[codes[0], codes[1]] = pairs[column].fill_null(np.nan).to_numpy()
    return matrix


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
