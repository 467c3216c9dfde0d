"""From claimed bundles to arrays that are sent, and what is printed of them."""

from collections.abc import Mapping, Sequence

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
from launcher.study.claiming import release
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
    arrays = _arrays(mine, profile, limits)
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
    arrays = _arrays(whole, profile, limits)
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
    for i, array in enumerate(arrays):
        console.print(Text(f"\narray {i} ({array.stage}), given to sbatch:", "bold"))
        console.print(script.text(array, dependency(array, names, {})))


def sent_table(
    study: Study, arrays: Sequence[tuple[Array, str]], jobs: Mapping[int, Sequence[str]]
) -> Table:
    """What each array runs and waits for.

    Args:
        study: the study.
        arrays: each with its name.
        jobs: names of the arrays that are at a position of the plan.
    """
    numbers = ("elements", "at a time", "runs")
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
        )
    return table


def _runs(bundles: Sequence[Bundle]) -> int:
    return sum(len(bundle.items) for bundle in bundles)


def _arrays(whole: Plan, profile: Profile, limits: Limits) -> list[Array]:
    size = min(profile.array_size or limits.array_size, limits.array_size)
    return arrange(whole.bundles, array_size=size, parallel=profile.parallel)


def _warn(console: Console, word: str, text: str) -> None:
    console.print(Text.assemble((f"{word}:", "yellow"), f" {text}"))
