"""What submitit reads on the node: one pickled task for each element of an array."""

from collections.abc import Sequence
from pathlib import Path

from submitit.core.utils import DelayedSubmission, JobPaths

from launcher.scheduler.ledger import LedgerLine
from launcher.send.script import tasks_of
from stilt.folder import StudyFolder
from stilt.system.files import make_folder, replacing


def write_pickles(folder: StudyFolder, line: LedgerLine) -> list[Path]:
    """Writes the tasks of an array that has no job yet, each under a name of its own."""
    make_folder(folder.slurm)
    paths = []
    for index, task in enumerate(tasks_of(folder, line)):
        delayed = DelayedSubmission(task)
        delayed.set_timeout(line.minutes, line.timeouts)
        path = folder.slurm / f".{line.token}_{index}.pkl"
        with replacing(path) as temporary:
            delayed.dump(temporary)
        paths.append(path)
    return paths


def place_pickles(folder: StudyFolder, job: str, paths: Sequence[Path]) -> None:
    """Gives the tasks of an array to its elements, which wait for them, but only for 60 s.

    A task that an element has already may be of a later attempt, and stays.
    """
    for index, path in enumerate(paths):
        name = f"{job}_{index}" if len(paths) > 1 else job
        place = JobPaths(folder.slurm.resolve(), job_id=name).submitted_pickle
        if place.exists():
            path.unlink(missing_ok=True)
        else:
            path.replace(place)
