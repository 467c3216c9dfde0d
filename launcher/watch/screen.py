"""What a person sees of a study: marks and words carry the meaning, colours only help."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launcher.scheduler.reasons import Kind, advice
from launcher.study.lookup import ID_SHOWN
from launcher.watch.study_status import STATES, Item, State, StudyStatus
from stilt.system.console import new_table
from stilt.system.invocation import again, spelled
from stilt.system.units import clock, counted, span

MARKS: dict[State, str] = {"done": "✓", "running": "▶", "pending": "…", "failed": "✗", "open": "○"}
STYLES: dict[State, str] = {
    "done": "green",
    "running": "cyan",
    "pending": "yellow",
    "failed": "bold red",
    "open": "dim",
}
SMALLER_SHOWN = 8
"""Runs in smaller passes that are named."""
RUNNING_SHOWN = 8
"""Rows of the table of what runs."""


def marked(state: State, number: int | None = None) -> str:
    """Returns a state's mark and word, with the number of runs between them where it is given."""
    word = "to submit" if state == "open" else state
    return f"{MARKS[state]} {word}" if number is None else f"{MARKS[state]} {number} {word}"


def full(status: StudyStatus) -> RenderableType:
    """Shows everything about one study."""
    parts: list[RenderableType] = [_heading(status), _bar(status), *_times(status)]
    if status.sources:
        parts += ["", _sources(status)]
    parts += ["", _matrix(status), _legend(status)]
    running = [item for item in status.items if item.state == "running"]
    if running:
        parts += ["", _running(running, status)]
    if taken := _taken(status):
        parts += ["", Text(taken)]
    if smaller := _smaller_passes(status.items):
        parts += ["", Text(smaller, "yellow")]
    if status.outside:
        parts += ["", *map(Text, status.outside)]
    if waits := _waiting(status):
        parts += ["", Text(waits)]
    failures = _failures(status.items, status.folder.argument)
    if failures.row_count:
        parts += ["", failures]
    return Group(*parts, "")


def overview(statuses: Iterable[StudyStatus]) -> Table:
    """Shows a line for each study."""
    numbers = [*map(marked, STATES), "work", "left", "last ended"]
    table = new_table("study", "cells", *numbers, right=numbers)
    for status in statuses:
        count = status.count()
        left = status.left
        table.add_row(
            status.folder.path.name,
            str(len(status.cells)),
            *(Text(str(count[s]), STYLES[s] if count[s] else "dim") for s in STATES),
            _share(status.work_done),
            f"about {span(left)}" if left is not None else "",
            clock(status.last, status.now) if status.last else "never",
        )
    return table


def _heading(status: StudyStatus) -> Text:
    study = status.study
    cells = counted(len(status.cells), "cell")
    said = [cells, study.grid.model.name, f"recipe {study.grid.recipe}"]
    name = Text(status.folder.path.name, "bold")
    return Text("  ·  ").join([name, *map(Text, [*said, str(status.folder.path)])])


def _bar(status: StudyStatus) -> RenderableType:
    count = status.count()
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(total=1.0, completed=status.work_done, width=60),
        f"{_share(status.work_done)} of the work",
    )
    numbers = [Text(marked(s, count[s]), STYLES[s]) for s in STATES if count[s]]
    return Group(bar, Text("   ").join(numbers))


def _times(status: StudyStatus) -> list[Text]:
    """Shows how long a study runs, what is left, what it cost; and what SLURM did not say."""
    parts = []
    if status.began is not None:
        until = status.now if status.live else status.last
        parts.append(f"began {clock(status.began, status.now)}")
        if until is not None:
            verb = "running for" if status.live else "took"
            parts.append(f"{verb} {span(until - status.began)}")
    if status.left is not None:
        end = clock(status.now + status.left, status.now)
        parts.append(f"about {span(status.left)} left, until {end}")
    elif status.live:
        parts.append("time left not known yet")
    if status.gpu_seconds is not None:
        parts.append(f"{_hours(status.gpu_seconds, 'GPU')} allocated")
    elif seconds := status.run_seconds:
        kind = "GPU" if any(item.on_gpu for item in status.items) else "worker"
        parts.append(f"{_hours(seconds, kind)} used")
    lines = [Text("  ·  ".join(parts))] if parts else []
    for problem in status.unanswered:
        what = (
            "how jobs ended is told from their logs"
            if problem.startswith("sacct")
            else "what runs and what waits is told from files alone"
        )
        lines.append(Text(f"! {problem}; {what}", "yellow"))
    lines += [Text(f"! {message}", "yellow") for message in status.damaged]
    if status.away:
        lines.append(Text(f"! its jobs are {status.away}", "yellow"))
    return lines


def _hours(seconds: float, kind: str) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} {kind}-minutes"
    return f"{seconds / 3600:.1f} {kind}-hours"


def _sources(status: StudyStatus) -> Table:
    table = new_table("source", "", "dev score", "time", "where", title="sources")
    words = {"done": "trained", "running": "training", "open": "to submit"}
    made = {"done": "generated", "running": "generating", "open": "to generate"}
    for item in status.sources:
        word = (made if item.stage == "synthesis" else words).get(item.state, item.state)
        if item.state == "running":
            word += f" {_share(item.share)}"
        if item.taken_from:
            word = f"taken over from {item.taken_from}"
        if reason := item.kind or item.why:
            word += f": {reason}"
        took = item.seconds if item.state == "done" else None
        if item.state == "running" and item.started:
            took = status.now - item.started
        score = f"{item.metric} {100 * item.score:.1f}" if item.score is not None else ""
        table.add_row(
            item.name,
            Text(f"{MARKS[item.state]} {word}", STYLES[item.state]),
            score,
            span(took) if took else "",
            _where(item) if item.state != "pending" else "",
        )
    return table


def _matrix(status: StudyStatus) -> Table:
    """Counts cells by source and target; the shorter axis lies across."""
    sources = list(dict.fromkeys(cell.source for cell in status.cells))
    targets = list(dict.fromkeys(cell.target for cell in status.cells))
    turned = len(sources) <= len(targets)
    across, down = (sources, targets) if turned else (targets, sources)
    count: dict[tuple[str, str], Counter[State]] = defaultdict(Counter)
    for cell in status.cells:
        place = (cell.target, cell.source) if turned else (cell.source, cell.target)
        count[place][cell.state] += 1
    corner = "target \\ source" if turned else "source \\ target"
    table = new_table(corner, *across, "all", title="cells: done of all")
    for name in down:
        row = [count[name, column] for column in across]
        table.add_row(name, *map(_cell, row), _total(_sum(row)))
    if len(down) > 1:
        columns = [_sum(count[name, column] for name in down) for column in across]
        table.add_section()
        table.add_row("all", *map(_total, columns), _total(_sum(columns)))
    return table


def _cell(count: Counter[State]) -> Text:
    total = count.total()
    if not total:
        return Text("-", "dim")
    if count["done"] == total:
        return Text(f"{total}/{total} {MARKS['done']}", STYLES["done"])
    text = Text(f"{count['done']}/{total}")
    for state in STATES[1:]:
        if count[state]:
            text.append(f" {count[state]}{MARKS[state]}", STYLES[state])
    return text


def _total(count: Counter[State]) -> Text:
    """Shows a sum: done of all, and what failed; the cells say the rest."""
    text = Text(f"{count['done']}/{count.total()}")
    if count["failed"]:
        text.append(f" {count['failed']}{MARKS['failed']}", STYLES["failed"])
    return text


def _legend(status: StudyStatus) -> Text:
    text = Text("  ").join(Text(marked(state), "dim") for state in STATES)
    diverged = sum(cell.diverged for cell in status.cells)
    if diverged:
        text.append(f"   {diverged} of the done diverged (a result like any other)", "dim")
    return text


def _running(items: Sequence[Item], status: StudyStatus) -> Table:
    table = new_table("id", "run", "done", "for", "where", title=f"running: {len(items)}")
    first = sorted(items, key=lambda item: item.started or 0)[:RUNNING_SHOWN]
    for item in first:
        took = span(status.now - item.started) if item.started else ""
        table.add_row(item.id[:ID_SHOWN], item.name, _share(item.share), took, _where(item))
    if len(items) > RUNNING_SHOWN:
        table.add_row("", f"and {len(items) - RUNNING_SHOWN} more", "", "", "")
    return table


def _waiting(status: StudyStatus) -> str:
    """Says why pending runs wait, and how many interrupted ones can go on."""
    items = status.items
    reasons = Counter(item.why for item in items if item.state == "pending" and item.why)
    lines = []
    if reasons:
        said = ", ".join(f"{number} {why}" for why, number in reasons.most_common(5))
        lines.append(f"{MARKS['pending']} pending: {said}")
    saved = sum(i.resumable for i in items if i.state in ("open", "failed"))
    if saved:
        lines.append(f"interrupted, to go on where they were once submitted again: {saved}")
    return "\n".join(lines)


def _taken(status: StudyStatus) -> str:
    """Says how much was not run for this study, and which other studies had it."""
    cells = Counter(cell.taken_from for cell in status.cells if cell.taken_from)
    sources = Counter(source.taken_from for source in status.sources if source.taken_from)
    if not cells and not sources:
        return ""
    parts = []
    for name in dict.fromkeys([*cells, *sources]):
        some = [counted(cells[name], "cell")] if cells[name] else []
        some += [counted(sources[name], "source")] if sources[name] else []
        parts.append(f"{' and '.join(some)} from study {name}")
    return f"taken over, not run here: {', '.join(parts)}"


def _smaller_passes(items: Sequence[Item]) -> str:
    """Says which runs ran out of memory, and are not what they would be with more of it."""
    some = [item for item in items if item.smaller_passes]
    if not some:
        return ""
    names = [item.id[:ID_SHOWN] for item in some[:SMALLER_SHOWN]]
    more = f" and {len(some) - len(names)} more" if len(some) > len(names) else ""
    return (
        f"! made in smaller passes after out of memory, so with other dropout masks: {len(some)} "
        f"({', '.join(names)}{more})"
    )


def _failures(items: Sequence[Item], study: str) -> Table:
    """Lists what ended without a result, grouped by what went wrong; ``study`` as one types it."""
    groups: dict[tuple[State, Kind, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.kind:
            # without its numbers: the same error at another step is the same error
            alike = re.sub(r"\d", "#", item.why)[:120]
            groups[item.state, item.kind, alike].append(item)
    table = new_table("class", "runs", "why", "example", "what to do", title="no result")
    # on a narrow screen everything is broken into lines: an ellipsis would hide the reason
    for column in table.columns:
        column.overflow = "fold"
    table.columns[4].max_width = 24
    ranked = sorted(groups.items(), key=lambda group: (group[0][0] != "failed", -len(group[1])))
    for (state, kind, _), members in ranked:
        first = members[0]
        table.add_row(
            Text(f"{MARKS[state]} {kind}", STYLES[state]),
            str(len(members)),
            Text(first.why[:300]),
            Text(first.id[:ID_SHOWN]),
            advice(kind, first.id[:ID_SHOWN], study),
        )
    return table


def following(status: StudyStatus) -> Text:
    """Says what a person would do next."""
    name = status.folder.argument
    if status.live:
        return Text(f"Watch: {spelled('status')} {name} --watch")
    if all(cell.state == "done" for cell in status.cells):
        return Text(f"All done. Next: {spelled('summarize')} {name}")
    command = again("submit", status.command or "submit --grid ...")
    return Text(f"Nothing runs. The same command runs what is missing: {command}")


def _where(item: Item) -> str:
    job = f"job {item.job}" if item.job else ""
    return " on ".join(part for part in (job, item.host) if part)


def _share(share: float) -> str:
    """Writes a share in per cent: 100 % only where all is done."""
    return f"{min(int(100 * share), 99) if share < 1 else 100}%"


def _sum(counts: Iterable[Counter[State]]) -> Counter[State]:
    return sum(counts, Counter())
