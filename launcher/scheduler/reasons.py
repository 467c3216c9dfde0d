"""Why a job ended without a result, as far as SLURM's words and the log's end tell."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from launcher.scheduler.job_states import LOST, JobState
from launcher.scheduler.liveness import ClaimLiveness
from launcher.scheduler.logs import log_end, log_files
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.results import FailureKind
from stilt.slurm.words import NEVER_STARTS
from stilt.system.invocation import spelled
from stilt.system.units import span

Kind = FailureKind | Literal["preempted", "cancelled", "launcher", "dropped", "diverged", "damaged"]
"""Why an item has no result: classes of failure records, and what only the launcher can tell."""
ADVICE: dict[Kind, str] = {
    "timeout": "submit again: it goes on where it was",
    "oom": "submit again: in smaller passes, or as it was with more memory: --memory 64G",
    "killed": "submit again: it goes on where it was",
    "node": "submit again",
    "preempted": "submit again: it goes on where it was",
    "cancelled": "submit again",
    "source": "see why its source failed, then submit again",
    "data": "mend the data, then submit again",
    "model": "put the model right (what is wrong stands beside it), then submit again",
    "folder": "let all nodes see it: a --root and a Python environment on a file system that they "
    "share; then submit again",
    "disk": "make room ({clean} {study}), then submit again",
    "launcher": "submit again",
    "dropped": "submit again",
    "lost": "submit again",
    "diverged": "its cells cannot be run: give this source another seed",
    "damaged": "submit again: it is run anew",
    "bug": "see: {status} why {item}",
}
"""What a person can do, by class of failure; see ``advice``."""

_BY_STATE: dict[str, tuple[Kind, str]] = {
    "TIMEOUT": ("timeout", "the time limit was reached"),
    "DEADLINE": ("timeout", "the job's deadline was reached"),
    "OUT_OF_MEMORY": ("oom", "the job used more memory than it had asked for"),
    "NODE_FAIL": ("node", "its node failed"),
    "BOOT_FAIL": ("node", "its node did not start"),
    "LAUNCH_FAILED": ("node", "its node could not start the job"),
    "PREEMPTED": ("preempted", "a job of higher priority took its place"),
    "CANCELLED": ("cancelled", "somebody cancelled it"),
    "REVOKED": ("cancelled", "the job was revoked"),
    LOST: ("node", "SLURM lost the job: accounting has it running, the controller knows nothing"),
}
_UNSEEN = "0:53"
"""Exit code of a job whose node cannot open its log; squeue calls it JobLaunchFailure (22.05)."""
_BY_LOG: tuple[tuple[str, Kind, str], ...] = (
    (r"DUE TO TIME LIMIT", "timeout", "the time limit was reached"),
    (r"oom.?kill|Out Of Memory|OUT_OF_MEMORY", "oom", "the job used more memory than it had"),
    (r"DUE TO NODE FAILURE", "node", "its node failed"),
    (r"DUE TO PREEMPTION", "preempted", "a job of higher priority took its place"),
    (r"CANCELLED AT", "cancelled", "somebody cancelled it"),
    (r"No space left on device|Disk quota exceeded", "disk", "the disk is full"),
    (r"execve\(\): \S+: No such file", "folder", "its node does not see the Python environment"),
    (r"Input/output error|Read-only file system", "disk", "the disk does not take what is written"),
    (r"CUDA out of memory|OutOfMemoryError", "oom", "the GPU's memory was full"),
    (
        r"asked to stop; the state is saved\s*\Z",
        "cancelled",
        "it was asked to stop, and saved its state",
    ),
)
"""What slurmstepd, the kernel and Python write last; tried with SLURM 22.05 where it is theirs."""

_SILENT = "squeue, sacct and its log name no error"

_KILLED: tuple[Kind, str] = ("killed", "signal 9 killed it; nothing says that memory ran out")

WITHDRAWN: tuple[Kind, ...] = ("cancelled", "preempted", "launcher")
"""Classes that say nothing against an item: it was merely not run to its end."""


def advice(kind: Kind, item: str, study: str) -> str:
    """Says what a person can do about a failure of ``item``, an id of a study as she types them."""
    commands = {name: spelled(name) for name in ("clean", "status")}
    return ADVICE[kind].format(**commands, item=item, study=study)


@dataclass(frozen=True)
class Reason:
    """Class and text of a failure."""

    kind: Kind
    text: str


def died(
    job: JobState | None, log_end: str, *, begun: bool, where: str, logs: Path | None = None
) -> Reason:
    """Why an item whose job is gone has neither result nor failure record.

    Args:
        job: what SLURM says about the job; None where it knows nothing, or was not asked.
        log_end: last lines of the job's log.
        begun: whether the item itself had begun.
        where: the job or process, in words.
        logs: folder that the job's log was to be written in.
    """
    how = "died with no result" if begun else "ended before this one began"
    told = (
        _told_by_slurm(job, logs)
        if job is not None
        else ("lost", f"nobody says how: {_SILENT if logs else 'its log names no error'}")
    )
    if told[0] in ("bug", "lost", "killed"):
        # "it failed" is less than what Python said last
        told = _told_by_log(log_end) or told
    if told[0] in ("bug", "lost") and job is not None and job.exit_code.startswith("9:"):
        # so srun tells of a task that signal 9 ended, beside the word in its log
        told = _KILLED if re.search(r"\bKilled\b", log_end) else told
    said = ""
    if job is not None:
        after = f" after {span(job.elapsed)}" if job.elapsed else ""
        said = f"{job.state}{after}{f' on {job.node}' if job.node else ''}: "
    return Reason(told[0], f"{where} {how}: {said}{told[1]}")


def reason_of_end(folder: StudyFolder, liveness: ClaimLiveness, claim: claims.Claim) -> Reason:
    """Why a claim of SLURM's executor has lost its job: by SLURM's words, or else by the log.

    Args:
        folder: the study's folder, with the log.
        liveness: one look at the scheduler.
        claim: the claim.
    """
    element = liveness.element(claim)
    logs = log_files(folder, element=element, bundles=(claim.bundle,))
    where = f"job {element}" if element else "its launcher died before SLURM took its job, which"
    job = liveness.job(claim)
    if job is None and element and not logs:
        where += " (forgotten by SLURM)"
    place = folder.slurm.resolve()
    return died(job, log_end(logs), begun=claim.running, where=where, logs=place)


def _told_by_slurm(job: JobState, logs: Path | None) -> tuple[Kind, str]:
    if job.reason == NEVER_STARTS:
        return "source", f"{NEVER_STARTS}: what it waits for has failed, so it can never start"
    if job.state in _BY_STATE:
        return _BY_STATE[job.state]
    unsaid = job.state == "FAILED" and job.reason == "JobLaunchFailure" and not job.exit_code
    if job.exit_code == _UNSEEN or unsaid:
        place = f"the folder of its log, {logs}" if logs else "its folder"
        return "folder", (
            f"its node could not open {place}: is it on a file system that the nodes share, and "
            f"writable there? (SLURM says {job.exit_code or job.reason})"
        )
    code, _, signal = job.exit_code.partition(":")
    if signal == "9" or code == "137":
        return _KILLED
    if signal.isdigit() and int(signal):
        return "bug", f"signal {signal} ended it"
    if job.state == "COMPLETED":
        return "bug", "the job says all is well, but wrote nothing"
    return "bug", f"exit code {code}" if code.isdigit() and int(code) else "it failed"


def _told_by_log(log_end: str) -> tuple[Kind, str] | None:
    for pattern, kind, text in _BY_LOG:
        if re.search(pattern, log_end, re.IGNORECASE):
            return kind, text
    errors = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*$", log_end, re.MULTILINE)
    return ("bug", errors[-1].strip()[:300]) if errors else None
