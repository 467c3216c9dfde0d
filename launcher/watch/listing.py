"""What can be named on a command line: every grid and every task that is found from here."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from stilt.errors import ConfigError, printable
from stilt.grid import grid_names, grid_path, load_grid
from stilt.study import bind
from stilt.system.console import new_table
from stilt.task import load_task, task_names

Listed = Literal["grids", "tasks"]
"""What can be listed."""

NEAR = (Path(), Path("tasks"))
"""Folders whose task files the commands find, besides those of ``STILT_TASKS`` and our own."""
LONGEST = 60
"""Characters of a title."""


def show_names(listed: Listed, console: Console) -> None:
    """Prints the names of all grids or tasks with what each one is, then files with mistakes."""
    rows, words, numbers = LISTS[listed]
    table = new_table("name", *words, *numbers, title=listed, right=numbers)
    # whoever copies a name needs all of it
    table.columns[0].no_wrap = True
    wrong = []
    for name, row in rows():
        if isinstance(row, ConfigError):
            wrong.append(row)
            continue
        table.add_row(Text(name, "bold"), *map(str, row))
    console.print(table)
    for error in wrong:
        console.print(f"left out: {error}", soft_wrap=True)


Rows = Iterator[tuple[str, Sequence[object] | ConfigError]]
"""Names, each with its row or with what is wrong in its file."""


def _grids() -> Rows:
    for name in grid_names():
        try:
            grid = load_grid(name)
            study = bind(grid, "listed", near=grid_path(name).parent)
        except ConfigError as error:
            yield name, error
            continue
        targets = {cell.target for cell in study.cells.values()}
        title = printable(grid.title, LONGEST)
        yield name, (title, len(study.sources), len(targets), len(study.cells))


def _tasks() -> Rows:
    for name in task_names(NEAR):
        try:
            task = load_task(name, NEAR)
        except ConfigError as error:
            yield name, error
            continue
        rows = (task.size.train, task.size.dev) if task.size else ("", "")
        yield name, (printable(task.title, LONGEST), task.kind, task.metric, *rows)


LISTS: dict[Listed, tuple[Callable[[], Rows], tuple[str, ...], tuple[str, ...]]] = {
    "grids": (_grids, ("title",), ("sources", "targets", "cells")),
    "tasks": (_tasks, ("title", "kind", "metric"), ("train", "dev")),
}
"""What gives the rows, and the columns after the name: words and numbers."""
