"""What squeue and sacct answer about jobs of some names: one state for each array element."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from stilt.config import Frozen
from stilt.slurm.commands import Answer, ask
from stilt.slurm.resources import tracked_gpus
from stilt.slurm.words import LIVE, NEVER_STARTS, expand, seconds

LOST = "LOST"
"""Our own word: sacct takes the job to be running, the controller does not know it."""


class JobState(Frozen):
    """One array element, as SLURM sees it."""

    job: str
    """``123_4``; ``123`` where an array of one became a plain job."""
    state: str
    """SLURM's word in full, such as OUT_OF_MEMORY."""
    live: bool
    """Whether it runs or can still run."""
    elapsed: int | None = None
    """Seconds of the latest attempt."""
    spent: int = 0
    """Seconds of all attempts, of which SLURM keeps one record each."""
    reason: str = ""
    """Why it waits, or why it ended."""
    node: str = ""
    exit_code: str = ""
    """``code:signal``, as sacct writes it."""
    gpus: int = 0
    name: str = ""
    """Job name, see ``launcher.scheduler.ledger.job_name``."""


# what both tell stands first, in the same order
QUEUE = "%i|%T|%M|%r|%N|%b|%j"
ACCOUNT = "JobID,State,ElapsedRaw,Reason,NodeList,AllocTRES,JobName,ExitCode,Submit"


def queued(names: Sequence[str]) -> tuple[dict[str, JobState], str | None]:
    """What squeue lists of jobs of some names, and why it did not answer.

    Without ``--all`` it keeps silent about a user's own jobs in hidden partitions, and in those
    whose group she has left: squeue(1).
    """
    command = ("squeue", "--all", "--array", "--noheader", "--states=all")
    answer = ask(*command, f"--name={','.join(names)}", f"--format={QUEUE}")
    found: dict[str, JobState] = {}
    for seen, _ in _read(answer, 7):
        # of a job that several clusters might have run, --all lists the revoked copies too
        if seen.job not in found or not found[seen.job].live:
            found[seen.job] = seen
    return found, answer.problem


def accounted(names: Sequence[str], since: datetime) -> tuple[dict[str, JobState], str | None]:
    """What sacct has of jobs of some names since a moment, and why it did not answer."""
    # a day earlier, because clocks differ; in the scheduler's local time, which it expects
    start = (since.astimezone() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    command = ["sacct", "--parsable2", "--noheader", "--allocations", "--allusers", "--duplicates"]
    # alone among these commands, sacct does not read SLURM_CLUSTERS
    command += [f"--clusters={where}"] if (where := os.environ.get("SLURM_CLUSTERS")) else []
    answer = ask(
        *command, f"--starttime={start}", f"--name={','.join(names)}", f"--format={ACCOUNT}"
    )
    attempts: dict[str, list[tuple[str, JobState]]] = {}
    for seen, (code, submitted) in _read(answer, 9):
        # sacct keeps the reason for which a job once waited, also after it ran
        why = seen.reason if seen.reason == NEVER_STARTS else ""
        record = seen.model_copy(update={"exit_code": code, "reason": why})
        attempts.setdefault(seen.job, []).append((submitted, record))
    found = {}
    for job, records in attempts.items():
        latest = max(records, key=lambda record: record[0])[1]
        spent = sum(record.elapsed or 0 for _, record in records)
        found[job] = latest.model_copy(update={"spent": spent})
    return found, answer.problem


def _read(answer: Answer, columns: int) -> Iterator[tuple[JobState, list[str]]]:
    """Yields the state of each element that an answer lists, and what only sacct tells of it."""
    for line in answer.output.splitlines() if answer.problem is None else ():
        fields = line.strip().split("|")
        if len(fields) != columns:
            continue
        ids, state, elapsed, reason, node, tres, name, *more = fields
        # without the "by 0" of CANCELLED
        word = (state.split() or ["UNKNOWN"])[0]
        reason = "" if reason in ("None", "(null)", "N/A") else reason
        took = seconds(elapsed)
        for job in expand(ids):
            yield (
                JobState(
                    job=job,
                    state=word,
                    live=word in LIVE and not (word == "PENDING" and reason == NEVER_STARTS),
                    elapsed=took,
                    spent=took or 0,
                    reason=reason,
                    node="" if node in ("None assigned", "(null)", "n/a") else node,
                    gpus=tracked_gpus(tres),
                    name=name,
                ),
                more,
            )


def joined(waiting: JobState, known: JobState) -> JobState:
    """What squeue says, with what only sacct knows."""
    earlier = known.spent - (known.elapsed or 0)
    spent = max(known.spent, earlier + (waiting.elapsed or 0))
    gpus = max(waiting.gpus, known.gpus)
    return waiting.model_copy(update={"spent": spent, "exit_code": known.exit_code, "gpus": gpus})
