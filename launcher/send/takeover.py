"""What tells a launcher's steps apart after it died: lines of submissions.jsonl, and job names.

One line is written before the first sbatch of a submit, with all arrays it will send; one after
each sbatch, with the job. Between the two, SLURM's queue knows more than the study's folder.
"""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from submitit.core.utils import DelayedSubmission, JobPaths

from jobs.slurm_task import BundleTask
from launcher.scheduler.ledger import Intent, Planned, append_line, job_line, unfinished
from launcher.scheduler.liveness import INTENT_SECONDS
from launcher.send.arrays import Array
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.slurm.commands import ask

LOOKS = 10
"""How often squeue is asked, a second apart, for an array whose sbatch failed."""


def planned(array: Array) -> Planned:
    """What the intent says of an array."""
    return Planned(
        token=array.token,
        stage=array.stage,
        needs=array.needs,
        bundles=tuple(bundle.id for bundle in array.bundles),
    )


def find_array(submission: str, token: str, looks: int = LOOKS) -> str | None:
    """Job id of an array that SLURM has although sbatch did not say so; None if it has none."""
    for look in range(looks):
        if look:
            time.sleep(1)
        found = named_arrays(submission)
        if token in found:
            return found[token]
    return None


def named_arrays(submission: str) -> dict[str, str]:
    """Live arrays of a submission: token -> job id. Empty where squeue does not answer."""
    named = f"--name=stilt-{submission}"
    answer = ask("squeue", "--all", "--noheader", named, "--format=%F|%k")
    pairs = (line.strip().partition("|") for line in answer.output.splitlines())
    return {token: job for job, bar, token in pairs if bar}


def place_pickles(
    folder: StudyFolder, job: str, tasks: Sequence[BundleTask], minutes: int, timeouts: int
) -> None:
    """Gives an array's elements their tasks, where submitit could not: they wait 60 s for them."""
    logs = folder.slurm.resolve()
    for index, task in enumerate(tasks):
        name = f"{job}_{index}" if len(tasks) > 1 else job
        place = JobPaths(logs, job_id=name).submitted_pickle
        if place.exists():
            continue
        delayed = DelayedSubmission(task)
        delayed.set_timeout(minutes, timeouts)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        delayed.dump(temporary)
        temporary.replace(place)


def take_over_orphaned_arrays(folder: StudyFolder) -> list[str]:
    """Takes over arrays that SLURM has but whose launcher died before it could note them.

    Args:
        folder: the study's folder.

    Returns:
        Job ids taken over.
    """
    folder = StudyFolder(folder.path.resolve())
    taken = []
    for intent, open_arrays in unfinished(folder):
        if _at_work(intent):
            continue
        there = named_arrays(intent.submission)
        for array in open_arrays:
            job = there.get(array.token)
            if job is None:
                continue
            tasks = [BundleTask(str(folder.path), b, intent.workers) for b in array.bundles]
            place_pickles(folder, job, tasks, intent.minutes, intent.timeouts)
            append_line(folder, job_line(intent, array, job))
            taken.append(job)
    return taken


def _at_work(intent: Intent) -> bool:
    """Whether the launcher that wrote an intent may still be calling sbatch."""
    probe = claims.Claim(
        item="", submission=intent.submission, bundle="", host=intent.host, pid=intent.pid
    )
    alive = claims.process_lives(probe)
    if alive is None:
        age = datetime.now(UTC) - datetime.fromisoformat(intent.time)
        return age.total_seconds() < INTENT_SECONDS
    return alive
