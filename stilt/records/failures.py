"""Failure records for items that no worker could write one for: it died, or never started."""

import os
import socket
from datetime import UTC, datetime

from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.plan import SYNTHESIS
from stilt.records.results import Failure, FailureKind, SourceResult, read_record, write_record
from stilt.study import Study


def record_loss(
    study: Study,
    folder: StudyFolder,
    item: str,
    kind: FailureKind,
    message: str,
    *,
    job: str | None = None,
    host: str | None = None,
    log: str | None = None,
) -> None:
    """Writes why an item has no result; who holds the item is left to the caller.

    Args:
        study: the study.
        folder: where it lives.
        item: cell or source id, or ``synthesis``.
        kind: class of the failure.
        message: one line.
        job: SLURM's element that ran it.
        host: machine that ran it; this one where absent.
        log: log file, relative to the study's folder.
    """
    path = folder.failure(item)
    write_record(
        Failure(
            study=study.digest,
            cell=study.cells.get(item),
            source=study.sources.get(item),
            kind=kind,
            message=" ".join(message.split())[:500],
            attempts=attempts(folder, item) + 1,
            host=host or this_host(),
            job=job,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            log=log,
        ),
        path,
    )


def this_host() -> str:
    """This machine by SLURM's name for it, by which jobs are kept off it, or else by its own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def attempts(folder: StudyFolder, item: str) -> int:
    """How often an item has failed since it last succeeded."""
    try:
        record = read_record(Failure, folder.failure(item))
    except ResultError:
        return 0
    return record.attempts if record else 0


def reason(folder: StudyFolder, item: str) -> str | None:
    """Why an item is of no use to what waits for it, as ``kind: message``; None if nothing says."""
    try:
        record = read_record(Failure, folder.failure(item))
        trained = read_record(SourceResult, folder.source(item) / "result.json")
    except ResultError:
        return None
    if record is not None:
        return f"{record.kind}: {record.message}"
    if trained is not None and trained.status == "diverged":
        return "diverged: its weights are of no use"
    return None


def item_name(study: Study, item: str) -> str:
    """What an item is called in messages."""
    if item in study.sources:
        return f"source {study.sources[item].name}"
    return "SynthesisGPT2" if item == SYNTHESIS else item


def dependants(study: Study, need: str) -> list[str]:
    """Sources and cells that cannot be run without a source, or without the generated rows."""
    if need != SYNTHESIS:
        return [cell.id for cell in study.cells.values() if cell.source_id == need]
    generated = {name for name, task in study.tasks.items() if task.synthesis}
    sources = [source.id for source in study.sources.values() if source.task in generated]
    return sources + [
        cell.id
        for cell in study.cells.values()
        if cell.target in generated or cell.source_id in sources
    ]


def needed(study: Study, item: str) -> list[str]:
    """What an item waits for: its source, ``synthesis``, both or nothing."""
    cell, source = study.cells.get(item), study.sources.get(item)
    found = [cell.source_id] if cell is not None and cell.source_id is not None else []
    task = cell.target if cell else source.task if source else None
    return found + [SYNTHESIS] * bool(task and study.tasks[task].synthesis)
