"""How the axes of a grid bear on degenerate runs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.degenerate import Definition, degenerate
from analysis.stats.inference import cochran, holm, wilson
from analysis.stats.summary import FACTORS, TRIAL


def main_effects(
    cells: pl.DataFrame, definition: Definition = "majority", by: Sequence[str] = ()
) -> pl.DataFrame:
    """How often runs are degenerate at each learning rate, batch size, warmup ratio and seed.

    Args:
        cells: ``analysis.read.columns.FRAME``.
        definition: of a degenerate run.
        by: columns to keep apart, such as ``source``; the rest is pooled.

    Returns:
        One row per ``by``, ``factor`` and ``level`` (its value as text): ``degenerate`` of
        ``judged``, ``share`` with Wilson's ``low`` and ``high``; ``blocks`` (everything but the
        factor fixed, all levels run) and Cochran's ``p`` that the factor has no effect, ``p_holm``
        over the table. A factor with one level has no row.
    """
    runs = cells.filter(pl.col("stage") == "target").with_columns(degenerate(definition))
    groups = runs.select(by).unique(maintain_order=True).rows() if by else [()]
    rows: list[dict[str, object]] = []
    tests: list[float | None] = []
    for group in groups:
        kept = [pl.col(name) == value for name, value in zip(by, group, strict=True)]
        part = runs.filter(*kept)
        for factor in FACTORS:
            if part[factor].n_unique() < 2:
                continue
            blocks = _blocks(part, factor)
            tests.append(cochran(blocks))
            for level, some in part.sort(factor).group_by([factor], maintain_order=True):
                judged = some["degenerate"].drop_nulls()
                interval = wilson(int(judged.sum()), len(judged))
                rows.append(
                    {
                        **dict(zip(by, group, strict=True)),
                        "factor": factor,
                        # a seed has more digits than a rate, and each of them counts
                        "level": str(level[0]) if isinstance(level[0], int) else f"{level[0]:g}",
                        "degenerate": int(judged.sum()),
                        "judged": len(judged),
                        "share": interval.value,
                        "low": interval.low,
                        "high": interval.high,
                        "blocks": len(blocks),
                        "test": len(tests) - 1,
                    }
                )
    adjusted = holm(tests)
    for row in rows:
        test = row.pop("test")
        assert isinstance(test, int)
        row |= {"p": tests[test], "p_holm": adjusted[test]}
    return pl.DataFrame(rows, schema={**dict.fromkeys(by, pl.String), **EFFECTS})


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
