"""What tells a launcher's steps apart after it died: lines of submissions.jsonl, and job names.

A line for each array is written before the first sbatch of a submit, and one with the job after
each sbatch. Between the two, SLURM's queue knows more than the study's folder.
"""

import os
import time
from collections.abc import Sequence

from submitit.core.utils import DelayedSubmission, JobPaths

from jobs.slurm_task import BundleTask
from launcher.scheduler.ledger import LedgerLine, append_lines, now, read_ledger, without_job
from launcher.scheduler.liveness import INTENT_SECONDS
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.slurm.commands import ask

LOOKS = 10
"""How often squeue is asked, a second apart, for an array whose sbatch failed."""


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
    there: dict[str, dict[str, str]] = {}
    for line in without_job(read_ledger(folder)):
        if _at_work(line):
            continue
        if line.submission not in there:
            there[line.submission] = named_arrays(line.submission)
        job = there[line.submission].get(line.token)
        if job is not None:
            tasks = [BundleTask(str(folder.path), b, line.workers) for b in line.bundles]
            place_pickles(folder, job, tasks, line.minutes, line.timeouts)
            append_lines(folder, line.model_copy(update={"array": job, "time": now()}))
            taken.append(job)
    return taken


def _at_work(line: LedgerLine) -> bool:
    """Whether the launcher that wrote a line may still be calling sbatch."""
    probe = claims.Claim(
        item="", submission=line.submission, bundle="", host=line.host, pid=line.pid
    )
    alive = claims.process_lives(probe)
    return line.age() < INTENT_SECONDS if alive is None else alive
