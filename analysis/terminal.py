"""What a person sees: tables and notes on stdout, the names of written files on stderr."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from analysis.presentation import TextTable, as_rich

PAPER = 132
"""Characters in a line that goes to a file or a pipe, which have no width of their own."""


class _Console(Console):
    """A console that leaves a closed pipe to ``while_read``; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Lets the error through."""
        raise BrokenPipeError


@contextmanager
def while_read() -> Iterator[None]:
    """Ends what is printed within, without complaint, once its reader (``head``) has enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still buffered would be written, and complained of, when the process exits
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def show(shown: Sequence[TextTable], notes: Sequence[str], title: str) -> None:
    """Prints tables with their captions, then the notes, as wide as the terminal is."""
    console = _Console(markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = _Console(width=PAPER, markup=False)
    console.rule(title)
    for table in shown:
        console.print(as_rich(table, console.width))
        console.print(table.caption, style="dim", highlight=False)
        console.print()
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)


def say(paths: Sequence[Path]) -> None:
    """Names the files that were written, on stderr: stdout is for results."""
    folders: dict[Path, dict[str, list[str]]] = {}
    for path in paths:
        folders.setdefault(path.parent, {}).setdefault(path.stem, []).append(path.suffix[1:])
    for folder, files in folders.items():
        names = (
            f"{stem}.{kinds[0]}" if len(kinds) == 1 else f"{stem}.{{{','.join(kinds)}}}"
            for stem, kinds in files.items()
        )
        sys.stderr.write(f"wrote in {folder}: {' '.join(names)}\n")
    for path in paths:
        if path.name == "report.html":
            sys.stderr.write(f"to look at: {path}\n")
