"""What squeue and sacct answer about jobs of some names: one state for each array element."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from stilt.config import Frozen
from stilt.slurm.commands import Answer, ask
from stilt.slurm.words import LIVE, NEVER_STARTS, expand, gpu_number, seconds, state_word

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
    """Job name: ``stilt-<submission>``."""


_QUEUE = ("%i", "%T", "%M", "%r", "%N", "%b", "%j")
_ACCOUNT = "JobID,State,ElapsedRaw,Reason,NodeList,ExitCode,AllocTRES,JobName,Submit"


def queued(names: Sequence[str]) -> tuple[dict[str, JobState], str | None]:
    """What squeue lists of jobs of some names, and why it did not answer.

    Without ``--all`` it keeps silent about a user's own jobs in hidden partitions, and in those
    whose group she has left: squeue(1).
    """
    command = ("squeue", "--all", "--array", "--noheader", "--states=all")
    answer = ask(*command, f"--name={','.join(names)}", f"--format={'|'.join(_QUEUE)}")
    lines, problem = _lines(answer)
    found: dict[str, JobState] = {}
    for line in lines:
        fields = line.strip().split("|")
        if len(fields) != len(_QUEUE):
            continue
        ids, state, elapsed, reason, node, tres, name = fields
        for job in expand(ids):
            seen = _state(job, state, seconds(elapsed), reason, node, "", tres, name)
            # of a job that several clusters might have run, --all lists the revoked copies too
            if job not in found or not found[job].live:
                found[job] = seen
    return found, problem


def accounted(names: Sequence[str], since: datetime) -> tuple[dict[str, JobState], str | None]:
    """What sacct has of jobs of some names since a moment, and why it did not answer."""
    # a day earlier, because clocks differ; in the scheduler's local time, which it expects
    start = (since.astimezone() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    command = ["sacct", "--parsable2", "--noheader", "--allocations", "--allusers", "--duplicates"]
    # alone among these commands, sacct does not read SLURM_CLUSTERS
    command += [f"--clusters={where}"] if (where := os.environ.get("SLURM_CLUSTERS")) else []
    answer = ask(
        *command, f"--starttime={start}", f"--name={','.join(names)}", f"--format={_ACCOUNT}"
    )
    lines, problem = _lines(answer)
    attempts: dict[str, list[tuple[str, JobState]]] = {}
    for line in lines:
        fields = line.split("|")
        if len(fields) != len(_ACCOUNT.split(",")):
            continue
        ids, state, elapsed, reason, node, code, tres, name, submitted = fields
        for job in expand(ids):
            # sacct keeps the reason for which a job once waited, also after it ran
            why = reason if reason == NEVER_STARTS else ""
            seen = _state(job, state, seconds(elapsed), why, node, code, tres, name)
            attempts.setdefault(job, []).append((submitted, seen))
    found = {}
    for job, records in attempts.items():
        latest = max(records, key=lambda record: record[0])[1]
        spent = sum(record.elapsed or 0 for _, record in records)
        found[job] = latest.model_copy(update={"spent": spent})
    return found, problem


def _state(
    job: str,
    state: str,
    elapsed: int | None,
    reason: str,
    node: str,
    exit_code: str,
    resources: str,
    name: str,
) -> JobState:
    word = state_word(state)
    reason = "" if reason in ("None", "(null)", "N/A") else reason
    return JobState(
        job=job,
        state=word,
        live=word in LIVE and not (word == "PENDING" and reason == NEVER_STARTS),
        elapsed=elapsed,
        spent=elapsed or 0,
        reason=reason,
        node="" if node in ("None assigned", "(null)", "n/a") else node,
        exit_code=exit_code,
        gpus=gpu_number(resources),
        name=name,
    )


def as_ended(state: JobState) -> JobState:
    """An element that only sacct lists has ended; a "running" one was lost by the controller."""
    return state.model_copy(update={"live": False, "state": LOST}) if state.live else state


def joined(waiting: JobState, known: JobState | None) -> JobState:
    """What squeue says, with what only sacct knows."""
    if known is None:
        return waiting
    earlier = known.spent - (known.elapsed or 0)
    spent = max(known.spent, earlier + (waiting.elapsed or 0))
    update = {
        "spent": spent,
        "exit_code": known.exit_code,
        "gpus": max(waiting.gpus, known.gpus),
    }
    return waiting.model_copy(update=update)


def _lines(answer: Answer) -> tuple[list[str], str | None]:
    """The lines of an answer, and why there is none."""
    if answer.problem and "Invalid job id" in answer.errors:
        # said of ids that the controller has forgotten: an answer, not a failure
        return answer.output.splitlines(), None
    return ([], answer.problem) if answer.problem else (answer.output.splitlines(), None)
