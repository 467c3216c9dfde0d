"""Mean improvement over ``none`` of each source and training size (Figure 3 of the paper)."""

import polars as pl

from analysis.stats.outcomes import outcome
from analysis.stats.summary import TRIAL
from stilt.cell import NONE
from stilt.study import Study


def sized_tasks(cells: pl.DataFrame) -> list[str]:
    """Source tasks that the study trains with more than one number of rows."""
    sources = cells.filter((pl.col("stage") == "target") & (pl.col("source") != NONE))
    sizes = sources.group_by("source_task", maintain_order=True).agg(
        pl.col("source_size").fill_null(-1).n_unique().alias("sizes")
    )
    return sizes.filter(pl.col("sizes") > 1)["source_task"].to_list()


def improvements(cells: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Improvement over ``none`` of every source that is trained in several sizes.

    Only hyperparameters whose runs ended with the source and with ``none`` count, so that a missing
    run never looks like an improvement.

    Args:
        cells: rows of columns.FRAME.
        study: for the number of rows of a source that uses all of them.

    Returns:
        Columns task, target, rows (null where the task's size is not known), seed and source_id
        (of the source), runs of the planned, mean, best: fractions, null without runs; in the
        grid's order.

    Source: paper, section 5.3.
    """
    trained = cells.with_columns(outcome()).filter(pl.col("stage") == "target")
    none = trained.filter(pl.col("source") == NONE)
    plain = none.select(*TRIAL, pl.col("outcome").alias("plain"))
    wanted = trained.filter(pl.col("source_task").is_in(sized_tasks(cells)))
    both = pl.col("outcome").is_not_null() & pl.col("plain").is_not_null()
    first, second = pl.col("outcome").filter(both), pl.col("plain").filter(both)
    full = {
        t: task.train_size or (task.size and task.size.train) for t, task in study.tasks.items()
    }
    rows = pl.col("source_task").replace_strict(full, default=None, return_dtype=pl.Int64)
    return (
        wanted.join(plain, on=TRIAL, nulls_equal=True, maintain_order="left")
        .with_columns(pl.coalesce("source_size", rows).alias("rows"))
        .group_by(
            # not by rows: a draw of all rows is another source than all rows in the file's order
            *("source_task", "target", "rows", "source_seed", "source_id"),
            maintain_order=True,
        )
        .agg(
            both.sum().cast(pl.Int64).alias("runs"),
            pl.len().cast(pl.Int64).alias("planned"),
            (first.mean() - second.mean()).alias("mean"),
            (first.max() - second.max()).alias("best"),
        )
        .rename({"source_task": "task", "source_seed": "seed"})
    )
