"""What a study still lacks: told from its files first, then from the jobs that hold claims."""

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.plan import SYNTHESIS
from stilt.records import claims
from stilt.records.finished import trained
from stilt.records.results import read_result
from stilt.study import Study

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
            if read_result(cell, study.digest, folder.result(cell.id)) is not None:
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


def holder() -> str:
    """Who claims: host and process, for messages."""
    return f"{socket.gethostname()}:{os.getpid()}"
