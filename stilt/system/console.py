"""The console that every command prints on, and the form of its tables."""

from stilt.system.command import discard

import os
from collections.abc import Collection
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


class Output(Console):
    """A console that goes on without its reader; rich would end the program, its runs and all.

    A message is shown as it is: brackets, as an error may have, are no markup.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, **options)

    def on_broken_pipe(self) -> None:
        """Prints to nowhere from here on."""
        discard()


def output(*, stderr: bool = False, width: int = 120) -> Output:
    """Where commands print; ``width``, in characters, is for what has none of its own."""
    console = Output(stderr=stderr)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Output(stderr=stderr, width=width)


def new_table(*columns: str, title: str | None = None, right: Collection[str] = ()) -> Table:
    """An empty table in the form of all commands; columns of numbers stand in ``right``."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table
