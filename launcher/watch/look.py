"""How studies stand, once or again and again: on the screen, or as JSON."""

from stilt.system.command import while_read

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from json import dumps
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from launcher.watch import screen
from launcher.watch.observer import Observer
from launcher.watch.outside import as_table
from launcher.watch.study_status import STATES, StudyStatus
from stilt.errors import ConfigError
from stilt.folder import find_studies, find_study, read_studies
from stilt.system.console import output
from stilt.system.invocation import spelled

ITEM_FIELDS = (
    *("id", "stage", "name", "source", "target", "state", "kind", "why", "attempts", "share"),
    *("started", "ended", "seconds", "score", "diverged", "smaller_passes"),
    *("host", "job", "resumable", "taken_from"),
)
"""What --json tells of a run."""


def look_at(study: str | None, root: Path, *, watch: bool, json: bool, every: float) -> int:
    """Shows a study, or all of them; returns the exit code. Args are the command's flags."""
    if every < 1:
        raise ConfigError(f"--every {every:g}: at least 1 second.")
    folders = find_studies(root) if study is None else [find_study(study, root)]
    studies, problems = read_studies(folders)
    observers = [Observer(folder, read) for folder, read in studies.items()]
    whole = study is not None or (len(studies) == 1 and not problems)
    console = output()

    def look() -> list[StudyStatus]:
        return [observer.look(ask=whole) for observer in observers]

    statuses = _watched(look, console, every, whole=whole) if watch and not json else look()
    if problems:
        # not among the results that a program reads
        red = output(stderr=True) if json else console
        for problem in problems:
            red.print(problem, style="bold red", soft_wrap=True)
    if json:
        tables = [_as_table(status) for status in statuses]
        with while_read():
            text = dumps(tables[0] if whole else tables, indent=1, allow_nan=False)
            sys.stdout.write(f"{text}\n")
    elif whole:
        console.print(screen.full(statuses[0]))
        # a command to be copied is not to be broken into lines
        console.print(screen.following(statuses[0]), soft_wrap=True)
    else:
        console.print(screen.overview(statuses))
        console.print(f"\nOne of them in full: {spelled('status')} STUDY")
    return 1 if any(status.failed for status in statuses) else 0


def _watched(
    look: Callable[[], list[StudyStatus]], console: Console, every: float, *, whole: bool
) -> list[StudyStatus]:
    """Looks until nothing is live any more; Ctrl-C ends the watching, and nothing else."""
    statuses = look()
    if not console.is_terminal:
        return _logged(look, statuses, console, every)
    note = f"every {every:g} s; Ctrl-C stops watching, and nothing else"
    live = Live(console=console, auto_refresh=False, transient=True)
    # on Ctrl-C the person has seen enough; the study goes on without a watcher
    with suppress(KeyboardInterrupt), live:
        while any(status.live for status in statuses):
            shown = screen.full(statuses[0]) if whole else screen.overview(statuses)
            live.update(Group(shown, "", note), refresh=True)
            time.sleep(every)
            statuses = look()
    return statuses


def _logged(
    look: Callable[[], list[StudyStatus]],
    statuses: list[StudyStatus],
    console: Console,
    every: float,
) -> list[StudyStatus]:
    """Prints a line for each look, where nothing that was printed can be drawn anew."""
    with suppress(KeyboardInterrupt):
        while any(status.live for status in statuses):
            for status in statuses:
                counts = ", ".join(f"{n} {state}" for state, n in status.count().items() if n)
                console.print(f"{time.strftime('%H:%M:%S')} {status.study.name}: {counts}")
            time.sleep(every)
            statuses = look()
    return statuses


def _as_table(status: StudyStatus) -> dict[str, Any]:
    """Returns what --json prints: durations in seconds, moments in seconds since 1970."""
    count = status.count()
    return {
        "study": status.study.name,
        "folder": str(status.folder.path.resolve()),
        "cells": len(status.cells),
        "count": {state: count[state] for state in STATES},
        "taken_over": sum(bool(item.taken_from) for item in status.items),
        "diverged": sum(cell.diverged for cell in status.cells),
        "live": status.live,
        "failed": status.failed,
        "work_done": round(status.work_done, 4),
        "began": status.began,
        "last_ended": status.last,
        "seconds_left": status.left,
        "gpu_hours": None if status.gpu_seconds is None else status.gpu_seconds / 3600,
        "run_hours": status.run_seconds / 3600,
        "unanswered": status.unanswered,
        **as_table(status.folder),
        "items": [{name: getattr(item, name) for name in ITEM_FIELDS} for item in status.items],
    }
