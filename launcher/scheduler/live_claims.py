"""Who holds what of a study right now: claims by array element, and by process of this machine."""

import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, field

from launcher.scheduler.liveness import ClaimLiveness
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.slurm.words import NEVER_STARTS
from stilt.system.units import counted


@dataclass(frozen=True)
class Process:
    """A launcher's pool, or a worker that lost its pool."""

    pid: int
    host: str


@dataclass
class LiveClaims:
    """The live claims of a study."""

    liveness: ClaimLiveness
    elements: dict[str, list[claims.Claim]] = field(default_factory=dict)
    """Array element -> its claims; also elements that are in the queue and hold nothing."""
    processes: dict[Process, list[claims.Claim]] = field(default_factory=dict)
    away: list[claims.Claim] = field(default_factory=list)
    """Claims of another cluster's jobs, which can be neither asked for nor ended here."""
    unsure: list[claims.Claim] = field(default_factory=list)
    """Claims of jobs of which nothing is known, because SLURM does not answer."""

    @property
    def live(self) -> bool:
        """Whether anything is held at all."""
        return bool(self.elements or self.processes or self.away or self.unsure)

    def beyond_reach(self, wanted: Collection[str] | None = None) -> list[str]:
        """What cannot be ended here, and what to do about it, in a sentence each.

        Args:
            wanted: items that matter; all where None.
        """
        away, unsure = (
            sum(wanted is None or claim.item in wanted for claim in some)
            for some in (self.away, self.unsure)
        )
        said = []
        if away:
            where = self.liveness.away or "that an earlier version sent to another cluster"
            said.append(f"{counted(away, 'run')} held by jobs {where}: cancel them there")
        if unsure:
            said.append(
                f"{counted(unsure, 'run')} that jobs may hold, and SLURM does not answer "
                f"({self.liveness.unanswered}): try again when it does"
            )
        return said

    def waits(self, element: str) -> bool:
        """Whether an element is in the queue and has not begun."""
        job = self.liveness.scheduler.job(element)
        began = any(claim.running for claim in self.elements[element])
        return not began and job is not None and job.state == "PENDING"

    def local(self, wanted: set[str]) -> dict[Process, list[claims.Claim]]:
        """Processes that hold any of some items."""
        return {
            process: found
            for process, found in self.processes.items()
            if any(claim.item in wanted or not wanted for claim in found)
        }


def read_live_claims(folder: StudyFolder) -> LiveClaims:
    """Reads the claims and asks SLURM where one of its jobs may hold something."""
    liveness = ClaimLiveness(folder)
    held = LiveClaims(liveness)
    for claim in read_claims(folder):
        if not liveness.lives(claim):
            continue
        if not claim.on_slurm:
            held.processes.setdefault(_pool(claim), []).append(claim)
            continue
        element, job = liveness.element(claim), liveness.job(claim)
        if job is None and not liveness.can_be_asked_for(claim):
            # a job of the same number here is another one
            (held.away if liveness.here else held.unsure).append(claim)
        elif element is not None:
            # squeue's name for the only element of array 12 is ``12``
            held.elements.setdefault(job.job if job else element, []).append(claim)
    for job in liveness.scheduler.jobs.values():
        if job.live or (job.state == "PENDING" and job.reason == NEVER_STARTS):
            held.elements.setdefault(job.job, [])
    return held


def read_claims(folder: StudyFolder) -> list[claims.Claim]:
    """Every whole claim of a study."""
    paths = sorted(folder.claims.glob("[!.]*.json"))
    return [claim for path in paths if (claim := claims.read(path)) is not None]


def _pool(claim: claims.Claim) -> Process:
    """The launcher that a local claim's process belongs to, or that process itself."""
    parent = ""
    if claim.running and claims.process_lives(claim) is not None:
        parent = ps("ppid", claim.pid)
    own = not parent.isdigit() or int(parent) in (0, 1, os.getpid())
    if own or "submit" not in ps("command", int(parent)):
        return Process(claim.pid, claim.host)
    return Process(int(parent), claim.host)


def ps(column: str, pid: int) -> str:
    """What ps prints of a process in one column; empty where there is none, or no ps."""
    command = ["ps", "-o", f"{column}=", "-p", str(pid)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return run.stdout.strip()
