"""The helping processes of a data-parallel run: started, watched and ended by the one that leads.

Leader and followers run the same bundle in lockstep (``stilt.training.team``). None goes on without
the others: where one breaks down, all of its team end, and a new team takes up what is left.
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

from jobs.settings import DEVICE_BROKEN

FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
FOREIGN_PREFIXES = ("ACCELERATE_", "PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_", "MPI_LOCALRANKID")
"""Variables that accelerate would obey: how many processes, on what, in which precision."""
MARK = "STILT_FOLLOWS"
"""Set for a follower."""
GRACE_SECONDS = 10.0
"""For a process that lost a mate to notice it by itself."""
POLL_SECONDS = 0.2


def follows() -> bool:
    """Whether this process was started to help another."""
    return MARK in os.environ


def forget_launchers() -> None:
    """Drops what torchrun, accelerate or MPI told this process: no study may depend on it."""
    for name in list(os.environ):
        if name in FOREIGN or name.startswith(FOREIGN_PREFIXES):
            del os.environ[name]


class Followers:
    """The processes that help this one."""

    def __init__(self, folder: Path, bundle: str, size: int) -> None:
        """Starts the followers of a team of ``size``, and tells this process's accelerator of them.

        The variables are those of torchrun, which accelerate reads.
        """
        self._processes: list[subprocess.Popen[bytes]] = []
        forget_launchers()
        if size == 1:
            return
        team = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
        }
        self._processes += [
            subprocess.Popen(
                [sys.executable, "-m", "jobs.process", str(folder), bundle],
                # its end tells a follower that this process is gone
                stdin=subprocess.PIPE,
                env=os.environ | team | {"RANK": str(n), "LOCAL_RANK": str(n), MARK: "1"},
            )
            for n in range(1, size)
        ]
        os.environ.update(team | {"RANK": "0", "LOCAL_RANK": "0"})

    def watch(self, on_loss: Callable[[str], None]) -> None:
        """Calls ``on_loss`` some time after a follower broke down, from another thread.

        By then this process has noticed it by itself, unless it waits for that follower forever.
        """
        if self._processes:
            threading.Thread(target=self._watch, args=(on_loss,), daemon=True).start()

    def _watch(self, on_loss: Callable[[str], None]) -> None:
        while not self.broken():
            time.sleep(POLL_SECONDS)
        time.sleep(GRACE_SECONDS)
        on_loss(self.broken())

    def broken(self) -> str:
        """How a follower ended that should not have; empty where all are well."""
        for number, process in enumerate(self._processes, 1):
            if process.poll():
                return f"process {number} of its team ended with exit code {process.returncode}"
        return ""

    def lost_device(self) -> bool:
        """Whether a follower ended because its device is broken."""
        return any(process.poll() == DEVICE_BROKEN for process in self._processes)

    def killed(self) -> bool:
        """Whether a follower was killed from outside."""
        return any(process.poll() == -signal.SIGKILL for process in self._processes)

    def lost_one(self) -> bool:
        """Whether a follower breaks down within some seconds: an error here may be its doing."""
        end = time.monotonic() + GRACE_SECONDS / 2
        while not self.broken() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return bool(self.broken())

    def end(self) -> None:
        """Ends the followers that still run, and waits for them."""
        for process in self._processes:
            process.kill()
            process.wait()


def stay_with_leader() -> None:
    """Lets this follower heed no signal but its leader's end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_leader, daemon=True).start()


def _end_with_leader() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
