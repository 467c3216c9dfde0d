"""What is fetched and checked before jobs run, and what became of each thing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from stilt.config import Frozen
from stilt.data.oddities import Oddity
from stilt.data.places import export_names
from stilt.study import Study
from stilt.task import Task


class Lengths(Frozen):
    """How long a split's sequences are before they are cut, in tokens."""

    split: str
    sequences: int
    """That were looked at."""
    mean: float
    """Once cut."""
    percentiles: tuple[int, ...]
    """At ``PERCENTILES``."""
    cut: float = Field(ge=0, le=1)
    """Share that loses tokens."""


PERCENTILES = (5, 50, 95, 99, 100)


def lengths_of(split: str, counts: Sequence[float] | np.ndarray, limit: int) -> Lengths:
    """Lengths of a split, by the tokens of each of its sequences."""
    tokens = np.asarray(counts)
    return Lengths(
        split=split,
        sequences=len(tokens),
        mean=float(np.minimum(tokens, limit).mean()),
        percentiles=tuple(int(np.percentile(tokens, p, method="higher")) for p in PERCENTILES),
        cut=float((tokens > limit).mean()),
    )


class Staged(Frozen):
    """One thing that jobs need, and whether they will find it."""

    name: str
    train: int | None = None
    dev: int | None = None
    tokens: float | None = None
    """Mean tokens of a training sequence."""
    full: float | None = Field(default=None, ge=0, le=1)
    """Share of training sequences as long as allowed: most of them have lost tokens."""
    where: str = ""
    file: str = ""
    """Cached file of the training split."""
    note: str = ""
    """What was found and dealt with."""
    later: bool = False
    """Whether a job makes it, so that nothing of it is here yet."""
    problem: str | None = None
    odd: tuple[Oddity, ...] = ()
    """What is odd in its rows and may be meant."""
    lengths: tuple[Lengths, ...] = ()
    """Of each split, where they were asked for."""
    parameters: int | None = None
    """Of the model's layers, where these were asked for and its config tells."""

    @property
    def of_hub(self) -> bool:
        """Whether it came from the Hub, so that nodes need the Hub's cache."""
        return self.where.startswith("hub:")


def needed(study: Study) -> list[tuple[str, int | None]]:
    """Every (task, training rows) that some run reads; None for the task's own number."""
    targets = [(cell.target, study.tasks[cell.target].train_size) for cell in study.cells.values()]
    sources = [(source.task, source.train_size) for source in study.sources.values()]
    return list(dict.fromkeys([*targets, *sources]))


def advice(task: Task, folder: Path | None) -> str:
    """What to put where, for a task whose rows local files can hold; empty for others.

    A task of the Hub alone can be read from an export of its data set.
    """
    files = _local_files(task)
    if not files:
        return ""
    place = folder if folder is not None else "a folder that --data-dir or STILT_DATA_DIR names"
    source = f"; source: {task.reference}" if task.reference else ""
    return f"Put {files} below {place}{source}."


def _local_files(task: Task) -> str:
    """The files that a task's rows are first looked for in, as part of a sentence."""
    for origin in task.data:
        if not (origin.hub or origin.wheel):
            names = [origin.train, origin.dev, origin.train_labels, origin.dev_labels]
            return " and ".join(dict.fromkeys(name for name in names if name))
    exports = (
        pair for origin in task.data if origin.hub for pair in export_names(task.name, origin)
    )
    return " and ".join(next(exports, ()))
