"""Which models were tried on which tasks, and found to be of use: remembered in the cache."""

from importlib.metadata import version
from pathlib import Path

from stilt.cell import digest
from stilt.system.files import write_text
from stilt.task import Task

TRIAL_VERSION = 1
"""Counts changes of what is tried, so that an older trial is not trusted."""
LIBRARIES = ("torch", "transformers", "tokenizers")


def tried_file(cache: Path, model_identity: str, task: Task, data: str) -> Path:
    """The file that stands for a trial which went well, named by everything that decides it.

    Args:
        cache: folder of tokenised data and the like.
        model_identity: see ``stilt.model.place.identity``.
        task: that the model was tried on.
        data: digest of the task's rows; empty where a job generates them.
    """
    libraries = [version(name) for name in LIBRARIES]
    content = [TRIAL_VERSION, libraries, model_identity, task.identity(), data]
    return cache / "tried" / f"{task.name}-{digest(content, 20)}"


def remember(path: Path, model_identity: str) -> None:
    """Notes that a trial went well; the text is for people."""
    write_text(path, f"{model_identity}\n")
