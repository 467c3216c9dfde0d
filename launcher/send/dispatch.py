"""From claimed bundles to arrays that are sent, and what is printed of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.settings import Settings
from launcher.cluster.limits import Limits
from launcher.cluster.profile import Profile
from launcher.scheduler.ledger import PREFIXED
from launcher.scheduler.lost import bad_nodes
from launcher.send.arrays import Array, arrange
from launcher.send.environment import overriding
from launcher.send.last_job import send_last_job
from launcher.send.other_submits import OtherSubmits
from launcher.send.script import Script
from launcher.send.sender import FULL, Sender, dependency
from launcher.study.claiming import release, released_on_error
from launcher.study.resolve import ResolvedStudy
from launcher.study.worker_code import snapshot
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.plan import Bundle, Plan
from stilt.records.notices import asked
from stilt.study import Study
from stilt.system.console import new_table
from stilt.system.units import counted

BUNDLES = 64
"""Bundles aimed at where nobody says: the paper's 1,152 cells make 18 runs in each."""
MARGIN = 1.5
"""Time limit of an element over its predicted seconds: what takes longer saves its state, is
requeued, and goes on."""
SPARE_MINUTES = 5
"""Added to it, for the start of processes and the load of what they share."""


def dispatch(
    resolved: ResolvedStudy,
    mine: Plan,
    profile: Profile,
    limits: Limits,
    settings: Settings,
    console: Console,
) -> list[str]:
    """Sends bundles that this submit has claimed; gives back what could not be sent.

    Args:
        resolved: the study.
        mine: bundles whose items this submit holds; their files are written.
        profile: what is asked for.
        limits: what the cluster takes.
        settings: what workers are told.
        console: where it is told.

    Returns:
        Job ids, one for each array.

    Raises:
        ConfigError: sbatch refused; the message is its own.
    """
    with released_on_error(mine, resolved.folder, settings.submission):
        arrays = _arrays(mine, profile, limits, resolved.study.grid.processes)
        exclude = away_from(bad_nodes(resolved.folder), limits)
        folder = StudyFolder(resolved.folder.path.resolve())
        script = Script(folder, profile, settings, snapshot(folder), exclude)
        workers = profile.workers(resolved.study.grid.processes)
        sender = Sender(script, limits.cluster, workers, console.print)
        if unused := overriding(script.flags(arrays[0])):
            names = ", ".join(sorted(unused))
            _warn(console, "ignored", f"{names}: the profile or the launcher sets it.")
        makers = (bundle for bundle in mine.bundles if bundle.stage != "target")
        outside = OtherSubmits(resolved, (item for bundle in makers for item in bundle.items))
    try:
        sender.send(arrays, outside.jobs)
    finally:
        # also after a Ctrl-C: a job that SLURM took all the same finds that it holds nothing
        out = {bundle.id for array, _ in sender.arrays for bundle in array.bundles}
        left = [item for b in mine.bundles if b.id not in out for item in b.items]
        release(resolved.folder, settings.submission, left)
    if sender.arrays:
        console.print(sent_table(resolved.study, sender.arrays, sender.jobs))
    wanted = asked(folder)
    if sender.arrays and wanted is not None and wanted.submission == settings.submission:
        problem = send_last_job(script, sender.arrays[0][0], [job for _, job in sender.arrays])
        if problem:
            _warn(console, "no message at the end", f"{problem}.")
    for need, why in outside.unmet.items():
        _warn(console, "not sent", f"what needs {resolved.study.runs[need].title}: {why}.")
    if sender.problem and not any(word in sender.problem for word in FULL):
        went = f"{counted(len(sender.arrays), 'array')} went out before. " if sender.arrays else ""
        raise ConfigError(f"{went}sbatch: {sender.problem}")
    if sender.left:
        follows = "The same command sends them when jobs have ended."
        if not sender.arrays:
            follows = "You may queue no more jobs now: submit again when some have ended."
        problem = str(sender.problem).rstrip(".")
        _warn(console, "not sent", f"{counted(_runs(sender.left), 'run')}: {problem}. {follows}")
    return [job for _, job in sender.arrays]


def away_from(bad: Sequence[str], limits: Limits) -> list[str]:
    """Nodes to exclude: those that broke, unless no other would be left to wait for."""
    return sorted(set(bad) & limits.nodes) if limits.nodes - set(bad) else []


def within(whole: Plan, limits: Limits) -> tuple[Plan, Plan]:
    """Cuts a plan to what the user may still queue: (what fits, what does not)."""
    if limits.room is None:
        return whole, Plan(bundles=())
    # a plan's order puts what others need first
    return Plan(bundles=whole.bundles[: limits.room]), Plan(bundles=whole.bundles[limits.room :])


def show_arrays(
    resolved: ResolvedStudy, whole: Plan, profile: Profile, limits: Limits, console: Console
) -> None:
    """Prints the arrays that a plan would become, and the text that sbatch would be given."""
    if limits.problem:
        console.print(f"{limits.problem}: arrays of at most {limits.array_size} are assumed.")
    arrays = _arrays(whole, profile, limits, resolved.study.grid.processes)
    console.print(
        sent_table(
            resolved.study,
            [(array, f"array {i}") for i, array in enumerate(arrays)],
            {i: [f"array {i}"] for i in range(len(arrays))},
        )
    )
    settings = Settings(
        submission=f"SUBMISSION{PREFIXED}{profile.job_prefix}",
        cache=resolved.cache,
        model=resolved.study.grid.model.name,
        threads=profile.threads(resolved.study.grid.processes),
    )
    folder = StudyFolder(resolved.folder.path.resolve())
    script = Script(folder, profile, settings, folder.path / "code" / "DIGEST")
    names = {i: [f"<array {i}>"] for i in range(len(arrays))}
    alike: dict[str, list[int]] = {}
    for i, array in enumerate(arrays):
        alike.setdefault(array.stage, []).append(i)
    for stage, (first, *others) in alike.items():
        console.print(Text(f"\narray {first} ({stage}), given to sbatch:", "bold"))
        console.print(script.text(arrays[first], dependency(arrays[first], names, {})))
        if others:
            listed = ", ".join(map(str, others))
            console.print(
                f"{'arrays' if others[1:] else 'array'} {listed} ({stage}): the same text, but for "
                "--array, --comment, --dependency, --time and the folder of its tasks."
            )


def sent_table(
    study: Study, arrays: Sequence[tuple[Array, str]], jobs: Mapping[int, Sequence[str]]
) -> Table:
    """What each array runs and waits for.

    Args:
        study: the study.
        arrays: each with its name.
        jobs: names of the arrays that are at a position of the plan.
    """
    predicted = any(array.minutes is not None for array, _ in arrays)
    numbers = ("elements", "at a time", "runs", *(["minutes"] if predicted else []))
    table = new_table("job", "stage", "waits for", *numbers, title="job arrays", right=numbers)
    for array, job in arrays:
        ended = [job for position in array.after_any for job in jobs.get(position, ())]
        waits = [study.runs[need].title for need in array.needs]
        waits += [f"the end of {', '.join(ended)}"] if ended else []
        table.add_row(
            job,
            study.runs[array.bundles[0].items[0]].title if array.stage == "source" else array.stage,
            "; ".join(waits),
            str(len(array.bundles)),
            str(array.parallel),
            str(_runs(array.bundles)),
            *([str(array.minutes)] if predicted else []),
        )
    return table


def _runs(bundles: Sequence[Bundle]) -> int:
    return sum(len(bundle.items) for bundle in bundles)


def most_seconds(profile: Profile, processes: int) -> float:
    """Predicted seconds of runs that an element is given at most, to end within its time limit."""
    minutes = max(profile.time - SPARE_MINUTES, profile.time / 2)
    return 60 * minutes / MARGIN * profile.workers(processes)


def _arrays(whole: Plan, profile: Profile, limits: Limits, processes: int) -> list[Array]:
    size = min(profile.array_size or limits.array_size, limits.array_size)
    arrays = arrange(whole.bundles, array_size=size, parallel=profile.parallel)
    workers = profile.workers(processes)
    return [replace(array, minutes=_minutes(array, profile, workers)) for array in arrays]


def _minutes(array: Array, profile: Profile, workers: int) -> int | None:
    """Time limit of an array's elements by their predicted seconds; None without a prediction."""
    found = [bundle.seconds for bundle in array.bundles if bundle.seconds is not None]
    if len(found) < len(array.bundles):
        return None
    longest = max(
        seconds / min(workers, len(bundle.items))
        for seconds, bundle in zip(found, array.bundles, strict=True)
    )
    wanted = math.ceil(MARGIN * longest / 60) + SPARE_MINUTES
    # as a profile: at most half of the time is kept for saving
    return min(profile.time, max(wanted, math.ceil(profile.signal_seconds / 30)))


def _warn(console: Console, word: str, text: str) -> None:
    console.print(Text.assemble((f"{word}:", "yellow"), f" {text}"))
