"""One element of a SLURM array: it runs a bundle, is requeued if it has to stop, and goes on.

The launcher pickles a ``BundleTask``, so importing this module must not load torch.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, UncompletedJobError

from jobs.requeue import requeue, requeue_elsewhere
from jobs.settings import DEVICE_BROKEN, INTERRUPTED, Assignment, read_assignment
from stilt.errors import disk_full, disk_trouble
from stilt.folder import StudyFolder, read_study
from stilt.records import claims
from stilt.records.deaths import why_ended
from stilt.records.failures import attempts, reason, record_failure
from stilt.records.finished import finished
from stilt.records.results import FailureKind
from stilt.system.files import make_folder, write_text
from stilt.system.interrupt import Interrupted, StopRequest
from stilt.system.memory import MemoryWatch
from stilt.system.units import counted

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
        """Runs the bundle; raises where something failed, so that SLURM drops what waits for it."""
        return _Element(self).run()

    def checkpoint(self) -> Any:
        """What submitit requeues: the same task, since all state lies in the study's folder."""
        return DelayedSubmission(self)


class _Element:
    """One attempt at a bundle; SLURM starts another one when it requeues the element."""

    def __init__(self, task: BundleTask) -> None:
        self.task = task
        self.folder = StudyFolder(Path(task.folder))
        self.study = read_study(self.folder)
        self.environment = JobEnvironment()
        log = self.folder.slurm / self.environment.paths.stdout.name
        os.environ["STILT_LOG_FILE"] = str(log.relative_to(self.folder.path))
        self.assignment = read_assignment(self.folder, task.bundle)
        self.stage = self.assignment.bundle.stage
        self.items = self.assignment.planned(self.study, self.folder)
        self.memory = MemoryWatch()

    def held(self, items: Iterable[str]) -> dict[str, claims.Claim]:
        """Claims of those of some items that this submission holds: what ended has none."""
        return claims.held(self.folder, items, self.assignment.settings.submission)

    def run(self) -> str:
        """Runs the items that this submission still holds; returns a line for submitit's log.

        Raises:
            CellsFailed: An item has no usable result.
            SystemExit: The element stopped early and is to be started again.
        """
        if self.items:
            self._await_need()
        failed = self._run() if self.items else 0
        if self.stage == "target":
            if failed:
                raise CellsFailed(f"{failed} of {counted(len(self.items), 'cell')} failed")
            return counted(len(self.items), "cell")
        item = self.assignment.bundle.items[0]
        if item not in self.study.runs:
            return f"{item}: the study no longer has it"
        claim = claims.read(self.folder.claim(item))
        name = self.study.runs[item].title
        if claim is not None and claim.submission != self.assignment.settings.submission:
            raise CellsFailed(f"{name} is {claim.submission}'s by now")
        if failed or not finished(self.study, self.folder, item):
            self._fail_dependants()
            raise CellsFailed(f"{name} has no usable result")
        return item

    def _await_need(self) -> None:
        """Waits until this node sees what the bundle needs.

        SLURM started this element because the job that made it succeeded, but a network file system
        may show another node's new files only after a while.
        """
        end = time.monotonic() + VISIBLE_SECONDS
        for need in self.assignment.bundle.needs:
            while not finished(self.study, self.folder, need) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)

    def _run(self) -> int:
        workers = min(self.task.workers, len(self.items))
        stop = StopRequest()
        try:
            # processes that train together all end when one breaks down: this one must outlive them
            if workers > 1 or self.study.grid.processes > 1:
                return self._run_in_processes(workers, stop)
            return self._run_here(stop)
        except Interrupted:
            self._hand_back(stop)
            raise SystemExit(INTERRUPTED) from None

    def _run_here(self, stop: StopRequest) -> int:
        from jobs.bundle import DeviceFault, run_bundle
        from jobs.worker import DeviceMissing, Worker, forget_launchers

        forget_launchers()
        try:
            worker = Worker(self.study, self.folder, self.assignment.settings)
        except DeviceMissing as missing:
            return self._leave_node(DeviceFault(self.items[0], "node", str(missing)))
        worker.stop = stop
        stop.listen(signal.SIGUSR2, signal.SIGTERM)
        try:
            return run_bundle(worker, self.items)
        except DeviceFault as fault:
            return self._leave_node(fault)

    def _run_in_processes(self, workers: int, stop: StopRequest) -> int:
        """Runs the items in several processes of their own, which share the element's devices.

        Where a device breaks under one of them, all save their state, and go elsewhere together.
        """
        stop.listen(signal.SIGUSR2, signal.SIGTERM)
        pool = [_WorkerProcess(self, slot, self.items[slot::workers]) for slot in range(workers)]
        asked = False
        running = True
        while running:
            running = any(worker.runs() for worker in pool)
            self.memory.look()
            if not asked and (stop or any(worker.broken for worker in pool)):
                asked = True
                for worker in pool:
                    worker.process.terminate()
            time.sleep(POLL_SECONDS if running else 0)
            for worker in pool:
                if not worker.runs() and not asked and not worker.broken:
                    worker.start_again()
            # the last one may have died after it was looked at
            running = running or any(worker.runs() for worker in pool)
        faulty = [item for worker in pool if worker.broken for item in worker.begun()]
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
        """Gives the element back to SLURM after the state is saved, to go on in a new attempt.

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
            self._fail_the_rest(
                "the time limit was reached once more than field 'max_timeouts' of cluster.toml "
                f"lets it go on ({error})"
            )
            raise
        except (OSError, subprocess.SubprocessError) as error:
            # submitit asks the controller once, and has written what the next attempt reads
            problem = requeue(self.environment.job_id)
            if problem is not None:
                self._fail_the_rest(
                    f"the time limit was reached, and SLURM did not requeue: {problem}"
                )
                raise CellsFailed(problem) from error

    def _fail_the_rest(self, message: str) -> None:
        """Records the items that are left as out of time: no attempt follows."""
        for item in self.held(self.items):
            self.fail(item, "timeout", message)
        if self.stage != "target":
            self._fail_dependants()

    def _leave_node(self, fault: "DeviceFault") -> int:
        """Records a broken device, and requeues the element for what is left.

        An item that broke the device itself is not tried again, and says nothing against the node.

        Returns:
            How many items failed, where nothing is left to go elsewhere.
        """
        item, kind = fault.item, fault.kind
        keep = kind == "node" and attempts(self.folder, item) + 1 < MAX_NODE_FAULTS
        self.fail(item, kind, str(fault), keep=keep)
        self._go_elsewhere([item], node=kind == "node")
        return self._failures()

    def _go_elsewhere(self, faulty: Collection[str], *, node: bool = True) -> None:
        """Requeues this element, away from this node; returns if there is nothing left to run.

        Args:
            faulty: items with a record of why.
            node: whether this node is at fault.
        """
        left = self.held(self.items)
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
                self.fail(item, "node", message)

    def fail(
        self,
        item: str,
        kind: FailureKind,
        message: str,
        *,
        keep: bool = False,
        log: str | None = None,
    ) -> None:
        """Records that an item failed, and drops its claim unless it is to be tried again.

        ``log`` is the worker's own, where it has one; else this element's.
        """
        job, log = self.environment.job_id, log or os.environ["STILT_LOG_FILE"]
        try:
            memory = self.assignment.settings.memory
            known = {"job": job, "log": log, "memory": memory}
            record_failure(self.study, self.folder, item, kind, message, **known)
        except OSError as error:
            if not disk_trouble(error):
                raise
            sys.stdout.write(f"{item} failed ({kind}): {message}; {disk_full(error)}\n")
        if not keep:
            self.folder.claim(item).unlink(missing_ok=True)

    def _fail_dependants(self) -> None:
        """Records why nothing that waits for this element will run: SLURM drops it in silence."""
        need = self.assignment.bundle.items[0]
        why = reason(self.folder, need) or "no usable result"
        for item in self.study.dependants(need):
            claim = claims.read(self.folder.claim(item))
            if claim is None or claim.running or not claim.on_slurm:
                continue
            message = f"its {self.study.runs[need].title} failed: {why}"
            record_failure(self.study, self.folder, item, "source", message)
            self.folder.claim(item).unlink(missing_ok=True)


class _WorkerProcess:
    """One of several worker processes of an element, and the next ones where it dies."""

    def __init__(self, element: _Element, slot: int, items: Sequence[str]) -> None:
        self.element = element
        self.slot = slot
        self.items = list(items)
        self.killed: set[str] = set()
        """Items whose process was killed once: they are tried again, but not for ever."""
        self.began_nothing = False
        """Whether the process before this one died before it began anything."""
        self.process = self._start()

    @property
    def name(self) -> str:
        """Of its part of the bundle, and of its log."""
        return f"{self.element.task.bundle}.{self.slot}"

    @property
    def log(self) -> str:
        """Its own log, relative to the study's folder."""
        folder = self.element.folder
        return str(folder.bundle_log(self.name).relative_to(folder.path))

    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def broken(self) -> bool:
        """Whether the process has ended because its device is broken."""
        return self.process.poll() == DEVICE_BROKEN

    def begun(self) -> list[str]:
        """The item that the process had begun when it ended; its first one if it began none."""
        left = self.element.held(self.items)
        return self._running(left) or list(left)[:1]

    def _running(self, held: Mapping[str, claims.Claim]) -> list[str]:
        # what an earlier attempt had begun is marked as running, too
        pid = self.process.pid
        return [item for item, claim in held.items() if claim.running and claim.pid == pid]

    def _start(self) -> subprocess.Popen[bytes]:
        element = self.element
        folder = element.folder
        name = self.name
        given = element.assignment
        bundle = given.bundle.model_copy(update={"items": tuple(self.items), "id": name})
        part = Assignment(bundle=bundle, settings=given.settings)
        write_text(folder.bundles / f"{name}.json", part.model_dump_json() + "\n")
        log = folder.path / self.log
        make_folder(log.parent)
        environment = os.environ | {"STILT_LOG_FILE": self.log}
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
                preexec_fn=partial(signal.signal, signal.SIGUSR2, signal.SIG_IGN),
            )

    def start_again(self) -> None:
        """Records the item under which the process died as failed, and starts one for the rest.

        What was killed, and nothing says that memory ran out, is among the rest once.
        """
        left = self.element.held(self.items)
        code = self.process.returncode
        if not left or code == 0:
            return
        if code not in (INTERRUPTED, -signal.SIGTERM):
            kind, how = why_ended(code, self.process.pid, self.element.memory)
            begun = self._running(left)
            # one that dies before it begins anything may have met a moment's fault: once more
            lost = begun if begun or not self.began_nothing else list(left)
            self.began_nothing = not begun
            for item in lost:
                again = kind == "killed" and item not in self.killed
                self.killed.add(item)
                self.element.fail(item, kind, how, keep=again, log=self.log)
            left = self.element.held(left)
        if left:
            self.items = list(left)
            self.process = self._start()
