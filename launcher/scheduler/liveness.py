"""Which claims of a study are still held: its ledger, squeue and sacct together.

squeue knows what waits and runs, but forgets a job minutes after its end; sacct remembers ends, but
not every cluster has it, and it does not list elements that have not started (seen with 22.05).
So: what squeue lists is so; what only sacct lists has ended, whatever its last word was.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from launcher.cluster.controller import Controller, ask_controller
from launcher.scheduler.job_states import LOST, JobState, accounted, joined, queued
from launcher.scheduler.ledger import Ledger, LedgerLine, job_name, read_ledger
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.claims import lives_here

INTENT_SECONDS = 120
"""Time that sbatch has to show a job, after the launcher wrote that it is about to call it."""


@dataclass(frozen=True)
class Scheduler:
    """One look at the scheduler."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    squeue_problem: str | None = None
    """Why squeue did not answer; None where it did."""
    sacct_problem: str | None = None
    """Why sacct did not answer; None where it did."""

    def job(self, element: str) -> JobState | None:
        """State of an element.

        The bare job id stands for the only element of an array of one, and for all elements that
        were cancelled before they were told apart: squeue then lists ``123`` (seen with 22.05).
        """
        return self.jobs.get(element) or self.jobs.get(element.partition("_")[0])


def query_jobs(lines: Sequence[LedgerLine]) -> Scheduler:
    """Asks SLURM about a study's jobs, by job name: ids that nobody noted are found too.

    Args:
        lines: the study's ledger; lines of local submits are passed over.
    """
    mine = [line for line in lines if line.on_slurm]
    if not mine:
        return Scheduler()
    names = sorted({line.name for line in mine})
    since = min(line.time for line in mine)
    # sacct first: a job that ends in between is then in squeue's list, not in neither
    known, no_sacct = accounted(names, since)
    waiting, no_squeue = queued(names)
    if no_squeue is None:
        # what only sacct lists has ended; of what it has running, the controller lost track
        lost = {"live": False, "state": LOST}
        known = {job: s.model_copy(update=lost) if s.live else s for job, s in known.items()}
    both = {job: joined(waiting[job], known[job]) for job in waiting.keys() & known.keys()}
    return Scheduler(jobs=known | waiting | both, squeue_problem=no_squeue, sacct_problem=no_sacct)


class ClaimLiveness:
    """Tells which claims of a study are still held; asks SLURM once, and only if it must.

    Built anew for every look: it does not follow the jobs.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder

    @cached_property
    def ledger(self) -> Ledger:
        """The study's ledger."""
        return read_ledger(self.folder)

    @property
    def lines(self) -> list[LedgerLine]:
        """Its lines."""
        return self.ledger.lines

    @cached_property
    def scheduler(self) -> Scheduler:
        """SLURM's answer about all of them."""
        return query_jobs(self.lines)

    @property
    def asked(self) -> bool:
        """Whether SLURM had to be asked."""
        return "scheduler" in self.__dict__

    @cached_property
    def elements(self) -> dict[tuple[str, str], str]:
        """(submission, bundle) -> the array element that runs it."""
        return {
            (line.submission, bundle): element
            for line in self.lines
            for element, bundle in line.elements().items()
        }

    def element(self, claim: claims.Claim) -> str | None:
        """The array element that a claim belongs to, where known."""
        return claim.job or self.elements.get((claim.submission, claim.bundle))

    def job(self, claim: claims.Claim) -> JobState | None:
        """What SLURM says about a claim's element."""
        element = self.element(claim)
        job = self.scheduler.job(element) if element else None
        # numbers of jobs are used again
        return job if job and job.name in ("", job_name(claim.submission)) else None

    @cached_property
    def cluster(self) -> str | None:
        """The cluster that the study belongs to: the first that its ledger names; else None."""
        return next((line.cluster for line in self.lines if line.cluster), None)

    @cached_property
    def controller(self) -> Controller:
        """What answers here."""
        return ask_controller()

    @property
    def here(self) -> str | None:
        """The cluster whose controller answers here; None where none says its name."""
        return self.controller.cluster

    @property
    def at_home(self) -> bool | None:
        """Whether SLURM here has the study's jobs; None where it does not say its name."""
        if self.cluster is None:
            return True
        return None if self.here is None else self.here == self.cluster

    @property
    def away(self) -> str:
        """Where the study's jobs are, if that is another cluster than the one here; else empty."""
        if self.at_home is not False:
            return ""
        return f"on cluster {self.cluster}, and SLURM here is cluster {self.here}"

    @property
    def unanswered(self) -> str:
        """Why nothing here tells whether the study's jobs live; empty where something does."""
        if self.scheduler.squeue_problem is not None:
            return self.scheduler.squeue_problem
        if self.at_home is None:
            return self.controller.problem or "scontrol does not say which cluster this is"
        return ""

    def lives(self, claim: claims.Claim) -> bool:
        """Whether a claim's job runs or can still run.

        In doubt it does: a cell held for nothing costs a look, a cell run twice costs its result.
        """
        if not claim.on_slurm:
            return lives_here(claim) or self._pool_lives(claim)
        known = self.job(claim)
        if known is not None:
            return known.live
        if self.scheduler.squeue_problem is not None or not self.can_be_asked_for(claim):
            # sacct does not list what has not started, so its silence says nothing
            return True
        if self.element(claim) is None:
            return self._unrecorded(claim)
        return self._just_submitted(claim)

    def _pool_lives(self, claim: claims.Claim) -> bool:
        """Whether another machine's pool still works: only what runs renews its claim."""
        sign = self._signs.get(claim.submission, 0.0)
        return claims.process_lives(claim) is None and time.time() - sign < claims.SILENT_SECONDS

    @cached_property
    def _signs(self) -> dict[str, float]:
        """Submission -> when one of its claims last gave a sign of life."""
        found: dict[str, float] = {}
        for path in self.folder.claims.glob("[!.]*.json"):
            if there := claims.read(path):
                found[there.submission] = max(there.sign, found.get(there.submission, 0.0))
        return found

    def _lines_of(self, claim: claims.Claim) -> list[LedgerLine]:
        """The ledger's lines of the submission that made a claim."""
        return [line for line in self.lines if line.submission == claim.submission]

    def can_be_asked_for(self, claim: claims.Claim) -> bool:
        """Whether SLURM here has a claim's job: earlier versions sent one study to two clusters."""
        lines = self._lines_of(claim)
        named = next((line.cluster for line in lines if line.cluster), self.cluster)
        return named is None or named == self.here

    def _unrecorded(self, claim: claims.Claim) -> bool:
        """A claim whose array nobody noted: the launcher is at it, or died between two steps."""
        lines = self._lines_of(claim)
        noted = {line.array for line in lines if line.array}
        name = job_name(claim.submission)
        for job in self.scheduler.jobs.values():
            if job.live and job.name == name and job.job.partition("_")[0] not in noted:
                return True
        if not claim.running and claims.process_lives(claim):
            return True
        return self._just_submitted(claim) or (not lines and self._young(claim))

    def _just_submitted(self, claim: claims.Claim) -> bool:
        return any(line.age() < INTENT_SECONDS for line in self._lines_of(claim))

    def _young(self, claim: claims.Claim) -> bool:
        """Before any line is written, the claim's own file tells its age."""
        try:
            written = self.folder.claim(claim.item).stat().st_mtime
        except FileNotFoundError:
            return False
        return time.time() - written < INTENT_SECONDS
