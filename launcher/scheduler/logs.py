"""Where the log of an item lies, and its part of it: a bundle's items share one."""

import json
import re
from collections import deque
from pathlib import Path

from stilt.folder import StudyFolder

HEADER = re.compile(r"^\d\d:\d\d:\d\d \[\d+/\d+\] ")
"""First line of an item in a worker's log."""
SEARCHED = 20_000
"""Lines at a log's end that are searched for an item."""


def log_files(folder: StudyFolder, *, element: str | None, bundles: tuple[str, ...]) -> list[Path]:
    """Logs of an array element and of bundles: standard output first, newest first."""
    of_element = folder.slurm.rglob(f"{element}_*log.*") if element is not None else ()
    found = sorted(of_element, key=lambda path: (path.suffix != ".out", path.name))
    own = map(folder.bundle_log, bundles)
    return found + [path for path in own if path.is_file()]


def bundles_of(folder: StudyFolder, item: str, submission: str | None = None) -> tuple[str, ...]:
    """Bundles that an item was ever given to, or by one submission, newest first."""
    found = []
    for path in folder.bundles.glob("*.json"):
        try:
            text = path.read_text(encoding="utf-8")
            if item not in text:
                continue
            given = json.loads(text)
            by = given["settings"]["submission"]
            if item in given["bundle"]["items"] and submission in (None, by):
                found.append((path.stat().st_mtime_ns, path.stem))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # being replaced, or foreign
            continue
    return tuple(stem for _, stem in sorted(found, reverse=True))


def log_end(paths: list[Path]) -> str:
    """Last 40 lines of each of several logs, one after the other."""
    return "\n".join(line for path in paths for line in last_lines(path, 40))


def last_lines(path: Path, lines: int) -> list[str]:
    """Last lines of a text file; none where it is gone."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=lines)]
    except OSError:
        return []


def part_of(path: Path, item: str, lines: int) -> list[str]:
    """An item's own lines in a log, or the log's end where the item does not stand in it."""
    part: list[str] = []
    mine = False
    for line in last_lines(path, SEARCHED):
        if HEADER.match(line):
            mine = f" {item} " in f"{line} "
            # of several attempts the last counts
            part = [] if mine else part
        if mine:
            part.append(line)
    return (part or last_lines(path, lines))[-lines:]
