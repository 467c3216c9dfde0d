"""Studies and frames of their cells with the scores that a test wants, without files."""

import math

import polars as pl

from analysis.read.columns import FRAME
from stilt.grid import Grid
from stilt.study import Study, bind

TARGETS = [
    "rte", "cola", "wic", "mednli", "socialiqa", "winogrande-xs", "winogrande-m", "winogrande-l",
]  # fmt: skip
"""The targets of the paper."""


def study_of(sources=("none", "hellaswag"), targets=("rte",), **axes) -> Study:
    """A study of one block, bound to a model that is not there; ``axes`` replaces its axes."""
    block = {
        "sources": list(sources),
        "targets": list(targets),
        "learning_rate": [1e-5, 2e-5],
        "batch_size": [8, 16],
        "warmup_ratio": [0.0],
        "seed": [12],
        **axes,
    }
    table = {"name": "s", "model": {"hub": "o/m", "revision": "0"}, "blocks": [block]}
    return bind(Grid.model_validate(table), "model")


def cells_of(study: Study, score=lambda cell, place: 0.6 + 0.01 * place, **columns) -> pl.DataFrame:
    """One row per cell; a score of None is a missing cell, NaN a diverged one."""
    rows = []
    for place, cell in enumerate(study.cells.values()):
        source = study.sources.get(cell.source_id)
        task, value = study.tasks[cell.target], score(cell, place)
        status = "missing" if value is None else "diverged" if math.isnan(value) else "ok"
        rows.append(
            dict.fromkeys(FRAME)
            | cell.hyperparameters.model_dump()
            | {
                "cell": cell.id,
                "stage": cell.stage,
                "source": cell.source,
                "source_id": cell.source_id,
                "source_task": source and source.task,
                "source_size": source and source.train_size,
                "source_seed": source and source.hyperparameters.seed,
                "target": cell.target,
                "status": status,
                "metric": task.metric,
                "score": value if status == "ok" else None,
                "chance": task.chance,
                "majority": None if status == "missing" else task.chance + 0.03,
                "classes": len(task.labels),
                # the updates that the curves below show, whatever the batch
                "train_rows": 8,
                "loss": None
                if status == "missing"
                else [{"step": step, "value": 0.7 / step} for step in range(1, task.epochs + 1)],
            }
            | {name: make(cell) for name, make in columns.items()}
        )
    frame = pl.DataFrame(rows, schema=FRAME)
    verdict = pl.when(pl.col("status") == "ok").then(pl.col("score") <= pl.col("majority"))
    diverged = pl.when(pl.col("status") == "diverged").then(pl.lit(True))
    return frame.with_columns(pl.coalesce(diverged, verdict).alias("degenerate"))
