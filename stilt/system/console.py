"""The console that every command prints on."""

import os

from rich.console import Console

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
