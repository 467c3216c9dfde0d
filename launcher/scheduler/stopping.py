"""Ending jobs and processes, and waiting until they are gone."""

import os
import signal
import socket
import time
from collections.abc import Iterable, Sequence

from rich.console import Console

from launcher.scheduler.live_claims import Process
from stilt.slurm.commands import ask
from stilt.system.processes import lives

AT_ONCE = 200
"""Elements named to one scancel."""
CANCEL_SECONDS = 120
"""For one scancel, which a busy controller may keep waiting."""
LEAVING_SECONDS = 40
"""For a cancelled element to leave the queue: SLURM's KillWait (30 s by default) and some."""
SAVE_SECONDS = 150
"""For local workers to save their state: the pool itself kills them after 120."""


def cancel_jobs(elements: Sequence[str], wait: float = LEAVING_SECONDS) -> list[str]:
    """Cancels array elements and waits until they have left the queue.

    Args:
        elements: as squeue names them.
        wait: seconds to wait at most.

    Returns:
        What went wrong, in scancel's words.
    """
    problems = []
    for start in range(0, len(elements), AT_ONCE):
        some = elements[start : start + AT_ONCE]
        answer = ask("scancel", *some, seconds=CANCEL_SECONDS)
        if answer.code is None:
            return [f"{answer.problem}: try again, on a login node of the cluster"]
        said = [line for line in answer.errors.splitlines() if "Invalid job id" not in line]
        problems += said[:5] if answer.problem else []
    end = time.monotonic() + wait
    while not problems and time.monotonic() < end and _queued(elements):
        time.sleep(1)
    return problems


def _queued(elements: Sequence[str]) -> bool:
    """Whether squeue still lists one of some elements."""
    arrays = sorted({element.partition("_")[0] for element in elements})
    named = f"--jobs={','.join(arrays)}"
    answer = ask("squeue", "--all", "--array", "--noheader", named, "--format=%i")
    return bool(set(elements) & set(answer.output.split()))


def stop_processes(processes: Iterable[Process], console: Console) -> list[str]:
    """Asks pools and workers of this machine to stop, and waits until they have.

    Returns:
        What went wrong.
    """
    problems = []
    asked = []
    for process in processes:
        if process.host != socket.gethostname():
            problems.append(f"process {process.pid} runs on {process.host}: cancel there")
            continue
        try:
            os.kill(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
        except PermissionError:
            problems.append(f"process {process.pid} belongs to somebody else")
            continue
        asked.append(process.pid)
    if asked:
        console.print("waiting for the workers to save their state")
    end = time.monotonic() + SAVE_SECONDS
    while asked and time.monotonic() < end:
        asked = [pid for pid in asked if lives(pid)]
        time.sleep(0.2)
    problems += [f"process {pid} does not stop; kill it: kill -9 {pid}" for pid in asked]
    return problems
