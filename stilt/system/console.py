"""The console that every command prints on, and the form of its tables."""

import os
from collections.abc import Collection

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from stilt.system.stdout import discard


class Output(Console):
    """A console that goes on without its reader; rich would end the program, its runs and all."""

    def on_broken_pipe(self) -> None:
        """Prints to nowhere from here on."""
        discard()


def output(*, stderr: bool = False) -> Console:
    """Where commands print; wide where it is no terminal, because nothing is to be cut there.

    No markup: a message with brackets in it, such as an error's, is shown as it is.
    """
    console = Output(markup=False, stderr=stderr)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Output(width=120, markup=False, stderr=stderr)


def new_table(*columns: str, title: str | None = None, right: Collection[str] = ()) -> Table:
    """An empty table in the form that all commands share.

    Args:
        columns: their headings.
        title: what stands above it.
        right: those of the columns that are flush right, as numbers are.
    """
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
