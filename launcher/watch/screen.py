"""What a person sees of a study: marks and words carry the meaning, colours only help."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launcher.scheduler.reasons import ADVICE, Kind
from launcher.study.lookup import SHOWN, study_argument
from launcher.watch.study_status import STATES, Item, State, StudyStatus
from stilt.system.console import new_table
from stilt.system.units import clock, span

MARKS: dict[State, str] = {
    "done": "✓",
    "running": "▶",
    "pending": "…",
    "failed": "✗",
    "open": "○",
}
WORDS: dict[State, str] = {
    "done": "done",
    "running": "running",
    "pending": "pending",
    "failed": "failed",
    "open": "to submit",
}
COLOURS: dict[State, str] = {
    "done": "green",
    "running": "cyan",
    "pending": "yellow",
    "failed": "bold red",
    "open": "dim",
}
RUNNING_SHOWN = 8


def full(standing: StudyStatus) -> RenderableType:
    """Everything about one study."""
    parts: list[RenderableType] = [_heading(standing), _bar(standing), *_times(standing)]
    if standing.sources:
        parts += ["", _sources(standing)]
    parts += ["", _matrix(standing), _legend(standing)]
    running = [item for item in standing.items if item.state == "running"]
    if running:
        parts += ["", _running(running, standing)]
    waits = _waiting(standing)
    if waits is not None:
        parts += ["", waits]
    if standing.without_result:
        parts += ["", _failures(standing.without_result)]
    return Group(*parts, "")


def overview(standings: Iterable[StudyStatus]) -> Table:
    """One line for each study."""
    numbers = [f"{MARKS[state]} {WORDS[state]}" for state in STATES]
    numbers += ["work", "left", "last ended"]
    table = new_table("study", "cells", *numbers, right=numbers)
    for standing in standings:
        count = standing.count()
        left = standing.left
        last = clock(standing.last, standing.now) if standing.last else "never"
        table.add_row(
            standing.folder.path.name,
            str(len(standing.cells)),
            *(_number(count[state], state) for state in STATES),
            _share(standing.work_done),
            f"about {span(left)}" if left is not None else "",
            last,
        )
    return table


def _heading(standing: StudyStatus) -> Text:
    study = standing.study
    said = [f"{len(standing.cells)} cells", study.grid.model.name, f"recipe {study.grid.recipe}"]
    name = Text(standing.folder.path.name, "bold")
    return Text("  ·  ").join([name, *map(Text, [*said, str(standing.folder.path)])])


def _bar(standing: StudyStatus) -> RenderableType:
    count = standing.count()
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        ProgressBar(total=1.0, completed=standing.work_done, width=60),
        f"{_share(standing.work_done)} of the work",
    )
    numbers = Text("   ").join(_counted(state, count[state]) for state in STATES if count[state])
    return Group(bar, numbers)


def _counted(state: State, number: int) -> Text:
    return Text(f"{MARKS[state]} {number} {WORDS[state]}", COLOURS[state])


def _times(standing: StudyStatus) -> list[Text]:
    """Running time, time left, what it cost; and what SLURM did not say."""
    parts = []
    if standing.began is not None:
        until = standing.now if standing.live else standing.last
        parts.append(f"began {clock(standing.began, standing.now)}")
        if until is not None:
            verb = "running for" if standing.live else "took"
            parts.append(f"{verb} {span(until - standing.began)}")
    if standing.left is not None:
        end = clock(standing.now + standing.left, standing.now)
        parts.append(f"about {span(standing.left)} left, until {end}")
    elif standing.live:
        parts.append("time left not known yet")
    used = _used(standing)
    if used:
        parts.append(used)
    lines = [Text("  ·  ".join(parts))] if parts else []
    for problem in standing.unanswered:
        what = (
            "what runs and what waits is told from files alone"
            if problem.startswith("squeue")
            else "how jobs ended is told from their logs"
        )
        lines.append(Text(f"! {problem}; {what}", "yellow"))
    if standing.away:
        lines.append(Text(f"! its jobs are {standing.away}", "yellow"))
    return lines


def _used(standing: StudyStatus) -> str:
    """GPU-hours: what SLURM gave, else what the runs took."""
    if standing.gpu_seconds is not None:
        return f"{_hours(standing.gpu_seconds, 'GPU')} allocated"
    seconds = standing.run_seconds
    if not seconds:
        return ""
    kind = "GPU" if any(item.on_gpu for item in standing.items) else "worker"
    return f"{_hours(seconds, kind)} used"


def _hours(seconds: float, kind: str) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} {kind}-minutes"
    return f"{seconds / 3600:.1f} {kind}-hours"


def _sources(standing: StudyStatus) -> Table:
    table = new_table("source", "", "dev score", "time", "where", title="sources")
    words = {"done": "trained", "running": "training", "open": "to submit"}
    made = {"done": "generated", "running": "generating", "open": "to generate"}
    for item in standing.sources:
        word = (made if item.stage == "synthesis" else words).get(item.state, item.state)
        if item.state == "running":
            word += f" {_share(item.share)}"
        if item.state == "failed":
            word += f": {item.kind}"
        elif item.why:
            word += f": {item.kind or item.why}"
        took = item.seconds if item.state == "done" else None
        if item.state == "running" and item.started:
            took = standing.now - item.started
        score = f"{item.metric} {100 * item.score:.1f}" if item.score is not None else ""
        table.add_row(
            item.name,
            Text(f"{MARKS[item.state]} {word}", COLOURS[item.state]),
            score,
            span(took) if took else "",
            _where(item) if item.state != "pending" else "",
        )
    return table


def _matrix(standing: StudyStatus) -> Table:
    """Cells by source and target: the shorter axis lies across."""
    sources = list(dict.fromkeys(cell.source for cell in standing.cells))
    targets = list(dict.fromkeys(cell.target for cell in standing.cells))
    count: dict[tuple[str, str], Counter[State]] = defaultdict(Counter)
    for cell in standing.cells:
        count[cell.source, cell.target][cell.state] += 1
    across, down = (sources, targets) if len(sources) <= len(targets) else (targets, sources)
    turned = across is sources
    corner = "target \\ source" if turned else "source \\ target"
    table = new_table(corner, *across, "all", title="cells: done of all")
    whole = _sum(count.values())
    for name in down:
        row = [count[(a, name) if turned else (name, a)] for a in across]
        table.add_row(name, *map(_cell, row), _total(_sum(row)))
    columns = [_sum(n for (s, t), n in count.items() if (s if turned else t) == a) for a in across]
    if len(down) > 1:
        table.add_section()
        table.add_row("all", *map(_total, columns), _total(whole))
    return table


def _cell(count: Counter[State]) -> Text:
    total = sum(count.values())
    if not total:
        return Text("-", "dim")
    text = Text(f"{count['done']}/{total}", "green" if count["done"] == total else "")
    if count["done"] == total:
        text.append(f" {MARKS['done']}")
    for state in STATES[1:]:
        if count[state]:
            text.append(f" {count[state]}{MARKS[state]}", COLOURS[state])
    return text


def _total(count: Counter[State]) -> Text:
    """A sum: what is still to come stands in the cells."""
    text = Text(f"{count['done']}/{count.total()}")
    if count["failed"]:
        text.append(f" {count['failed']}{MARKS['failed']}", COLOURS["failed"])
    return text


def _legend(standing: StudyStatus) -> Text:
    text = Text("  ").join(Text(f"{MARKS[state]} {WORDS[state]}", "dim") for state in STATES)
    diverged = sum(cell.diverged for cell in standing.cells)
    if diverged:
        text.append(f"   {diverged} of the done diverged (a result like any other)", "dim")
    return text


def _running(items: Sequence[Item], standing: StudyStatus) -> Table:
    table = new_table("id", "run", "done", "for", "where", title=f"running: {len(items)}")
    first = sorted(items, key=lambda item: item.started or 0)[:RUNNING_SHOWN]
    for item in first:
        took = span(standing.now - item.started) if item.started else ""
        table.add_row(item.id[:SHOWN], item.name, _share(item.share), took, _where(item))
    if len(items) > RUNNING_SHOWN:
        table.add_row("", f"and {len(items) - RUNNING_SHOWN} more", "", "", "")
    return table


def _waiting(standing: StudyStatus) -> Text | None:
    """Why pending cells wait, and what is not submitted."""
    items = standing.items
    reasons = Counter(item.why for item in items if item.state == "pending" and item.why)
    lines = []
    if reasons:
        said = ", ".join(f"{number} {why}" for why, number in reasons.most_common(5))
        lines.append(f"{MARKS['pending']} pending: {said}")
    saved = sum(i.resumable for i in items if i.state in ("open", "failed"))
    if saved:
        lines.append(f"interrupted, to go on where they were once submitted again: {saved}")
    return Text("\n".join(lines)) if lines else None


def _failures(items: Sequence[Item]) -> Table:
    """What ended without a result, grouped by what went wrong."""
    groups: dict[tuple[State, Kind, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.kind:
            groups[item.state, item.kind, _alike(item)].append(item)
    table = new_table("class", "runs", "why", "example", "what to do", title="no result")
    # on a narrow screen everything is broken into lines: an ellipsis would hide the reason
    for column in table.columns:
        column.overflow = "fold"
    table.columns[4].max_width = 24
    ranked = sorted(groups.items(), key=lambda group: (group[0][0] != "failed", -len(group[1])))
    for (state, kind, _), members in ranked:
        first = members[0]
        table.add_row(
            Text(f"{MARKS[state]} {kind}", COLOURS[state]),
            str(len(members)),
            Text(first.why[:300]),
            Text(first.id[:SHOWN]),
            ADVICE[kind].replace("ID", first.id[:SHOWN]),
        )
    return table


def _alike(item: Item) -> str:
    """The message without its numbers: the same error at another step is the same error."""
    return "".join("#" if letter.isdigit() else letter for letter in item.why)[:120]


def following(standing: StudyStatus) -> Text:
    """What a person would do next."""
    name = study_argument(standing.folder)
    count = standing.count()
    if standing.live:
        return Text(f"Watch: python launcher/status.py {name} --watch")
    if count["done"] == len(standing.cells):
        return Text(f"All done. Next: python analysis/summarize.py {name}")
    command = standing.command or "submit.py --grid ..."
    return Text(f"Nothing runs. The same command runs what is missing: python launcher/{command}")


def _where(item: Item) -> str:
    job = f"job {item.job}" if item.job else ""
    return " on ".join(part for part in (job, item.host) if part)


def _number(number: int, state: State) -> Text:
    return Text(str(number), COLOURS[state]) if number else Text("0", "dim")


def _share(share: float) -> str:
    """A share in per cent; 100 % only where all is done."""
    return f"{min(int(100 * share), 99) if share < 1 else 100}%"


def _sum(counts: Iterable[Counter[State]]) -> Counter[State]:
    total: Counter[State] = Counter()
    for count in counts:
        total.update(count)
    return total
