"""Whether what a result says of itself agrees: an expression over thousands of results at once."""

import numpy as np
import polars as pl

from stilt.records.results import ROUNDING


def sound() -> pl.Expr:
    """Whether status, score, accuracy, predictions and row count of a result agree: never null.

    Over a frame with a result's own fields, of which ``dev`` is a struct. The rules of
    ``stilt.records.results.agrees``.
    """
    dev = pl.col("dev").struct
    predictions, gold = dev.field("predictions"), dev.field("gold")
    right = pl.struct(one=predictions, other=gold).map_batches(_equal, return_dtype=pl.Float64)
    return (
        ((pl.col("status") == "ok") == pl.col("score").is_not_null())
        & pl.col("score").is_between(-1, 1).fill_null(value=True)
        & (pl.col("score").eq_missing(dev.field("score")))
        & (predictions.str.len_bytes() == gold.str.len_bytes()).fill_null(value=True)
        & (predictions.str.len_bytes() == pl.col("dev_rows")).fill_null(value=True)
        & (
            (dev.field("score") == dev.field("accuracy")) | (pl.col("metric") != "accuracy")
        ).fill_null(value=True)
        # a tie counts for a share, which predictions do not tell
        & ((right - dev.field("accuracy")).abs().le(ROUNDING) | (dev.field("ties") > 0)).fill_null(
            value=True
        )
    )


def _equal(pairs: pl.Series) -> pl.Series:
    """Share of places at which two texts have the same byte; null where they differ in length.

    Args:
        pairs: structs of ``one`` and ``other``.
    """
    texts = pairs.struct.unnest().with_row_index("row")
    texts = texts.filter(
        pl.col("one").str.len_bytes() == pl.col("other").str.len_bytes(), pl.col("one") != ""
    )
    if texts.is_empty():
        return pl.Series([None] * len(pairs), dtype=pl.Float64)
    # a hundred thousand dev sets are some 10^8 places: only as bytes, side by side, are they quick
    one, other = (
        np.frombuffer("".join(texts[name]).encode(), dtype=np.uint8) for name in ("one", "other")
    )
    lengths = texts["one"].str.len_bytes().to_numpy().astype(np.int64)
    same = np.add.reduceat(one == other, np.cumsum(lengths) - lengths, dtype=np.int64)
    found = np.full(len(pairs), np.nan)
    found[texts["row"].to_numpy()] = same / lengths
    return pl.Series(found, nan_to_null=True)
