"""How the axes of a grid bear on degenerate runs."""

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.degenerate import Definition, degenerate
from analysis.stats.inference import cochran, holm, wilson
from analysis.stats.summary import FACTORS, TRIAL


def main_effects(cells: pl.DataFrame, definition: Definition = "majority") -> pl.DataFrame:
    """How often runs are degenerate at each learning rate, batch size, warmup ratio and seed.

    Args:
        cells: ``analysis.read.columns.FRAME``; all sources and targets are pooled.
        definition: of a degenerate run.

    Returns:
        One row per ``factor`` and ``level`` (its value as text): ``degenerate`` of ``judged``,
        ``share`` with Wilson's ``low`` and ``high``; ``blocks`` (everything but the factor fixed,
        all levels run) and Cochran's ``p`` that the factor has no effect, ``p_holm`` over the
        table. A factor with one level has no row.
    """
    runs = cells.filter(pl.col("stage") == "target").with_columns(degenerate(definition))
    blocks = {x: _blocks(runs, x) for x in FACTORS if runs[x].n_unique() > 1}
    p_values = [cochran(outcomes) for outcomes in blocks.values()]
    rows: list[dict[str, object]] = []
    for factor, p, adjusted in zip(blocks, p_values, holm(p_values), strict=True):
        for (level,), some in runs.sort(factor).group_by([factor], maintain_order=True):
            judged = some["degenerate"].drop_nulls()
            interval = wilson(int(judged.sum()), len(judged))
            rows.append(
                {
                    "factor": factor,
                    # a seed has more digits than a rate, and each of them counts
                    "level": str(level) if isinstance(level, int) else f"{level:g}",
                    "degenerate": int(judged.sum()),
                    "judged": len(judged),
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


def _blocks(runs: pl.DataFrame, factor: str) -> npt.NDArray[np.bool_]:
    """Degenerate or not, shape (blocks, levels): blocks in which every level has been run."""
    others = [x for x in ("source", *TRIAL) if x != factor]
    wide = runs.pivot(on=factor, index=others, values="degenerate").drop(others).drop_nulls()
    return wide.to_numpy().astype(bool)
