"""Records why jobs that held claims are gone, and frees what they held."""

from typing import get_args

from jobs.settings import read_assignment
from launcher.scheduler.live_claims import read_claims
from launcher.scheduler.liveness import ClaimLiveness
from launcher.scheduler.reasons import Reason, reason_of_end
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.failures import read_failure, reason, record_failure
from stilt.records.finished import finished
from stilt.records.results import FailureKind
from stilt.study import Study

FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)


def record_lost_jobs(study: Study, folder: StudyFolder, liveness: ClaimLiveness) -> dict[str, str]:
    """Frees every item that a dead SLURM job holds, with a failure record where there is a reason.

    An item gets a record if its job ended while it ran, if it ended before it ran anything, or if
    it never started because the source that it waited for has failed. Other items that were not
    begun are merely missing.

    Args:
        study: the study.
        folder: where it lives.
        liveness: one look at the scheduler.

    Returns:
        Item -> why it was lost.
    """
    lost: dict[str, str] = {}
    dead = [
        claim
        for claim in read_claims(folder)
        if claim.item in study.runs and claim.on_slurm and not liveness.lives(claim)
    ]
    begun = {claim.bundle for claim in dead if claim.running}
    for claim in dead:
        job = liveness.job(claim)
        told = _told(study, folder, claim, liveness, claim.bundle in begun)
        if not claims.drop_stale(folder.claim(claim.item), claim) or told is None:
            continue
        kind, message = told
        log = folder.slurm / f"{claim.job}_0_log.out"
        record_failure(
            study,
            folder,
            claim.item,
            kind,
            message,
            job=liveness.element(claim),
            memory=_memory(folder, claim),
            host=(job.node if job else "") or (claim.host if claim.running else None),
            log=str(log.relative_to(folder.path)) if log.is_file() else None,
        )
        lost[claim.item] = f"{kind}: {message}"
    return lost


def _memory(folder: StudyFolder, claim: claims.Claim) -> int | None:
    """MB that a claim's job had, as its submit wrote it down; None where that is not known."""
    try:
        return read_assignment(folder, claim.bundle).settings.memory
    except (ConfigError, FileNotFoundError):
        return None


def bad_nodes(folder: StudyFolder) -> list[str]:
    """Nodes that broke under items which still have no result: a new job keeps away from them."""
    found = set()
    for path in folder.failures.glob("*.json"):
        record = read_failure(path)
        if record is not None and record.kind == "node" and record.job is not None:
            found.add(record.host)
    return sorted(found)


def _told(
    study: Study, folder: StudyFolder, claim: claims.Claim, liveness: ClaimLiveness, begun: bool
) -> tuple[FailureKind, str] | None:
    """Why an item of a dead job has no result; None where there is nothing to record."""
    if claim.item not in study.runs or finished(study, folder, claim.item):
        return None
    job = liveness.job(claim)
    if job is not None and job.state == "COMPLETED":
        # the element ended well without this one: it is merely missing
        return None
    end = reason_of_end(folder, liveness, claim)
    if claim.running:
        return _recorded(end)
    needs = study.runs[claim.item].needs
    missing = [need for need in needs if not finished(study, folder, need)]
    if not missing:
        # "source": SLURM dropped what waited for a job that did not end well, and the source is
        # there all the same
        if begun or job is None or end.kind == "source":
            return None
        return _recorded(end)
    need = missing[0]
    why = reason(folder, need)
    if why is None and not (job and "Dependency" in job.reason):
        return None
    return "source", f"its {study.runs[need].title} failed: {why or 'its job did not succeed'}"


def _recorded(end: Reason) -> tuple[FailureKind, str] | None:
    """A reason as a record has it, in the same word; None for what says nothing against a run."""
    kind = next((kind for kind in FAILURE_KINDS if kind == end.kind), None)
    return None if kind is None else (kind, end.text)
