"""The process that leads a team: it runs a bundle as one process would, and its followers help.

Where one of them breaks down all end, and whoever started the leader starts a new one for the
items that are left.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from jobs.bundle import DeviceFault, classify, record_error, record_missing_device, run_bundle
from jobs.run_cell import OnProgress, run_cell
from jobs.settings import DEVICE_BROKEN, INTERRUPTED, Assignment
from jobs.worker import Attempt, Worker, log
from stilt.folder import StudyFolder
from stilt.records.deaths import why_ended
from stilt.records.failures import attempts, read_failure
from stilt.records.results import FailureKind, Result, SourceResult
from stilt.study import Study
from stilt.system.memory import MemoryWatch

GRACE_SECONDS = 10.0
"""For a process that lost another of its team to notice it by itself."""
POLL_SECONDS = 0.2


class Followers:
    """The processes that help this one."""

    def __init__(self, folder: Path, bundle: str, size: int) -> None:
        """Starts the followers of a team of ``size``, and tells this process's accelerator of them.

        The variables are those of torchrun, which accelerate reads.
        """
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free_port = probe.getsockname()[1]
        team = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
        }
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "jobs.parallel.follower", str(folder), bundle],
                # its end tells a follower that this process is gone
                stdin=subprocess.PIPE,
                env=os.environ | team | {"RANK": str(n), "LOCAL_RANK": str(n)},
            )
            for n in range(1, size)
        ]
        self._memory = MemoryWatch()
        os.environ.update(team | {"RANK": "0", "LOCAL_RANK": "0"})

    def watch(self, on_loss: Callable[[str], None]) -> None:
        """Calls ``on_loss`` some time after a follower broke down, from another thread.

        By then this process has noticed it by itself, unless it waits for that follower forever.
        """

        def watch() -> None:
            while not self.broken():
                time.sleep(POLL_SECONDS)
                self._memory.look()
            time.sleep(GRACE_SECONDS)
            if how := self.broken():
                on_loss(how)

        threading.Thread(target=watch, daemon=True).start()

    def broken(self) -> str:
        """How a follower ended that should not have; empty where all are well."""
        for number, process in enumerate(self._processes, 1):
            if process.poll():
                return f"process {number} of its team ended with exit code {process.returncode}"
        return ""

    def any_ended_with(self, code: int) -> bool:
        """Whether a follower ended with an exit code (negative: the signal that killed it)."""
        return any(process.poll() == code for process in self._processes)

    def why_killed(self) -> tuple[FailureKind, str] | None:
        """Class and text of the end of one that signal 9 ended; None where it ended none."""
        killed = (p for p in self._processes if p.poll() == -signal.SIGKILL)
        return next((why_ended(p.returncode, p.pid, self._memory) for p in killed), None)

    def wait_for_loss(self) -> None:
        """Waits some seconds for a follower to break down: an error here may come from that."""
        end = time.monotonic() + GRACE_SECONDS / 2
        while not self.broken() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def end(self) -> None:
        """Ends the followers that still run, and waits for them; they have nothing to save."""
        # their end is no loss to watch for
        ended, self._processes = self._processes, []
        for process in ended:
            process.kill()
            process.wait()


class TeamFault(BaseException):
    """An item failed here or in a follower, and the team must end.

    No ``except Exception`` of the bundle may swallow it: it would try the item again at once.
    """


class Leader:
    """Starts the followers, tells them what to run, and records for all."""

    def __init__(self, study: Study, folder: StudyFolder, assignment: Assignment) -> None:
        self.study = study
        self.folder = folder
        self.assignment = assignment
        self.worker: Worker | None = None
        self.attempt: Attempt | None = None
        """What the team runs, or ran last."""
        self.followers = Followers(folder.path, assignment.bundle.id, study.grid.processes)

    def run(self) -> int:
        """Runs the bundle; returns the exit code of ``jobs.process``.

        Raises:
            DeviceMissing: No GPU where one was promised.
            Interrupted: A signal asked to stop; the state is saved.
        """
        # before the worker is made, which waits for all of the team
        self.followers.watch(self._leave)
        try:
            self.worker = Worker(self.study, self.folder, self.assignment.settings)
            self.worker.stop.listen(signal.SIGTERM, signal.SIGINT)
            failed = run_bundle(self.worker, self.assignment.bundle.items, self._compute)
        except (TeamFault, DeviceFault) as fault:
            assert isinstance(fault.__cause__, Exception)
            self.followers.wait_for_loss()
            return self._record(fault.__cause__)
        finally:
            self.followers.end()
        return 1 if failed else 0

    def _compute(
        self, worker: Worker, attempt: Attempt, progress: OnProgress
    ) -> Result | SourceResult:
        self.attempt = attempt
        try:
            worker.team.broadcast(attempt)
            return run_cell(worker, attempt, progress)
        except Exception as error:
            raise TeamFault from error

    def _leave(self, how: str) -> None:
        """Ends this process, which waits for a follower that is gone."""
        if self.attempt is not None:
            os._exit(self._record(RuntimeError(how)))
        log(f"{how}, before anything was run")
        if not self.followers.any_ended_with(DEVICE_BROKEN):
            os._exit(1)
        record_missing_device(self.study, self.folder, self.assignment, how)
        os._exit(DEVICE_BROKEN)

    def _record(self, error: Exception) -> int:
        """Records what broke the team, unless the follower that broke has done so itself.

        An item that lacked memory keeps its claim: the next process takes smaller steps. So does
        one whose follower was killed, and nothing says why: once, and as it was.

        Returns:
            The exit code.
        """
        worker, attempt = self.worker, self.attempt
        assert worker is not None
        assert attempt is not None
        before = read_failure(self.folder.failure(attempt.item))
        if attempts(self.folder, attempt.item) < attempt.number:
            kind, message = self.followers.why_killed() or (
                classify(error),
                self.followers.broken(),
            )
            record_error(worker, attempt.item, error, kind, attempt.number, message)
        written = read_failure(self.folder.failure(attempt.item))
        assert written is not None
        log(f"failed ({written.kind}): {written.message}")
        if written.kind == "node":
            return DEVICE_BROKEN
        again = {
            "oom": attempt.chunk > 1,
            "killed": before is None or before.kind != "killed",
        }
        if not again.get(written.kind, False):
            self.folder.claim(attempt.item).unlink(missing_ok=True)
        return INTERRUPTED
