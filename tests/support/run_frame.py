"""Frames of runs, written out by hand, as the statistics read them."""

import polars as pl

from analysis.read.columns import FRAME

CELL = {
    "study": "s",
    "stage": "target",
    "source": "none",
    "target": "rte",
    "learning_rate": 1e-5,
    "batch_size": 8,
    "warmup_ratio": 0.0,
    "seed": 12,
    "status": "ok",
    "metric": "accuracy",
    "majority": 0.5,
    "chance": 0.5,
    "classes": 2,
    "dev_rows": 100,
    "constant": False,
    "lowest_loss": 0.1,
    "seconds": 36.0,
}


def frame(*cells):
    """A frame of runs that differ from ``CELL`` as told; one without a score is missing."""
    rows = [CELL | {"cell": f"c{number}"} | cell for number, cell in enumerate(cells)]
    missing = {"status": "missing", "majority": None, "constant": None, "lowest_loss": None}
    for row in rows:
        row.setdefault("source_task", None if row["source"] == "none" else row["source"])
        if row["status"] == "diverged":
            row |= {"constant": None, "lowest_loss": None}
        elif "score" not in row:
            row |= missing | {name: row[name] for name in ("status",) if row["status"] != "ok"}
    return pl.DataFrame(rows, schema=FRAME)


def runs(source, scores, seeds=(12, 42), **more):
    """One cell per score: configurations (learning rates 1, 2, ...) by seeds, row by row."""
    cells = []
    for number, score in enumerate(scores):
        point = {"learning_rate": 1.0 + number // len(seeds), "seed": seeds[number % len(seeds)]}
        cells.append({"source": source, **point, **({} if score is None else {"score": score})})
        cells[-1] |= more
    return cells
