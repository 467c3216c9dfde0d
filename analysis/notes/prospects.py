"""Which tests cannot reject whatever comes out, and where no answers are stored, in words."""

from collections.abc import Iterator

import polars as pl

from stilt.training.power import warnings


def hopeless(power: pl.DataFrame) -> Iterator[str]:
    """A line on each plan with too few configurations for a test.

    Args:
        power: ``analysis.spread.power.power``.
    """
    columns = ("target", "configurations", "lowest_p", "lowest_p_holm")
    yield from warnings(power.select(columns).iter_rows())


def unanswered(cells: pl.DataFrame, flips: pl.DataFrame) -> Iterator[str]:
    """A line on targets whose finished runs have no stored predictions to compare.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        flips: ``analysis.spread.flips.flips``.
    """
    ended = cells.filter(pl.col("stage") == "target", pl.col("status") == "ok")["target"].unique()
    silent = flips.group_by("target", maintain_order=True).agg(
        pl.col("seed_flips", "none_flips").count(),
        pl.col("seed_pairs_planned", "none_pairs_planned").sum(),
    )
    names = silent.filter(
        pl.col("target").is_in(ended.implode()),
        pl.col("seed_flips") + pl.col("none_flips") == 0,
        pl.col("seed_pairs_planned") + pl.col("none_pairs_planned") > 0,
    )["target"]
    if len(names):
        yield (
            f"No flipped answers are told on {', '.join(names)}: no two runs to compare have "
            "stored predictions."
        )
