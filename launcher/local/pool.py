"""The local executor: a bounded pool of worker processes on this machine, with their progress."""

import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from jobs.settings import DEVICE_BROKEN, INTERRUPTED, Settings
from launcher.local.signals import interrupted_by_signals
from launcher.local.slots import Slots
from launcher.local.workers import WorkerProcess
from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.claiming import assign, release
from launcher.study.resolve import ResolvedStudy
from stilt.cell import digest
from stilt.errors import ResultError, disk_full
from stilt.folder import read_study
from stilt.plan import Bundle, Plan, weights
from stilt.records import claims
from stilt.records.deaths import why_ended
from stilt.records.failures import reason, record_failure
from stilt.records.finished import finished, read_ending
from stilt.records.results import FailureKind
from stilt.system.memory import MemoryWatch
from stilt.task import Size

WORKER_SECONDS = 0.5
"""Between two looks at the workers."""
HOLDER_SECONDS = 30
"""Between two looks at whether another launcher's job, which makes what is needed, still lives."""


@dataclass
class _Running:
    bundle: Bundle
    worker: WorkerProcess
    slot: int
    bar: TaskID


@dataclass
class PoolOutcome:
    """How a pool's work ended."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False


class Pool:
    """Runs a plan's bundles as worker processes, at most ``workers`` at a time."""

    def __init__(
        self,
        resolved: ResolvedStudy,
        plan: Plan,
        settings: Settings,
        *,
        workers: int,
        gpus: int,
        sizes: dict[str, Size],
        console: Console,
    ) -> None:
        """Starts nothing yet.

        Args:
            resolved: the study.
            plan: bundles that this submission has claimed.
            settings: what the workers of the submission are told.
            workers: worker processes at a time.
            gpus: GPUs of this machine.
            sizes: rows and tokens of tasks.
            console: where endings and the bar are shown.
        """
        study = resolved.study
        self.study = study
        self.folder = resolved.folder
        self.settings = settings
        self.slots = Slots(workers, processes=study.grid.processes, gpus=gpus)
        self.console = console
        self.waiting = list(plan.bundles)
        self.running: list[_Running] = []
        self.idle: dict[int, WorkerProcess] = {}
        """Slot -> its process, which waits for another bundle."""
        self.leaving: list[WorkerProcess] = []
        """Processes that are given none any more."""
        self.outcome = PoolOutcome()
        self.costs = {
            item: weight
            for bundle in plan.bundles
            for item, weight in weights(study, bundle, sizes).items()
        }
        self.open = set(self.costs)
        """Runs that have neither result nor failure yet."""
        self._memory = MemoryWatch()
        self._killed: set[str] = set()
        """Runs whose worker was killed once: they are tried again, but not for ever."""
        self._looked: dict[str, tuple[float, bool]] = {}
        """What another launcher makes -> when its holder was looked for, and whether it lived."""

    def run(self) -> PoolOutcome:
        """Runs everything; on Ctrl-C, SIGTERM or SIGHUP it lets workers save their state."""
        try:
            with interrupted_by_signals():
                self._run_or_stop()
        finally:
            release(self.folder, self.settings.submission, self.costs)
        return self.outcome

    def _run_or_stop(self) -> None:
        try:
            self._run()
        except KeyboardInterrupt:
            self._stop()
            self.outcome.interrupted = True
        except BaseException:
            # a worker that outlived its claims would run what the next submit runs too
            self._stop()
            raise

    def _run(self) -> None:
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            disable=not self.console.is_terminal,
            speed_estimate_period=600,
        )
        with bars:
            overall = bars.add_task("all", total=sum(self.costs.values()))
            while self.waiting or self.running:
                self._start_ready(bars)
                time.sleep(WORKER_SECONDS)
                self._collect(bars)
                self._memory.look()
                self._show(bars, overall)
        for worker in self.leaving:
            worker.process.wait()

    def _start_ready(self, bars: Progress) -> None:
        for bundle in list(self.waiting):
            slot = self.slots.free({run.slot for run in self.running})
            if slot is None:
                return
            states = {need: self._need(need) for need in bundle.needs}
            failed = next((need for need, state in states.items() if state == "failed"), None)
            if failed is not None:
                self.waiting.remove(bundle)
                why = f"its {self.study.runs[failed].title} {self._why(failed)}"
                self._fail(bundle, bundle.items, "source", why)
            elif all(state == "ready" for state in states.values()):
                self.waiting.remove(bundle)
                self._start(bundle, slot, bars)

    def _need(self, need: str) -> str:
        """Tells whether what a bundle needs is ``ready``, ``failed``, or still to ``wait`` for."""
        if finished(self.study, self.folder, need):
            return "ready"
        if need in self.open or self._made_elsewhere(need):
            return "wait"
        # whoever makes it drops the claim after the last file is written
        return "ready" if finished(self.study, self.folder, need) else "failed"

    def _made_elsewhere(self, need: str) -> bool:
        """Tells whether a live process or job of another launcher holds an item."""
        path = self.folder.claim(need)
        if not path.exists():
            return False
        now = time.monotonic()
        if need not in self._looked or now - self._looked[need][0] > HOLDER_SECONDS:
            claim = claims.read(path)
            lives = claim is not None and ClaimLiveness(self.folder).lives(claim)
            self._looked[need] = (now, lives)
        return self._looked[need][1]

    def _why(self, need: str) -> str:
        """Says why what is needed can be of no use."""
        if claim := claims.read(self.folder.claim(need)):
            holder = f"{claim.submission} on {claim.host}"
            return f"was never made: its holder, {holder}, died; submit again"
        return f"failed: {reason(self.folder, need) or 'no usable result'}"

    def _start(self, bundle: Bundle, slot: int, bars: Progress) -> None:
        bar = bars.add_task(f"  worker {slot + 1}: loading", total=None)
        if waiting := self.idle.get(slot):
            # before it begins: an interrupt, which may come at any moment, must find it
            self.running.append(_Running(bundle, waiting, slot, bar))
            del self.idle[slot]
            if waiting.give(bundle.id):
                return
            self.running.pop()
        threads = {"OMP_NUM_THREADS": str(self.settings.threads or 1)}
        variables = self.slots.devices(slot) | threads
        # one of several that train together has joined them for good
        more = self.study.grid.processes == 1
        worker = WorkerProcess(self.folder, bundle.id, variables, more=more)
        self.running.append(_Running(bundle, worker, slot, bar))

    def _collect(self, bars: Progress) -> None:
        codes = [(run, run.worker.ended()) for run in self.running]
        # looked for afterwards, so that whatever an ended worker has finished is found
        self._note_finished()
        for run, code in codes:
            if code is None:
                continue
            self.running.remove(run)
            bars.remove_task(run.bar)
            if run.worker.lives:
                self.idle[run.slot] = run.worker
            if code == DEVICE_BROKEN:
                self._without_device(run)
            left = [item for item in run.bundle.items if item in self.open]
            left = self._still_held(left)
            if left and code not in (INTERRUPTED, DEVICE_BROKEN):
                left = self._crashed(run, left, code)
            if left:
                ids = {"items": tuple(left), "id": digest([run.bundle.id, *left])}
                rest = run.bundle.model_copy(update=ids)
                assign([rest], self.folder, self.settings)
                self.waiting.append(rest)
        if self.slots.all_closed and not self.running:
            why = "no GPU of this machine works; see nvidia-smi"
            for bundle in self.waiting:
                self._fail(bundle, bundle.items, "node", why)
            self.waiting.clear()
        if not self.waiting:
            self._dismiss()

    def _still_held(self, left: list[str]) -> list[str]:
        """Of the runs that an ended worker left, those whose claims nobody has taken away."""
        given_back = set(left) - claims.held(self.folder, left, self.settings.submission).keys()
        if not given_back:
            return left
        planned = read_study(self.folder).runs
        for item in [item for item in left if item in given_back]:
            self.open.discard(item)
            gone = (
                "others hold it, or it was cancelled"
                if item in planned
                else "the study no longer has it"
            )
            self.console.print(f"{self.study.runs[item].title}: left out, because {gone}")
        return [item for item in left if item in self.open]

    def _note_finished(self) -> None:
        for run in self.running:
            for item in run.bundle.items:
                # a claim lasts until the item's record is written
                if item not in self.open or self.folder.claim(item).exists():
                    continue
                if finished(self.study, self.folder, item):
                    self.slots.worked(run.slot)
                    self._note(item)
                elif why := reason(self.folder, item):
                    self._note(item, why)

    def _note(self, item: str, why: str | None = None) -> None:
        """Counts a run as done, or as failed where there is a reason, and says how it ended."""
        self.open.discard(item)
        (self.outcome.failed if why else self.outcome.done).append(item)
        number = len(self.costs) - len(self.open)
        self.console.print(
            Text.assemble(
                f"[{number}/{len(self.costs)}] ",
                ("failed", "red") if why else ("done", "green"),
                f" {self.study.runs[item].title}{f': {why}' if why else self._score(item)}",
            )
        )

    def _score(self, item: str) -> str:
        """Says how a run that is done scored, and how long it took."""
        try:
            record = read_ending(self.study, self.folder, self.study.runs[item])
        except ResultError:
            record = None
        if record is None:
            return ""
        score = "diverged" if record.score is None else f"{record.metric} {100 * record.score:.1f}"
        seconds = sum(record.timings.model_dump().values())
        return f"  {score}, {seconds:.0f} s"

    def _begun(self, run: _Running, items: list[str]) -> list[str]:
        """Returns the items that a worker was running; all of its items where it had begun none."""
        held = claims.held(self.folder, items, self.settings.submission)
        pid = run.worker.process.pid
        return [i for i, claim in held.items() if claim.running and claim.pid == pid] or items

    def _without_device(self, run: _Running) -> None:
        """Fails the item under which a worker's GPU broke; the worker has written its record."""
        self.slots.broke(run.slot)
        left = [item for item in run.bundle.items if item in self.open]
        for item in self._begun(run, left)[:1]:
            self.folder.claim(item).unlink(missing_ok=True)
            self._note(item, reason(self.folder, item) or "its GPU is broken")

    def _crashed(self, run: _Running, left: list[str], code: int) -> list[str]:
        """Fails what a worker ran when it died without a word; returns what is to be run yet.

        What was killed, and nothing says that memory ran out, is run once more, as it was.
        """
        bundle, victims = run.bundle, self._begun(run, left)
        kind, how = why_ended(code, run.worker.process.pid, self._memory)
        message = f"{how}; see {self.folder.bundle_log(bundle.id)}"
        again = [item for item in victims if kind == "killed" and item not in self._killed]
        self._killed.update(again)
        for item in again:
            self.console.print(f"{self.study.runs[item].title}: {how}; it is run again")
            self._record(bundle, item, kind, message)
        self._fail(bundle, [item for item in victims if item not in again], kind, message)
        return [item for item in left if item in again or item not in victims]

    def _fail(self, bundle: Bundle, items: Iterable[str], kind: FailureKind, message: str) -> None:
        """Fails items of a bundle, of which no worker could write a failure record."""
        for item in items:
            problem = self._record(bundle, item, kind, message)
            release(self.folder, self.settings.submission, [item])
            self._note(item, f"{kind}: {message}{problem}")

    def _record(self, bundle: Bundle, item: str, kind: FailureKind, message: str) -> str:
        """Writes a failure record; returns what to add to the message where that cannot be done."""
        log = str(self.folder.bundle_log(bundle.id).relative_to(self.folder.path))
        try:
            record_failure(self.study, self.folder, item, kind, message, log=log)
        except OSError as error:
            return f"; and no record of it can be written: {disk_full(error)}"
        return ""

    def _show(self, bars: Progress, overall: TaskID) -> None:
        worked = sum(self.costs[item] for item in self.costs.keys() - self.open)
        for run in self.running:
            for item in run.bundle.items:
                claim = claims.read(self.folder.claim(item)) if item in self.open else None
                if claim is not None and claim.running:
                    share = claim.done / claim.total if claim.total else 0.0
                    worked += share * self.costs[item]
                    bars.update(
                        run.bar,
                        description=f"  worker {run.slot + 1}: {self.study.runs[item].title}",
                        completed=100 * share,
                        total=100,
                    )
        count = len(self.costs) - len(self.open)
        bars.update(overall, completed=worked, description=f"{count}/{len(self.costs)} runs")

    def _dismiss(self) -> None:
        """Ends the processes that wait for a bundle."""
        for worker in self.idle.values():
            worker.dismiss()
        self.leaving += self.idle.values()
        self.idle.clear()

    def _stop(self) -> None:
        self._dismiss()
        processes = [worker.process for worker in self.leaving]
        processes += [run.worker.process for run in self.running]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        # one whose bundle ends now would wait for the next
        for run in self.running:
            run.worker.dismiss()
        # where it is the screen or the disk that broke, there is nobody to tell
        with suppress(OSError):
            self.console.print("stopping: workers save their state (a second Ctrl-C kills them)")
        try:
            for process in processes:
                process.wait(timeout=120)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            for process in processes:
                process.kill()
                process.wait()
        self._note_finished()
