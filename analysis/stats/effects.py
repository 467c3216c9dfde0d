"""How the axes of a grid bear on degenerate runs."""

import numpy as np
import polars as pl

from analysis.stats.degenerate import DEFAULT, Definition, degenerate
from analysis.stats.inference import Counts, clustered_wilson, cochran, holm
from analysis.stats.summary import CONFIGURATION, FACTORS, SEEDS


def main_effects(cells: pl.DataFrame, definition: Definition = DEFAULT) -> pl.DataFrame:
    """How often runs are degenerate at each learning rate, batch size, warmup ratio and seed.

    Args:
        cells: ``analysis.read.columns.FRAME``; all sources and targets are pooled.
        definition: of a degenerate run.

    Returns:
        One row per ``factor`` and ``level`` (its value as text): ``degenerate`` of ``judged``,
        ``share`` with ``low`` and ``high`` (``inference.clustered_wilson``; a cluster is what has
        source, target and hyperparameters in common); ``blocks`` (everything but the factor and
        seeds fixed, all levels run with all seeds) and the ``p`` of ``inference.cochran`` that the
        factor has no effect, ``p_holm`` over the table. Both hold for these dev examples, source
        checkpoints, sources and targets, and are null until all runs have ended. A factor with one
        level has no row.
    """
    runs = cells.filter(pl.col("stage") == "target").with_columns(degenerate(definition))
    blocks = {x: _blocks(runs, x) for x in FACTORS if runs[x].n_unique() > 1}
    final = not runs["status"].is_in(["failed", "missing"]).any()
    p_values = [cochran(outcomes) if final else None for outcomes in blocks.values()]
    rows: list[dict[str, object]] = []
    for factor, p, adjusted in zip(blocks, p_values, holm(p_values), strict=True):
        for (level,), some in runs.sort(factor).group_by([factor], maintain_order=True):
            clusters = some.group_by("source", "target", *CONFIGURATION, maintain_order=True).agg(
                pl.col("degenerate").sum().cast(pl.Int64).alias("count"),
                pl.col("degenerate").count().cast(pl.Int64).alias("of"),
            )
            interval = clustered_wilson(clusters["count"].to_numpy(), clusters["of"].to_numpy())
            rows.append(
                {
                    "factor": factor,
                    # a seed has more digits than a rate, and each of them counts
                    "level": str(level) if isinstance(level, int) else f"{level:g}",
                    "degenerate": int(clusters["count"].sum()),
                    "judged": int(clusters["of"].sum()),
                    "share": interval.value,
                    "low": interval.low,
                    "high": interval.high,
                    "blocks": len(blocks[factor]),
                    "p": p,
                    "p_holm": adjusted,
                }
            )
    return pl.DataFrame(rows, schema=EFFECTS)


EFFECTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "factor": pl.String,
    "level": pl.String,
    **dict.fromkeys(("degenerate", "judged"), pl.Int64),
    **dict.fromkeys(("share", "low", "high"), pl.Float64),
    "blocks": pl.Int64,
    **dict.fromkeys(("p", "p_holm"), pl.Float64),
}
"""Columns of a frame of main effects."""


def _blocks(runs: pl.DataFrame, factor: str) -> Counts:
    """Degenerate runs of each block at each level, shape (blocks, levels): whole blocks alone."""
    # seeds of a configuration share its fate, so they go where it goes
    kept = [x for x in SEEDS if x != factor] if factor in SEEDS else []
    others = [x for x in ("source", "target", *CONFIGURATION, *kept) if x != factor]
    degenerate = pl.col("degenerate")
    each = runs.group_by(*others, factor, maintain_order=True).agg(
        pl.when(~degenerate.has_nulls()).then(degenerate.sum().cast(pl.Int64)).alias("count"),
        pl.len().alias("runs"),
    )
    even = each.filter(pl.col("runs").n_unique().over(others) == 1)
    wide = even.pivot(on=factor, index=others, values="count").drop(others).drop_nulls()
    return wide.to_numpy().astype(np.int64)
