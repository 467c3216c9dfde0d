"""How studies stand: ``python launcher/status.py [STUDY] [--watch] [--json]``.

``status.py why CELL`` shows what went wrong with a cell or source, ``status.py tail CELL`` follows
its log; a cell is named by the start of its id, a source also by its name.
"""

from stilt.system.command import run_command

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from tyro.conf import Positional

from launcher.watch import screen
from launcher.watch.observer import Observer
from launcher.watch.story import tail, why
from launcher.watch.study_status import STATES, Item, StudyStatus
from stilt.errors import ConfigError
from stilt.folder import find_studies, find_study, read_studies
from stilt.system.console import output
from stilt.system.stdout import while_read


def status(
    study: Positional[str | None] = None,
    root: Path = Path("logs"),
    watch: bool = False,
    json: bool = False,
    every: float = 10.0,
) -> int:
    """Shows how a study stands, or all studies in a line each.

    Two more: "status.py why CELL" tells what went wrong with a cell or source and shows the end of
    its log; "status.py tail CELL" follows its log. The exit code is 1 if something has failed.

    Args:
        study: name of the study, or its folder; all below root by default.
        root: folder that holds studies.
        watch: look again and again until nothing runs or waits.
        json: print JSON instead, for programs.
        every: seconds between two looks.
    """
    if every < 1:
        raise ConfigError(f"--every {every:g}: at least 1 second.")
    folders = find_studies(root) if study is None else [find_study(study, root)]
    studies, problems = read_studies(folders)
    observers = [Observer(folder, read) for folder, read in studies.items()]
    whole = study is not None or (len(studies) == 1 and not problems)
    console = output()

    def look() -> list[StudyStatus]:
        return [observer.look(ask=whole) for observer in observers]

    standings = _watched(look, console, every, whole=whole) if watch and not json else look()
    if problems:
        # not among the results that a program reads
        red = output(stderr=True) if json else console
        for problem in problems:
            red.print(problem, style="bold red", soft_wrap=True)
    if json:
        with while_read():
            sys.stdout.write(_json([_as_table(standing) for standing in standings], whole=whole))
    elif whole:
        console.print(screen.full(standings[0]))
        # a command to be copied is not to be broken into lines
        console.print(screen.following(standings[0]), soft_wrap=True)
    else:
        console.print(screen.overview(standings))
        console.print("\nOne of them in full: python launcher/status.py STUDY")
    return 1 if any(standing.failed for standing in standings) else 0


def _watched(
    look: Callable[[], list[StudyStatus]], console: Console, every: float, *, whole: bool
) -> list[StudyStatus]:
    """Looks until nothing is live any more; Ctrl-C ends the watching, and nothing else."""
    standings = look()
    with Live(console=console, auto_refresh=False, transient=True, screen=False) as live:
        try:
            while any(standing.live for standing in standings):
                shown = screen.full(standings[0]) if whole else screen.overview(standings)
                note = f"every {every:g} s; Ctrl-C stops watching, and nothing else"
                live.update(Group(shown, "", note), refresh=True)
                time.sleep(every)
                standings = look()
        except KeyboardInterrupt:
            # the person has seen enough; the study goes on without a watcher
            return standings
    return standings


def _as_table(standing: StudyStatus) -> dict[str, Any]:
    """What programs read; every time in seconds, every moment in seconds since 1970."""
    count = standing.count()
    return {
        "study": standing.study.name,
        "folder": str(standing.folder.path.resolve()),
        "cells": len(standing.cells),
        "count": {state: count[state] for state in STATES},
        "diverged": sum(cell.diverged for cell in standing.cells),
        "live": standing.live,
        "failed": standing.failed,
        "work_done": round(standing.work_done, 4),
        "began": standing.began,
        "last_ended": standing.last,
        "seconds_left": standing.left,
        "gpu_hours": None if standing.gpu_seconds is None else standing.gpu_seconds / 3600,
        "run_hours": standing.run_seconds / 3600,
        "unanswered": standing.unanswered,
        "items": [_item(item) for item in standing.items],
    }


def _item(item: Item) -> dict[str, Any]:
    kept = ("id", "stage", "name", "source", "target", "state", "kind", "why", "attempts", "share")
    more = ("started", "ended", "seconds", "score", "diverged", "host", "job", "resumable")
    return {name: getattr(item, name) for name in (*kept, *more)}


def _json(tables: list[dict[str, Any]], *, whole: bool) -> str:
    return json.dumps(tables[0] if whole else tables, indent=1, allow_nan=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    prog = "python launcher/status.py"
    if arguments and arguments[0] in ("why", "tail"):
        verb = why if arguments[0] == "why" else tail
        return run_command(verb, f"{prog} {arguments[0]}", arguments[1:])
    return run_command(status, prog, arguments)


if __name__ == "__main__":
    sys.exit(main())
