"""What a study still lacks: told from its files first, then from the jobs that hold claims."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from stilt import claims
from stilt.cell import digest
from stilt.errors import ResultError
from stilt.finished import trained
from stilt.plan import SYNTHESIS, Bundle, Plan
from stilt.results import read_result
from stilt.study import Study, StudyFolder

Lives = Callable[[claims.Claim], bool]


@dataclass(frozen=True)
class Outstanding:
    """What is done, held and missing in a study."""

    done: set[str] = field(default_factory=set)
    """Cells with a valid result."""
    held: set[str] = field(default_factory=set)
    """Cells, sources and ``synthesis`` that a live job holds."""
    missing: list[str] = field(default_factory=list)
    """Cells to submit, in the grid's order."""
    sources: set[str] = field(default_factory=set)
    """Sources with a valid record and weights."""
    synthesis: bool = False
    damaged: list[str] = field(default_factory=list)
    """Result files that are not what their name says; their cells are run again."""


def outstanding(
    study: Study, folder: StudyFolder, lives: Lives, only: Iterable[str] | None = None
) -> Outstanding:
    """Tells what is done, held by a live job, and missing.

    Args:
        study: the study.
        folder: where it lives.
        lives: whether a claim's job still lives.
        only: consider only these cells.
    """
    found = Outstanding(synthesis=(folder.synthesis() / "dev.jsonl").is_file())
    mark = study.digest()
    for source in study.sources:
        try:
            record = trained(study, folder, source)
        except ResultError as error:
            found.damaged.append(str(error))
            continue
        if record is not None and record.status == "ok":
            found.sources.add(source)
    for item in (SYNTHESIS, *study.sources):
        claim = claims.read(folder.claim(item))
        if claim is not None and lives(claim):
            found.held.add(item)
    wanted = set(study.cells) if only is None else set(only)
    for cell in study.cells.values():
        if cell.id not in wanted:
            continue
        try:
            if read_result(cell, mark, folder.result(cell.id)) is not None:
                found.done.add(cell.id)
                continue
        except ResultError as error:
            found.damaged.append(str(error))
        claim = claims.read(folder.claim(cell.id))
        if claim is not None and lives(claim):
            found.held.add(cell.id)
        else:
            found.missing.append(cell.id)
    return found


def lives_here(claim: claims.Claim) -> bool:
    """Whether a claim made without a scheduler is still held: by its process, on its machine.

    A claim of another machine that gave no sign for a day is taken to be dead.
    """
    alive = claims.process_lives(claim)
    if alive is None:
        return time.time() - (claim.updated or claim.started or claim.taken or 0) < 86_400
    return alive


def new_submission(executor: str) -> str:
    """A name for one submit: executor, host-independent and unique."""
    return f"{executor}-{time.strftime('%m%d%H%M%S')}-{uuid.uuid4().hex[:6]}"


def claim_bundles(plan: Plan, folder: StudyFolder, submission: str, lives: Lives) -> Plan:
    """Claims a plan's items; what somebody else claimed in the meantime is left out.

    Returns:
        The plan with the items that this submission now holds.
    """
    kept: list[Bundle] = []
    for planned in plan.bundles:
        # two submits at once plan the same bundle and get a part each: the parts must not share
        # the file that says what is in them
        bundle = planned.model_copy(update={"id": digest([submission, planned.id])})
        mine = [item for item in bundle.items if _claim(item, bundle, folder, submission, lives)]
        if mine:
            kept.append(bundle.model_copy(update={"items": tuple(mine)}))
    return Plan(bundles=tuple(kept))


def _claim(item: str, bundle: Bundle, folder: StudyFolder, submission: str, lives: Lives) -> bool:
    path = folder.claim(item)
    claim = claims.new_claim(item, submission, bundle.id)
    if claims.take(claim, path):
        return True
    there = claims.read(path)
    if there is not None and lives(there):
        return False
    # given back by now; or stale; or a damaged file, which would hold its cell for ever
    free = (there is None and not path.exists()) or claims.drop_stale(path, there)
    return free and claims.take(claim, path)


def release(folder: StudyFolder, submission: str, items: Iterable[str]) -> None:
    """Gives back what a submission claimed and did not run."""
    for item in items:
        claim = claims.read(folder.claim(item))
        if claim is not None and claim.submission == submission:
            folder.claim(item).unlink(missing_ok=True)


def holder() -> str:
    """Who claims: host and process, for messages."""
    return f"{socket.gethostname()}:{os.getpid()}"
