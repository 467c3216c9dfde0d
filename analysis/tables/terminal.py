"""What a person sees: tables and notes on stdout, the names of written files on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.tables.presentation import TITLES, TextTable, as_rich
from stilt.system.console import output

PIPE_WIDTH = 132
"""Characters in a line that goes to a file or a pipe."""


def show(
    shown: Sequence[TextTable], notes: Sequence[str], title: str, words: Sequence[str] = ()
) -> None:
    """Prints tables with titles and captions, then sentences and notes, as wide as the terminal is.

    Args:
        shown: tables.
        notes: on the whole, each in a line.
        title: of all.
        words: sentences on what the tables show.
    """
    console = output(width=PIPE_WIDTH)
    console.rule(title)
    for place, table in enumerate(shown):
        drawn, caption = as_rich(table, console.width, first=place == 0)
        console.print(TITLES[table.name], style="bold")
        console.print(drawn)
        console.print(caption, style="dim")
        console.print()
    for line in words:
        console.print(f"• {line}")
    if words:
        console.print()
    for note in notes:
        console.print(note, soft_wrap=True)


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
