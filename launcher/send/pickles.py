"""What submitit reads on the node: one pickled task for each element of an array."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from submitit.core.utils import DelayedSubmission, JobPaths

from jobs.slurm_task import BundleTask
from launcher.scheduler.ledger import LedgerLine
from stilt.folder import StudyFolder
from stilt.system.files import make_folder, replacing


def task_folder(folder: StudyFolder, token: str) -> Path:
    """Where an array's tasks lie: alone, as a cluster that is set up anew counts jobs from 1 again.

    An element that found another job's task under its own number would run that one.
    """
    return folder.slurm.resolve() / token


def write_pickles(folder: StudyFolder, line: LedgerLine) -> list[Path]:
    """Writes the tasks of an array that has no job yet, each under a name of its own."""
    place = task_folder(folder, line.token)
    make_folder(place)
    study = str(folder.path.resolve())
    paths = []
    for index, bundle in enumerate(line.bundles):
        delayed = DelayedSubmission(BundleTask(study, bundle, line.workers))
        delayed.set_timeout(line.minutes, line.timeouts)
        path = place / f".{index}.pkl"
        with replacing(path) as temporary:
            delayed.dump(temporary)
        paths.append(path)
    return paths


def place_pickles(job: str, paths: Sequence[Path]) -> None:
    """Gives the tasks of an array to its elements, which wait for them, but only for 60 s.

    A task that an element has already may be of a later attempt, and stays.
    """
    for index, path in enumerate(paths):
        name = f"{job}_{index}" if len(paths) > 1 else job
        place = JobPaths(path.parent, job_id=name).submitted_pickle
        if place.exists():
            path.unlink(missing_ok=True)
        else:
            path.replace(place)


def drop_pickles(paths: Sequence[Path]) -> None:
    """Removes those tasks that no element was given, and their folder where none was."""
    for path in paths:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
