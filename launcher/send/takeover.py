"""Takes over arrays that a launcher sent before it died, by submissions.jsonl and job names.

A line for each array is written before the first sbatch of a submit, and one with the job after
each sbatch. Between the two, SLURM's queue knows more than the study's folder.
"""

import time
from functools import cache

from launcher.scheduler.ledger import LedgerLine, note_job, read_ledger, without_job
from launcher.scheduler.liveness import INTENT_SECONDS
from launcher.send.pickles import place_pickles, write_pickles
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.slurm.commands import ask

LOOKS = 10
"""How often squeue is asked, a second apart, for an array whose sbatch failed."""


def find_array(line: LedgerLine, looks: int) -> str | None:
    """Job id of an array that SLURM has although sbatch did not say so; None if it has none."""
    for look in range(looks):
        if look:
            time.sleep(1)
        if job := named_arrays(line.name).get(line.token):
            return job
    return None


def named_arrays(name: str) -> dict[str, str]:
    """Live arrays of a job name: token -> job id. Empty where squeue does not answer."""
    answer = ask("squeue", "--all", "--noheader", f"--name={name}", "--format=%F|%k")
    pairs = (line.strip().partition("|") for line in answer.output.splitlines())
    return {token: job for job, bar, token in pairs if bar}


def take_over_orphaned_arrays(folder: StudyFolder) -> list[str]:
    """Takes over arrays that SLURM has but whose launcher died before it could note them.

    Returns:
        Job ids taken over.
    """
    taken = []
    there = cache(named_arrays)
    for line in without_job(read_ledger(folder).lines):
        if _at_work(line):
            continue
        job = there(line.name).get(line.token)
        if job is not None:
            place_pickles(job, write_pickles(folder, line))
            note_job(folder, line, job)
            taken.append(job)
    return taken


def _at_work(line: LedgerLine) -> bool:
    """Whether the launcher that wrote a line may still be calling sbatch."""
    if line.pid is None:
        return line.age() < INTENT_SECONDS
    probe = claims.Claim(
        item="", submission=line.submission, bundle="", host=line.host, pid=line.pid
    )
    alive = claims.process_lives(probe)
    return line.age() < INTENT_SECONDS if alive is None else alive
