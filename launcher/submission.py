"""What a submit does: a grid's study is resolved, what it lacks is claimed, and sent or run."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from rich.text import Text

from jobs.settings import Settings
from launcher.cluster.controller import require_controller, require_one_cluster
from launcher.cluster.limits import Limits, read_limits
from launcher.cluster.partitions import require_fitting_nodes
from launcher.cluster.profile import Profile, read_profile
from launcher.flags import Outside, Places, WorkFlags
from launcher.local.pool import Pool
from launcher.local.slots import shared_out
from launcher.scheduler.ledger import append_lines, new_line
from launcher.scheduler.liveness import ClaimLiveness
from launcher.scheduler.lost import record_lost_jobs
from launcher.send.dispatch import BUNDLES, dispatch, most_seconds, show_arrays, within
from launcher.send.script import require_safe_path
from launcher.send.sender import require_own_cluster, require_slurm
from launcher.send.takeover import take_over_orphaned_arrays
from launcher.study.claiming import (
    assign,
    claim_bundles,
    drop_dead,
    leave_hopeless,
    new_submission,
    released_on_error,
    remove_broken,
)
from launcher.study.costs.budget import require_hours
from launcher.study.costs.known import ended_runs, here, keep, known, of_elements
from launcher.study.costs.planning import Means, plan_missing, share_of
from launcher.study.growth import Asked, next_step
from launcher.study.outstanding import outstanding
from launcher.study.preview import show_plan
from launcher.study.resolve import (
    ResolvedStudy,
    begin,
    check_data,
    require_beginning,
    resolve_study,
    show_oddities,
)
from launcher.study.reuse import other_studies, running_elsewhere, take_over
from launcher.study.staging import require_tried
from launcher.study.worker_code import commit
from launcher.watch.outside import require_usable
from stilt.config import require_counts
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.model.hub import require_here
from stilt.plan import Plan
from stilt.records.notices import ask_for, ending, forget, tell
from stilt.system.console import Output
from stilt.system.files import writable_folder
from stilt.system.invocation import again, recorded, spelled
from stilt.system.locks import lock_of, wait_for
from stilt.system.units import counted
from stilt.task import Size


def means_of(work: WorkFlags, processes: int, profile: Profile | None) -> Means:
    """What a submit may use: of SLURM, or of this machine where there is no profile."""
    if profile is None:
        machine = here(*shared_out(processes, work.workers), work.threads)
        return Means(machine, work.hours)
    elements = of_elements(profile, processes)
    return Means(elements, work.hours, most_seconds(profile, processes))


def submit(
    grid: str,
    *,
    study: str | None,
    places: Places,
    executor: str,
    from_: tuple[Path, ...],
    dry_run: bool,
    revise: bool,
    work: WorkFlags,
    outside: Outside,
    profile: Path | None,
    cluster: Any,
) -> int:
    """Does what ``launcher/submit.py`` is asked for; returns the exit code.

    Args are the command's flags, see there.
    """
    require_counts(workers=work.workers, threads=work.threads, bundles=work.bundles)
    require_hours(work.hours)
    require_usable(outside)
    console = Output(soft_wrap=True)
    asked = read_profile(profile, **vars(cluster)) if executor == "slurm" else None
    resolved = resolve_study(grid, places, name=study, dry_run=dry_run)
    if asked is not None:
        require_safe_path(resolved.folder)
        require_own_cluster(resolved.folder)
    others = other_studies(resolved.folder, from_)
    asks = Asked(revise, recorded(), commit())
    for line in resolved.kept:
        console.print(Text(line))
    if dry_run:
        step = next_step(
            resolved.study, resolved.folder, ClaimLiveness(resolved.folder).lives, asks
        )
        for line in step.said:
            console.print(Text(line))
        means = means_of(work, resolved.study.grid.processes, asked)
        workers = shared_out(resolved.study.grid.processes, work.workers)[0] if not asked else 1
        aim = work.bundles or (BUNDLES if asked else 4 * workers)
        bundles = share_of(aim, len(resolved.study.cells), at_least=workers)
        whole, refused = show_plan(
            resolved, others, console, executor=executor, bundles=bundles, means=means
        )
        if asked is not None and whole.bundles:
            show_arrays(resolved, whole, asked, read_limits(asked), console)
        console.print("Dry run: nothing was written.")
        if refused:
            raise ConfigError("a submit would be refused: see what is 'not as it is' above.")
        return 0
    if asked is not None:
        require_slurm()
        require_one_cluster()
        require_controller(console.print)
        require_fitting_nodes(asked)
        # too few GPUs for a run of this grid: said before anything is written
        asked.workers(resolved.study.grid.processes)
    assert resolved.model is not None
    require_here(resolved.model)
    console.print(
        Text.assemble(
            "study ", (resolved.study.name, "bold"), f" in {resolved.folder.path}: checking data"
        )
    )
    found = check_data(resolved)
    show_oddities({name: splits.odd for name, (splits, _) in found.items()}, console)
    lives = ClaimLiveness(resolved.folder).lives
    require_beginning(resolved, found, lives, asks)
    require_tried(resolved, {name: splits for name, (splits, _) in found.items()}, console)
    sizes = {name: size for name, (_, size) in found.items()}
    writable_folder(resolved.folder.path)
    writable_folder(resolved.cache)
    lock = lock_of(resolved.folder.path / ".submit.lock")
    try:
        wait_for(lock, lambda: console.print("waiting for another submit of this study"))
        lives = ClaimLiveness(resolved.folder).lives
        said, mended = begin(resolved, found, lives, asks)
        for line in said:
            console.print(Text(line))
        for message in mended:
            console.print(Text.assemble(("mended:", "yellow"), f" {message}"))
        options = Submit(resolved, others, sizes, executor, work, outside, console, lock)
        return _send_to_slurm(options, asked) if asked else _run_here(options)
    finally:
        lock.release()


@dataclass(frozen=True)
class Submit:
    """One submit, as both executors need it."""

    resolved: ResolvedStudy
    others: list[StudyFolder]
    """Studies that may have done some of it."""
    sizes: dict[str, Size]
    executor: str
    work: WorkFlags
    outside: Outside
    console: Output
    lock: FileLock
    """Held until the runs are claimed: meanwhile no other submit changes the study."""

    def claim(
        self,
        aim: int,
        limits: Limits,
        settings: Settings,
        profile: Profile | None = None,
        at_least: int = 1,
    ) -> tuple[Plan, Plan]:
        """Takes over what others have, plans what is missing, claims it, and tells workers.

        Args:
            aim: bundles to aim at, for the whole study: what is left of it makes fewer.
            limits: what the executor takes.
            settings: what workers are told.
            profile: what SLURM is asked for; None for this machine.
            at_least: bundles that are wanted however little is left.

        Returns:
            What was claimed; what exceeds the limits and was not.
        """
        resolved, console = self.resolved, self.console
        liveness = ClaimLiveness(resolved.folder)
        for message in liveness.ledger.damaged:
            console.print(Text(message, "yellow"))
        lives = liveness.lives
        state = outstanding(resolved.study, resolved.folder, lives)
        for message in state.damaged:
            console.print(Text.assemble(("left out and run again:", "yellow"), f" {message}"))
        for message in state.closed:
            console.print(Text.assemble(("left alone:", "yellow"), f" {message}"))
        if take_over(resolved, state, self.others, lives, console):
            state = outstanding(resolved.study, resolved.folder, lives)
        study, folder = resolved.study, resolved.folder
        for message in leave_hopeless(study, folder, state):
            console.print(Text.assemble(("left out:", "yellow"), f" {message}"))
        drop_dead(folder, state.done | state.there, lives)
        means = means_of(self.work, study.grid.processes, profile)
        ended = ended_runs(study, folder, state.done)
        found = known(study, resolved.cache, means.division, sizes=self.sizes, ended=ended)
        if found.said and state.missing:
            console.print(Text("\n".join(found.said), "yellow"))
        bundles = share_of(aim, len(study.cells), at_least=at_least, most=limits.room)
        whole = plan_missing(study, state, found, means, console, bundles, self.sizes)
        keep(found, folder)
        fits, later = within(whole, limits)
        with released_on_error(fits, folder, settings.submission):
            mine = claim_bundles(fits, folder, settings.submission, lives)
            remove_broken(mine, folder, state.broken)
            assign(mine.bundles, folder, settings)
        self.lock.release()
        items = [item for bundle in mine.bundles for item in bundle.items]
        for line in running_elsewhere(resolved.study, items, self.others):
            console.print(Text.assemble(("twice at once:", "yellow"), f" {line}."))
        runs = len(items)
        cells = counted(len(resolved.study.cells), "cell")
        console.print(
            f"{len(state.done)} of {cells} done, {len(state.held)} held by live jobs, "
            f"{counted(runs, 'run')} to do in {counted(len(mine.bundles), 'bundle')}"
        )
        if state.held and liveness.asked and liveness.unanswered:
            said = f" {liveness.unanswered}; what its jobs may hold is left to them."
            console.print(Text.assemble(("SLURM does not answer:", "yellow"), said))
        if later.bundles:
            more = sum(len(b.items) for b in later.bundles)
            said = (
                f" {'exceeds' if more == 1 else 'exceed'} the {counted(limits.room or 0, 'job')} "
                "that you may still queue here; the same command sends the rest when jobs have "
                "ended."
            )
            console.print(Text.assemble((counted(more, "more run"), "yellow"), said))
        if not runs and not later.bundles:
            name = resolved.folder.argument
            console.print(
                f"nothing to do. Next: {spelled('summarize')} {name}"
                if len(state.done) == len(resolved.study.cells)
                else "nothing to do here: others hold what is left. Watch it: "
                f"{spelled('status')} {name} --watch"
                if state.held
                else f"nothing to do that could succeed; why: {spelled('status')} {name}"
            )
        if self.outside.notify and mine.bundles:
            ask_for(resolved.folder, self.outside.notify, settings.submission)
        return mine, later

    def settings(
        self, *, threads: int, device: Literal["gpu", "cpu"], profile: Profile | None = None
    ) -> Settings:
        """Returns what workers are told of this submit; ``profile`` is what SLURM is asked for."""
        assert self.resolved.model is not None
        data_dir = self.resolved.data_dir
        return Settings(
            submission=new_submission(self.executor, profile.job_prefix if profile else ""),
            memory=profile.megabytes if profile else None,
            data_dir=data_dir.resolve() if data_dir else None,
            cache=self.resolved.cache.resolve(),
            model=self.resolved.model.name,
            model_revision=self.resolved.model.revision,
            model_files=self.resolved.model_files,
            device=device,
            threads=self.work.threads or threads,
            commit=commit(),
            command=recorded(),
            tracker=self.outside.tracker,
        )


def _run_here(options: Submit) -> int:
    """Runs everything on this machine and stays until it is done."""
    resolved, console = options.resolved, options.console
    each = resolved.study.grid.processes
    count, threads, gpus = shared_out(each, options.work.workers)
    if gpus and each > gpus:
        raise ConfigError(
            f"grid {resolved.study.grid.name!r}, field 'processes' = {each}: one GPU for each is "
            f"wanted, and this machine shows {gpus}."
        )
    settings = options.settings(threads=threads, device="gpu" if gpus else "cpu")
    mine, _ = options.claim(options.work.bundles or 4 * count, Limits(), settings, at_least=count)
    if not mine.bundles:
        return 0
    bundles = (bundle.id for bundle in mine.bundles)
    append_lines(resolved.folder, new_line(settings.submission, bundles, settings.command))
    pool = Pool(
        resolved, mine, settings, workers=count, gpus=gpus, sizes=options.sizes, console=console
    )
    outcome = pool.run()
    verb = "was interrupted" if outcome.interrupted else "has ended"
    said = ending(resolved.study, resolved.folder, verb)
    tell(resolved.folder, "ended", said, settings.submission)
    name = resolved.folder.argument
    following = f"Next: {spelled('summarize')} {name}"
    if outcome.interrupted:
        following = f"Interrupted. It goes on with: {again('submit', recorded())}"
    elif outcome.failed:
        following += f"   (why: {spelled('status')} {name})"
    console.print(
        f"{counted(len(outcome.done), 'run')} done, {len(outcome.failed)} failed. Results: "
        f"{resolved.folder.results}\n{following}"
    )
    if outcome.interrupted:
        return 130
    return 1 if outcome.failed else 0


def _send_to_slurm(options: Submit, profile: Profile) -> int:
    """Sends everything to SLURM and leaves."""
    resolved, console = options.resolved, options.console
    if taken := take_over_orphaned_arrays(resolved.folder):
        console.print(f"taken over from a launcher that died: jobs {', '.join(taken)}")
    lost = record_lost_jobs(resolved.study, resolved.folder, ClaimLiveness(resolved.folder))
    for message, runs in Counter(lost.values()).items():
        console.print(Text.assemble(("lost:", "yellow"), f" {counted(runs, 'run')}: {message}"))
    limits = read_limits(profile)
    settings = options.settings(
        threads=profile.threads(resolved.study.grid.processes),
        device="gpu" if profile.element_gpus else "cpu",
        profile=profile,
    )
    mine, later = options.claim(options.work.bundles or BUNDLES, limits, settings, profile)
    if not mine.bundles and not later.bundles:
        return 0
    jobs = dispatch(resolved, mine, profile, limits, settings, console) if mine.bundles else []
    if not jobs:
        forget(resolved.folder, settings.submission)
        console.print("nothing was sent.", style="yellow")
        return 1
    name = resolved.folder.argument
    console.print(
        f"{counted(len(jobs), 'array')} {'is' if len(jobs) == 1 else 'are'} in the queue; this "
        "terminal may be closed. Next:\n"
        f"  {spelled('status')} {name} --watch      how it goes\n"
        f"  {spelled('cancel')} {name}              stop it\n"
        f"  {spelled('summarize')} {name}           tables and figures, also of a part\n"
        "The same submit again runs only what is neither done nor in the queue."
    )
    return 0
