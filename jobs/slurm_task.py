"""What one element of a SLURM array runs, and how it stops, is requeued, and goes on.

The launcher pickles a ``BundleTask``; so nothing here may load torch before the task runs.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, UncompletedJobError

from jobs.requeue import requeue, requeue_elsewhere
from jobs.settings import DEVICE_BROKEN, INTERRUPTED, Assignment
from stilt.config import Frozen
from stilt.folder import StudyFolder, read_study
from stilt.records import claims
from stilt.records.failures import attempts, dependants, item_name, reason, record_loss
from stilt.records.finished import finished
from stilt.records.results import FailureKind
from stilt.system.files import write_text
from stilt.system.interrupt import Interrupted, StopRequest

if TYPE_CHECKING:
    from jobs.bundle import DeviceFault

MAX_NODE_FAULTS = 3
"""Nodes on which an item may break before it counts as failed."""
POLL_SECONDS = 0.5
VISIBLE_SECONDS = 70
"""Longest time that NFS may take an absent file on trust (nfs(5), acdirmax: 60 s), and a little."""


class CellsFailed(RuntimeError):  # noqa: N818 - an outcome, told by the exit code
    """Some items of the bundle have a failure record instead of a result."""


@dataclass(frozen=True)
class BundleTask:
    """The callable that submitit runs; calling it again goes on where it stopped."""

    folder: str
    bundle: str
    workers: int = 1

    def __call__(self) -> str:
        """Runs the bundle; whatever does not end well raises, so that dependants see it."""
        return _Element(self).run()

    def checkpoint(self) -> Any:
        """What submitit requeues: the same task, since all state lies in the study's folder."""
        return DelayedSubmission(self)


class _Element:
    """One attempt at a bundle."""

    def __init__(self, task: BundleTask) -> None:
        from jobs.bundle import read_assignment

        self.task = task
        self.folder = StudyFolder(Path(task.folder))
        self.study = read_study(self.folder)
        self.environment = JobEnvironment()
        log = os.path.relpath(self.environment.paths.stdout, self.folder.path)
        os.environ["STILT_LOG_FILE"] = log
        whole = read_assignment(self.folder, task.bundle)
        self.settings = whole.settings
        self.stage = whole.bundle.stage
        self.planned = whole.bundle.items
        self.items = self._held(whole.bundle.items)
        self.bundle = whole.bundle

    def _held(self, items: Sequence[str]) -> list[str]:
        """Items that are still this submission's: what ended in an earlier attempt is not."""
        found = []
        for item in items:
            claim = claims.read(self.folder.claim(item))
            if claim is not None and claim.submission == self.settings.submission:
                found.append(item)
        return found

    def run(self) -> str:
        """Runs what is still this submission's; says what was done."""
        if self.items:
            self._await_need()
        failed = self._run() if self.items else 0
        if self.stage == "target":
            if failed:
                raise CellsFailed(f"{failed} of {len(self.items)} cells failed")
            return f"{len(self.items)} cells"
        item = self.planned[0]
        claim = claims.read(self.folder.claim(item))
        if claim is not None and claim.submission != self.settings.submission:
            raise CellsFailed(f"{item_name(self.study, item)} is {claim.submission}'s by now")
        if failed or not finished(self.study, self.folder, item):
            self._fail_dependants(item)
            raise CellsFailed(f"{item_name(self.study, item)} has no usable result")
        return item

    def _await_need(self) -> None:
        """A network file system may show another node's new files only after a while.

        SLURM started this element because the job that made them succeeded.
        """
        end = time.monotonic() + VISIBLE_SECONDS
        for need in self.bundle.needs:
            while not finished(self.study, self.folder, need) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)

    def _run(self) -> int:
        workers = min(self.task.workers, len(self.items))
        stop = StopRequest()
        try:
            # a team's processes end together when one breaks down: this one must outlive them
            shared = workers > 1 or self.study.grid.processes > 1
            return self._share(workers, stop) if shared else self._alone(stop)
        except Interrupted:
            self._hand_back(stop)
            raise SystemExit(INTERRUPTED) from None

    def _alone(self, stop: StopRequest) -> int:
        from jobs.bundle import DeviceFault, run_bundle
        from jobs.followers import forget_launchers
        from jobs.worker import DeviceMissing, Worker

        forget_launchers()
        try:
            worker = Worker(self.study, self.folder, self.settings)
        except DeviceMissing as missing:
            return self._leave_node(DeviceFault(self.items[0], "node", str(missing)))
        worker.stop = stop
        stop.listen(signal.SIGUSR2, signal.SIGTERM)
        mine = self.bundle.model_copy(update={"items": tuple(self.items)})
        try:
            return run_bundle(self.folder, Assignment(bundle=mine, settings=self.settings), worker)
        except DeviceFault as fault:
            return self._leave_node(fault)

    def _share(self, workers: int, stop: StopRequest) -> int:
        """Runs the items in several processes of their own, which share the element's devices.

        Where a device breaks under one of them, all save their state, and go elsewhere together.
        """
        stop.listen(signal.SIGUSR2, signal.SIGTERM)
        pool = [_Share(self, slot, self.items[slot::workers]) for slot in range(workers)]
        asked = False
        while any(share.runs() for share in pool):
            if not asked and (stop or any(share.broken for share in pool)):
                asked = True
                for share in pool:
                    share.process.terminate()
            time.sleep(POLL_SECONDS)
            for share in pool:
                if not share.runs() and not asked and not share.broken:
                    share.go_on()
        faulty = [item for share in pool if share.broken for item in share.begun()]
        for item in faulty:
            if attempts(self.folder, item) >= MAX_NODE_FAULTS:
                self.folder.claim(item).unlink(missing_ok=True)
        if stop:
            raise Interrupted
        if faulty:
            self._go_elsewhere(faulty)
        return self._failures()

    def _failures(self) -> int:
        return sum(self.folder.failure(item).exists() for item in self.items)

    def _hand_back(self, stop: StopRequest) -> None:
        """After the state is saved: submitit requeues this element, or says that it will not.

        On SIGTERM SLURM is ending the job (``scancel``, a node going down, a preemption that it
        requeues itself): there is nothing to ask for.
        """
        sys.stdout.write("asked to stop; the state is saved\n")
        sys.stdout.flush()
        if stop.signal != signal.SIGUSR2:
            return
        try:
            stop.forward()
        except UncompletedJobError as error:
            self._give_up(str(error))
            raise
        except (OSError, subprocess.SubprocessError) as error:
            # submitit asks the controller once, and has written what the next attempt reads
            problem = requeue(self.environment.job_id)
            if problem is not None:
                self._give_up(f"the time limit was reached, and SLURM did not requeue: {problem}")
                raise CellsFailed(problem) from error

    def _give_up(self, message: str) -> None:
        """Nothing takes up what is left: it is recorded as out of time."""
        for item in self._held(self.items):
            self._lose(item, "timeout", message)
        if self.stage != "target":
            self._fail_dependants(self.planned[0])

    def _leave_node(self, fault: "DeviceFault") -> int:
        """The device can be used no more: the item, and what is left, goes on in a new attempt.

        An item that broke the device itself is not tried again, and says nothing against the node.

        Returns:
            How many items failed, where nothing is left to go elsewhere.
        """
        item, kind = fault.item, fault.kind
        keep = kind == "node" and attempts(self.folder, item) + 1 < MAX_NODE_FAULTS
        self._lose(item, kind, str(fault), keep=keep)
        self._go_elsewhere([item], node=kind == "node")
        return self._failures()

    def _go_elsewhere(self, faulty: Collection[str], *, node: bool = True) -> None:
        """Requeues this element, away from this node; returns if there is nothing left to run.

        Args:
            faulty: items with a record of why.
            node: whether this node is at fault.
        """
        left = self._held(self.items)
        if not left:
            return
        here = os.environ.get("SLURMD_NODENAME", "") if node else ""
        problem = requeue_elsewhere(self.environment.job_id, here)
        if problem is None:
            raise SystemExit(INTERRUPTED)
        for item in left:
            if item in faulty:
                self.folder.claim(item).unlink(missing_ok=True)
            else:
                message = f"a GPU broke under its element, which SLURM did not requeue: {problem}"
                self._lose(item, "node", message)

    def _lose(self, item: str, kind: FailureKind, message: str, *, keep: bool = False) -> None:
        record_loss(
            self.study,
            self.folder,
            item,
            kind,
            message,
            job=self.environment.job_id,
            host=os.environ.get("SLURMD_NODENAME"),
            log=os.environ["STILT_LOG_FILE"],
        )
        if not keep:
            self.folder.claim(item).unlink(missing_ok=True)

    def _fail_dependants(self, need: str) -> None:
        """SLURM drops the jobs that wait for this one, and runs nothing that could say why."""
        why = reason(self.folder, need) or "no usable result"
        for item in dependants(self.study, need):
            claim = claims.read(self.folder.claim(item))
            if claim is None or claim.running or not claim.on_slurm:
                continue
            message = f"its {item_name(self.study, need)} failed: {why}"
            record_loss(self.study, self.folder, item, "source", message)
            self.folder.claim(item).unlink(missing_ok=True)


class _Share:
    """One of several worker processes of an element."""

    def __init__(self, element: _Element, slot: int, items: Sequence[str]) -> None:
        self.element = element
        self.slot = slot
        self.items = list(items)
        self.stillborn = False
        """Whether the process before this one died before it began anything."""
        self.process = self._start()

    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def broken(self) -> bool:
        """Whether the process has ended because its device is broken."""
        return self.process.poll() == DEVICE_BROKEN

    def begun(self) -> list[str]:
        """The item that the process had begun when it ended; its first one if it began none."""
        left = self.element._held(self.items)
        return self._running(left) or left[:1]

    def _running(self, items: Sequence[str]) -> list[str]:
        # what an earlier attempt had begun is marked as running, too
        pid = self.process.pid
        found = ((item, claims.read(self._claim(item))) for item in items)
        return [item for item, claim in found if claim and claim.running and claim.pid == pid]

    def _start(self) -> subprocess.Popen[bytes]:
        element = self.element
        folder = element.folder
        name = f"{element.task.bundle}.{self.slot}"
        part = element.bundle.model_copy(update={"items": tuple(self.items), "id": name})
        _write(folder.bundles / f"{name}.json", Assignment(bundle=part, settings=element.settings))
        log = folder.logs / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"STILT_LOG_FILE": str(log.relative_to(folder.path))}
        devices = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
        if devices:
            each = element.study.grid.processes
            mine = range(self.slot * each, (self.slot + 1) * each)
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices[i % len(devices)] for i in mine)
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "jobs.process", str(folder.path), name],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                # SLURM signals every process of an element; this one asks the others to stop
                preexec_fn=_ignore_usr2,
            )

    def go_on(self) -> None:
        """After a process died in the middle: its item failed, another takes up the rest."""
        left = self.element._held(self.items)
        code = self.process.returncode
        if not left or code == 0:
            return
        if code not in (INTERRUPTED, -signal.SIGTERM):
            kind: FailureKind = "oom" if code == -signal.SIGKILL else "bug"
            begun = self._running(left)
            # one that dies before it begins anything may have met a moment's fault: once more
            lost = begun if begun or not self.stillborn else left
            self.stillborn = not begun
            for item in lost:
                self.element._lose(item, kind, f"the worker ended with exit code {code}")
            left = self.element._held(left)
        if left:
            self.items = left
            self.process = self._start()

    def _claim(self, item: str) -> Path:
        return self.element.folder.claim(item)


def _ignore_usr2() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _write(path: Path, content: Frozen) -> None:
    write_text(path, content.model_dump_json() + "\n")
