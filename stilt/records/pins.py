"""Which rows a study was begun with: a small file for each task, written at first sight of them."""

import json
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, Field

from stilt.config import Frozen, parse, read_json
from stilt.errors import ConfigError, DataError
from stilt.folder import StudyFolder
from stilt.records.answers import written
from stilt.system.files import create_text, write_text


class Pin(Frozen):
    """The rows of a task, as a study knows them again."""

    # what a later version adds must not make this one begin anew
    model_config = ConfigDict(extra="ignore")

    digest: str
    """Of all examples in order."""
    train: int = Field(ge=1)
    """Rows."""
    dev: int = Field(ge=1)
    gold: str | None = None
    """Labels of the dev rows in order, as records write them; earlier versions kept none."""
    where: str
    parts: tuple[tuple[str, str], ...] = ()
    """The file of train and that of dev, each with a digest; earlier versions kept none."""
    odd: tuple[dict[str, str], ...] | None = None
    """What is odd in the rows, for whoever has not got them; earlier versions did not look."""
    text: str = ""
    """Which text the rows are, where the task tells of several."""


def pin_name(task: str, train_size: int | None) -> str:
    """What the rows of a task are called, or so many of its training rows; no task has an @."""
    return f"{task}@{train_size}" if train_size else task


def task_of_pin(name: str, tasks: Container[str]) -> str:
    """The task of what ``pin_name`` gives; earlier versions put a dash in the place of the @."""
    task = name.partition("@")[0]
    return task if task in tasks else task.rpartition("-")[0]


def pin_path(folder: StudyFolder, tasks: Container[str], task: str, train_size: int | None) -> Path:
    """Where a study keeps which rows of a task it was begun with.

    Earlier versions put a dash before the number, as the name of a task may have it, too: such a
    file goes on where no task is called so.

    Args:
        folder: the study's.
        tasks: names of the study's tasks.
        task: one of them.
        train_size: training rows, where a source has a number of its own.
    """
    path = folder.data_digest(pin_name(task, train_size))
    earlier = f"{task}-{train_size}"
    if train_size is None or earlier in tasks or path.is_file():
        return path
    before = folder.data_digest(earlier)
    return before if before.is_file() else path


def found_in(folder: StudyFolder, tasks: Container[str], task: str) -> Path | None:
    """The folder in which a study found a task's rows, where it is still there."""
    try:
        pin = read_pin(pin_path(folder, tasks, task, None))
    except ConfigError:
        return None
    return Path(pin.where) if pin is not None and Path(pin.where).is_dir() else None


def new_pin(
    digest: str,
    train: int,
    labels: Sequence[float],
    where: str,
    odd: Iterable[Frozen] = (),
    parts: tuple[tuple[str, str], ...] = (),
    text: str = "",
) -> Pin:
    """The pin of rows that were just read.

    Args:
        digest: of all examples in order.
        train: training rows.
        labels: classes of the dev rows, or numbers in regression.
        where: they were found.
        odd: what is odd in them.
        parts: the files of both splits, each with a digest.
        text: which of a task's texts they are.
    """
    gold = written(np.asarray(labels))
    tables = tuple(oddity.model_dump() for oddity in odd)
    return Pin(
        digest=digest,
        train=train,
        dev=len(labels),
        gold=gold,
        where=where,
        odd=tables,
        parts=parts,
        text=text,
    )


def keep(path: Path, name: str, pin: Pin, known: str | None) -> str:
    """Keeps the pin of a task's rows at first sight, and refuses other rows after.

    A pin that is damaged is made anew, and one without gold labels is completed.

    Args:
        path: where it is kept.
        name: the task.
        pin: of the rows that were just read.
        known: digest of the rows that the study's results were made with, where they agree on one.

    Returns:
        What was mended, for people; most often empty.

    Raises:
        DataError: The rows are not those that the study was begun with.
    """
    text = json.dumps(pin.model_dump()) + "\n"
    if known in (None, pin.digest) and create_text(path, text):
        return ""
    try:
        there = read_pin(path)
    except ConfigError as error:
        there, damage = None, str(error)
    else:
        damage = f"{path}: a link to nothing." if there is None and path.is_symlink() else ""
    if there is None:
        if known not in (None, pin.digest):
            raise DataError(
                f"{pin.where}: task {name!r} has other rows ({pin.train} train, {pin.dev} dev) "
                f"than the results of this study were made with (digest {known}, here "
                f"{pin.digest}). Use the same data, or begin another study."
            )
        if path.is_dir() and not path.is_symlink():
            raise DataError(f"{path}: a folder, where a file is expected. Remove it.")
        write_text(path, text)
        return f"{damage} It was made anew." if damage else ""
    require_same(name, pin, there)
    before, now = ((not p.odd, not p.parts, not p.text) for p in (there, pin))
    if there.gold != pin.gold or any(a and not b for a, b in zip(before, now, strict=True)):
        write_text(path, text)
    return ""


def require_same(name: str, here: Pin, there: Pin) -> None:
    """Makes sure that rows which were just read are those that a study was begun with.

    Args:
        name: the task.
        here: the pin of the rows that were just read.
        there: the pin that the study keeps.

    Raises:
        DataError: They are others.
    """
    if there.digest == here.digest:
        return
    rows = f"{there.train} train, {there.dev} dev"
    place = f" from {there.where}" if there.where != here.where else ""
    if (here.train, here.dev) == (there.train, there.dev):
        told = f"other rows than this study began with (as many: {rows}{place})"
    else:
        told = (
            f"other rows ({here.train} train, {here.dev} dev) than this study began with "
            f"({rows}{place})"
        )
    raise DataError(
        f"{here.where}: task {name!r} has {told}{_differing(here, there)}. Use the same data, or "
        "begin another study."
    )


def _differing(here: Pin, there: Pin) -> str:
    """Which files hold other rows, as the end of a sentence; empty where that was not kept.

    A file that is cut into both splits is named once.
    """
    found = [
        f"{name} has other rows than {'it had' if name == before else f'{before} had'}"
        for (name, digest), (before, known) in zip(here.parts, there.parts, strict=False)
        if digest != known
    ]
    return f": {', and '.join(dict.fromkeys(found))}" if found else ""


def read_pin(path: Path) -> Pin | None:
    """Reads a pin; None where there is none.

    Raises:
        ConfigError: It is damaged; the message says what is wrong in it.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(512)
def _read(path: Path, changed: int, size: int) -> Pin | None:
    try:
        return parse(Pin, read_json(path), path)
    except FileNotFoundError:
        return None
