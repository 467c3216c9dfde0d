"""The followers of a leading process, as it sees them: started, watched and ended."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

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
        os.environ.update(team | {"RANK": "0", "LOCAL_RANK": "0"})

    def watch(self, on_loss: Callable[[str], None]) -> None:
        """Calls ``on_loss`` some time after a follower broke down, from another thread.

        By then this process has noticed it by itself, unless it waits for that follower forever.
        """

        def watch() -> None:
            while not self.broken():
                time.sleep(POLL_SECONDS)
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
