"""Places for worker processes on this machine, and the GPUs that each of them uses."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Collection

MAX_FAULTS = 2
"""Times in a row that a place's GPU may break before it is used no more."""


class Slots:
    """Places of workers; one whose GPU breaks again and again is closed."""

    def __init__(self, count: int, *, processes: int, gpus: int) -> None:
        """Numbers the places from 0.

        Args:
            count: workers at a time.
            processes: processes of each worker, which take a GPU each.
            gpus: GPUs of this machine.
        """
        self.count = count
        self._processes = processes
        self._gpus = gpus
        self._faults: Counter[int] = Counter()

    def free(self, taken: Collection[int]) -> int | None:
        """Returns the first place that is open and not taken; None if there is none."""
        open_ = (n for n in range(self.count) if n not in taken and not self._closed(n))
        return next(open_, None)

    @property
    def all_closed(self) -> bool:
        """Whether no worker can be started any more."""
        return all(map(self._closed, range(self.count)))

    def worked(self, slot: int) -> None:
        """Notes that a run ended well in a place, so that its GPU counts as sound."""
        del self._faults[slot]

    def broke(self, slot: int) -> None:
        """Notes that a place's GPU broke under a run, or was not there."""
        self._faults[slot] += 1

    def devices(self, slot: int) -> dict[str, str]:
        """Returns the environment variables that give a worker in a place its GPUs."""
        if not self._gpus:
            return {}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(index) for index in range(self._gpus)]
        first = slot * self._processes
        mine = range(first, first + self._processes)
        return {"CUDA_VISIBLE_DEVICES": ",".join(names[n % self._gpus] for n in mine)}

    def _closed(self, slot: int) -> bool:
        return self._faults[slot] >= MAX_FAULTS


def shared_out(processes: int, workers: int | None = None) -> tuple[int, int, int]:
    """How this machine is divided: workers at a time, CPU threads of each, and its GPUs.

    Args:
        processes: of each worker.
        workers: as a person wants; one for each GPU, or core, where absent.
    """
    gpus, cores = gpu_count(), len(os.sched_getaffinity(0))
    count = workers or max(1, (gpus or cores) // processes)
    return count, max(1, cores // (count * processes)), gpus


def gpu_count() -> int:
    """Counts the GPUs that workers may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip()])
    if shutil.which("nvidia-smi") is None:
        return 0
    run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in run.stdout.splitlines())
