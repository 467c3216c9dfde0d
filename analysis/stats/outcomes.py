"""What a run that ended counts as: its score, or, where it diverged, the best constant answer's.

A diverged run has no score. To leave it out would reward a source for it: the rest of its runs
would have the higher mean. So it counts as what its weights, which are no longer numbers, could do
at best: answer always the same (the majority class; for MCC: 0). Every mean, difference, curve and
figure takes it so; a cell that failed or is missing has not ended and is in none of them.
"""

import polars as pl

CONVENTION = "A diverged run counts as the best constant answer's score."
"""For captions."""


def outcome() -> pl.Expr:
    """What each run counts as, a fraction; null where it has not ended."""
    return (
        pl.when(pl.col("status") == "diverged").then("majority").otherwise("score").alias("outcome")
    )
