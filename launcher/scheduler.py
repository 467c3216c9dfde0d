"""What SLURM says about a study's jobs: squeue and sacct, each of which may be absent or down.

squeue knows what waits and runs, but forgets a job minutes after its end; sacct remembers ends, but
not every cluster has it, and it does not list elements that have not started (seen with 22.05).
So: what squeue lists is so; what only sacct lists has ended, whatever its last word was.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from launcher.outstanding import lives_here
from launcher.slurmwords import LIVE, NEVER, expand, gpu_number, seconds, state_word
from launcher.submissions import Submission, read_submissions
from stilt import claims
from stilt.config import Frozen
from stilt.study import StudyFolder

TIMEOUT_SECONDS = 30
"""For one call of squeue or sacct; a controller that answers later is taken to be down."""
INTENT_SECONDS = 120
"""Time that sbatch has to show a job, after the launcher wrote that it is about to call it."""

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


@dataclass(frozen=True)
class Scheduler:
    """One look at the scheduler."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    squeue: str | None = None
    """Why squeue did not answer; None where it did."""
    sacct: str | None = None
    """Why sacct did not answer; None where it did."""

    @property
    def answers(self) -> bool:
        """Whether anybody answered."""
        return self.squeue is None or self.sacct is None

    def job(self, element: str) -> JobState | None:
        """State of an element.

        The bare job id stands for the only element of an array of one, and for all elements that
        were cancelled before they were told apart: squeue then lists ``123`` (seen with 22.05).
        """
        return self.jobs.get(element) or self.jobs.get(element.partition("_")[0])


def ask(submissions: Sequence[Submission]) -> Scheduler:
    """Asks SLURM about the jobs of submissions, by job name: ids that nobody noted are found too.

    Args:
        submissions: lines of submissions.jsonl; those of other executors are passed over.
    """
    mine = [line for line in submissions if line.submission.startswith("slurm-")]
    if not mine:
        return Scheduler()
    names = sorted({line.name for line in mine})
    since = min(line.time for line in mine)
    # sacct first: a job that ends in between is then in squeue's list, not in neither
    ended, no_sacct = _sacct(names, since)
    waiting, no_squeue = _squeue(names)
    if no_squeue is None:
        ended = {job: _gone(state) for job, state in ended.items()}
    jobs = ended | {job: _joined(state, ended.get(job)) for job, state in waiting.items()}
    return Scheduler(jobs=jobs, squeue=no_squeue, sacct=no_sacct)


def states(submissions: Sequence[Submission]) -> dict[str, JobState] | None:
    """State of every known element of submissions; None where SLURM cannot be asked."""
    seen = ask(submissions)
    return seen.jobs if seen.answers else None


class Holders:
    """Tells which claims of a study are still held; asks SLURM once, and only if it must.

    Built anew for every look: it does not follow the jobs.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder

    @cached_property
    def submissions(self) -> list[Submission]:
        """The study's arrays and intents."""
        return read_submissions(self.folder)

    @cached_property
    def scheduler(self) -> Scheduler:
        """SLURM's answer about all of them."""
        return ask(self.submissions)

    @property
    def asked(self) -> bool:
        """Whether SLURM had to be asked."""
        return "scheduler" in self.__dict__

    @cached_property
    def elements(self) -> dict[tuple[str, str], str]:
        """(submission, bundle) -> the array element that runs it."""
        return {
            (line.submission, bundle): element
            for line in self.submissions
            for element, bundles in line.elements().items()
            for bundle in bundles
        }

    def element(self, claim: claims.Claim) -> str | None:
        """The array element that a claim belongs to, where known."""
        return claim.job or self.elements.get((claim.submission, claim.bundle))

    def job(self, claim: claims.Claim) -> JobState | None:
        """What SLURM says about a claim's element."""
        element = self.element(claim)
        return self.scheduler.job(element) if element else None

    def lives(self, claim: claims.Claim) -> bool:
        """Whether a claim's job runs or can still run.

        In doubt it does: a cell held for nothing costs a look, a cell run twice costs its result.
        """
        if not claim.submission.startswith("slurm-"):
            return lives_here(claim)
        known = self.job(claim)
        if known is not None:
            return known.live
        if self.scheduler.squeue is not None:
            # sacct does not list what has not started, so its silence says nothing
            return True
        if self.element(claim) is None:
            return self._unrecorded(claim)
        return self._just_submitted(claim.submission)

    def _unrecorded(self, claim: claims.Claim) -> bool:
        """A claim whose array nobody noted: the launcher is at it, or died between two steps."""
        lines = [line for line in self.submissions if line.submission == claim.submission]
        noted = {line.array for line in lines if line.array}
        name = f"stilt-{claim.submission}"
        for job in self.scheduler.jobs.values():
            if job.live and job.name == name and job.job.partition("_")[0] not in noted:
                return True
        if not claim.running and claims.process_lives(claim):
            return True
        return self._just_submitted(claim.submission) or (not lines and self._young(claim))

    def _just_submitted(self, submission: str) -> bool:
        ages = [line.age() for line in self.submissions if line.submission == submission]
        return bool(ages) and min(ages) < INTENT_SECONDS

    def _young(self, claim: claims.Claim) -> bool:
        """Before any line is written, the claim's own file tells its age."""
        try:
            written = self.folder.claim(claim.item).stat().st_mtime
        except FileNotFoundError:
            return False
        return time.time() - written < INTENT_SECONDS


def lives(folder: StudyFolder) -> Callable[[claims.Claim], bool]:
    """Tells which claims of a study are held by a live job; SLURM is asked at the first call."""
    return Holders(folder).lives


_QUEUE = ("%i", "%T", "%M", "%r", "%N", "%b", "%j")
_ACCOUNT = "JobID,State,ElapsedRaw,Reason,NodeList,ExitCode,AllocTRES,JobName,Submit"


def _squeue(names: list[str]) -> tuple[dict[str, JobState], str | None]:
    command = ["squeue", "--array", "--noheader", "--states=all"]
    lines, problem = _call([*command, f"--name={','.join(names)}", f"--format={'|'.join(_QUEUE)}"])
    found: dict[str, JobState] = {}
    for line in lines:
        fields = line.strip().split("|")
        if len(fields) != len(_QUEUE):
            continue
        ids, state, elapsed, reason, node, tres, name = fields
        for job in expand(ids):
            found[job] = _state(job, state, seconds(elapsed), reason, node, "", tres, name)
    return found, problem


def _sacct(names: list[str], since: datetime) -> tuple[dict[str, JobState], str | None]:
    # a day earlier, because clocks differ; in the scheduler's local time, which it expects
    start = (since.astimezone() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    command = ["sacct", "--parsable2", "--noheader", "--allocations", "--allusers", "--duplicates"]
    lines, problem = _call(
        [*command, f"--starttime={start}", f"--name={','.join(names)}", f"--format={_ACCOUNT}"]
    )
    attempts: dict[str, list[tuple[str, JobState]]] = {}
    for line in lines:
        fields = line.split("|")
        if len(fields) != len(_ACCOUNT.split(",")):
            continue
        ids, state, elapsed, reason, node, code, tres, name, submitted = fields
        for job in expand(ids):
            # sacct keeps the reason for which a job once waited, also after it ran
            why = reason if reason == NEVER else ""
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
        live=word in LIVE and not (word == "PENDING" and reason == NEVER),
        elapsed=elapsed,
        spent=elapsed or 0,
        reason=reason,
        node="" if node in ("None assigned", "(null)", "n/a") else node,
        exit_code=exit_code,
        gpus=gpu_number(resources),
        name=name,
    )


def _gone(state: JobState) -> JobState:
    """An element that only sacct lists has ended; a "running" one was lost by the controller."""
    return state.model_copy(update={"live": False, "state": LOST}) if state.live else state


def _joined(queued: JobState, accounted: JobState | None) -> JobState:
    """What squeue says, with what only sacct knows."""
    if accounted is None:
        return queued
    earlier = accounted.spent - (accounted.elapsed or 0)
    spent = max(accounted.spent, earlier + (queued.elapsed or 0))
    update = {
        "spent": spent,
        "exit_code": accounted.exit_code,
        "gpus": max(queued.gpus, accounted.gpus),
    }
    return queued.model_copy(update=update)


def _call(command: list[str]) -> tuple[list[str], str | None]:
    """Runs a command of SLURM; its lines, and why there is no answer."""
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        return [], f"{command[0]} is not installed here"
    except PermissionError:
        return [], f"{command[0]} may not be run"
    except subprocess.TimeoutExpired:
        return [], f"{command[0]} did not answer in {TIMEOUT_SECONDS} s"
    if run.returncode == 0:
        return run.stdout.splitlines(), None
    if "Invalid job id" in run.stderr:
        # said of ids that the controller has forgotten: an answer, not a failure
        return run.stdout.splitlines(), None
    said = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    return [], f"{command[0]} failed: {said[-1] if said else f'exit code {run.returncode}'}"[:200]
