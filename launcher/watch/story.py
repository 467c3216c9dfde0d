"""One cell or source: what happened to it, and its log."""

from stilt.system.command import while_read

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text
from tyro.conf import Positional

from launcher.scheduler.logs import bundles_of, last_lines, log_files, part_of
from launcher.scheduler.reasons import advice
from launcher.study.lookup import Found, find_runs, in_study
from launcher.watch.observer import Observer
from launcher.watch.screen import STYLES, marked
from launcher.watch.study_status import Item
from stilt.config import require_counts
from stilt.errors import ResultError
from stilt.records import claims
from stilt.records.failures import read_failure
from stilt.records.finished import read_ending
from stilt.system.console import Output
from stilt.system.invocation import spelled
from stilt.system.units import clock, counted, span

LOG_SECONDS = 1.0
"""Between two looks for new lines of a log."""
LOOK_EVERY = 15
"""Looks at a log between two at whether its cell still runs."""


def why(
    cell: Positional[str], study: str | None = None, root: Path = Path("logs"), lines: int = 25
) -> int:
    """Shows how a cell or source stands, what went wrong, and the end of its log.

    Args:
        cell: start of its id; of a source also its name; STUDY/CELL names the study, too.
        study: the study; all below root are searched by default.
        root: folder that holds studies.
        lines: lines of the log.
    """
    require_counts(lines=lines)
    console = Output(soft_wrap=True)
    everywhere = find_runs(cell, study, root)
    found = _told_in(everywhere)
    if found is None:
        _list(everywhere, console)
        return 0
    item = _look(found)
    console.print(Text(found.run.title, "bold"))
    others = [other.folder.path.name for other in everywhere if other is not found]
    also = f"; the same run is in {', '.join(others)}" if others else ""
    console.print(f"{item.id} of study {found.folder.path.name}{also}")
    console.print(_state(item))
    failure = read_failure(found.folder.failure(found.run.id))
    if item.kind:
        console.print(Text(f"{item.kind}: {item.why}", "red"))
        if item.kind != "bug":
            console.print(f"What to do: {advice(item.kind, item.id, found.folder.argument)}.")
    elif item.why:
        waits = "It waits: " if item.state == "pending" else ""
        console.print(f"{waits}{item.why}")
    if failure is not None and item.state != "done":
        if item.why != failure.message:
            console.print(f"An earlier attempt failed: {failure.kind}: {failure.message}")
        if failure.traceback:
            console.print(Text(failure.traceback.rstrip(), "dim"))
    if item.state == "done":
        for line in _start(found):
            console.print(line, style="dim")
    paths = _logs(found, item)
    for path in paths[:2]:
        shown = part_of(path, found.run.id, lines)
        if shown:
            console.print(Text(f"── {path}, the last {counted(len(shown), 'line')}", "bold"))
            console.print(Text("\n".join(shown)))
    if not paths:
        ended = "No log of it is left." if item.state == "done" else "It has left no log."
        console.print("No log of it yet." if item.state in ("pending", "running") else ended)
    return 0


def tail(
    cell: Positional[str], study: str | None = None, root: Path = Path("logs"), lines: int = 20
) -> int:
    """Follows the log of a cell or source until it has ended; Ctrl-C stops following.

    Args:
        cell: start of its id; of a source also its name; STUDY/CELL names the study, too.
        study: the study; all below root are searched by default.
        root: folder that holds studies.
        lines: lines to begin with.
    """
    require_counts(lines=lines)
    console = Output(soft_wrap=True, stderr=True)
    everywhere = find_runs(cell, study, root)
    found = _told_in(everywhere)
    if found is None:
        _list(everywhere, console)
        return 0
    item = _look(found)
    console.print(Text(f"{item.name} ({item.id})", "bold"), _state(item))
    while not (paths := _logs(found, item)):
        if item.state not in ("running", "pending"):
            console.print("It has no log.")
            return 0
        if item.why:
            console.print(f"no log yet: {item.why}")
        time.sleep(LOG_SECONDS * LOOK_EVERY)
        item = _look(found)
    with while_read():
        for line in _follow(found, item, paths[0], lines):
            sys.stdout.write(line)
            sys.stdout.flush()
    return 0


def _told_in(everywhere: Sequence[Found]) -> Found | None:
    """Of the studies that have a run, the one that tells its story; None where several differ."""
    news = [(_news(found), found) for found in everywhere]
    told = [(what, found) for what, found in news if what is not None]
    if len({what for what, _ in told}) > 1:
        return None
    return told[0][1] if told else everywhere[0]


def _news(found: Found) -> str | None:
    """What a study knows of a run, so that two who know the same say the same; None if nothing."""
    claim = claims.read(found.folder.claim(found.run.id))
    if claim is not None:
        return f"{claim.submission} {found.folder.path}"
    try:
        ending = read_ending(found.study, found.folder, found.run)
    except ResultError as error:
        return str(error)
    if ending is not None:
        # a result that was taken over keeps where and when it was made
        return ending.provenance.model_dump_json()
    failure = read_failure(found.folder.failure(found.run.id))
    return None if failure is None else f"{failure.finished} {found.folder.path}"


def _list(everywhere: Sequence[Found], console: Output) -> None:
    """Prints how a run stands in each study that has it, and how to see one of them in full."""
    run = everywhere[0].run
    console.print(Text(run.title, "bold"))
    console.print(f"{run.id} is in {len(everywhere)} studies, each with a story of its own:")
    for found in everywhere:
        console.print(Text.assemble("  ", _state(_look(found))))
        name = shlex.quote(in_study(found, run.id))
        console.print(f"    {spelled('status')} why {name}")


def _follow(found: Found, item: Item, path: Path, lines: int) -> Iterator[str]:
    """Yields the last lines of a log, then whatever is added while the item is live."""
    with path.open(encoding="utf-8", errors="replace") as file:
        yield "".join(f"{line}\n" for line in last_lines(path, lines))
        file.seek(0, 2)
        polls = 0
        while item.state in ("running", "pending"):
            text = file.read()
            if text:
                yield text
                continue
            time.sleep(LOG_SECONDS)
            polls += 1
            if polls % LOOK_EVERY == 0 or not found.folder.claim(found.run.id).exists():
                item = _look(found)
        yield file.read()


def _look(found: Found) -> Item:
    status = Observer(found.folder, found.study).look(ask=False)
    return next(item for item in status.items if item.id == found.run.id)


def _state(item: Item) -> Text:
    now = time.time()
    parts = [marked(item.state)]
    if item.state == "running":
        parts.append(f"{int(100 * item.share)}%")
        if item.started:
            parts.append(f"for {span(now - item.started)}")
    if item.state == "done":
        score = "diverged" if item.diverged else ""
        if item.score is not None:
            score = f"{item.metric} {100 * item.score:.1f}"
        parts += [score, f"in {span(item.seconds)}"] if item.stage != "synthesis" else []
    if item.ended:
        how = f"taken over from study {item.taken_from}" if item.taken_from else "ended"
        parts.append(f"{how} {clock(item.ended, now)}")
    if item.attempts > 1:
        parts.append(f"{item.attempts} attempts")
    if item.job:
        parts.append(f"job {item.job}")
    if item.host:
        parts.append(f"on {item.host}")
    if item.resumable:
        parts.append("a saved state is there to go on from")
    return Text("  ·  ".join(parts), STYLES[item.state])


def _start(found: Found) -> list[str]:
    """Says what of a trained model came from where it started, and what was drawn anew."""
    ending = read_ending(found.study, found.folder, found.run)
    if ending is None or ending.training is None:
        return []
    parts = {"carried over": ending.training.carried, "fresh": ending.training.fresh}
    return [f"{what}: {', '.join(names) or 'nothing'}" for what, names in parts.items()]


def _logs(found: Found, item: Item) -> list[Path]:
    """Finds the logs of an item's job and of its bundles, the newest first."""
    claim = claims.read(found.folder.claim(found.run.id))
    bundles = bundles_of(found.folder, found.run.id, claim.submission if claim else None)
    bundles += (claim.bundle,) if claim else ()
    paths = log_files(found.folder, element=item.job, bundles=bundles)
    if claim is not None:
        # what its own process writes says more than what all of an element's have in common
        paths = [*map(found.folder.bundle_log, bundles), *paths]
    failure = read_failure(found.folder.failure(found.run.id))
    if failure is not None and failure.log and item.why == failure.message:
        paths.insert(0, found.folder.path / failure.log)
    return [path for path in dict.fromkeys(paths) if path.is_file()]
