"""What is fetched and checked before jobs run, and what became of each thing."""

from pathlib import Path

from pydantic import Field

from stilt.config import Frozen
from stilt.data.oddities import Oddity
from stilt.study import Study
from stilt.task import Task


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
    problem: str | None = None
    odd: tuple[Oddity, ...] = ()
    """What is odd in its rows and may be meant."""

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
    """What to put where, for a task that no Hub and no wheel has; empty for others."""
    if not task.data or any(origin.hub or origin.wheel for origin in task.data):
        return ""
    place = folder if folder is not None else "a folder that --data-dir or STILT_DATA_DIR names"
    origin = task.data[0]
    names = [origin.train, origin.dev, origin.train_labels, origin.dev_labels]
    files = " and ".join(dict.fromkeys(name for name in names if name))
    return f"Put {files} below {place}; source: {task.reference or task.title}."
