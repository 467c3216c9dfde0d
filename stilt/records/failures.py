"""Failure records of runs for which no worker could write one: it died, or never started."""

import os
import socket
from datetime import UTC, datetime

from stilt.errors import ResultError
from stilt.folder import StudyFolder
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
    """Writes why a run has no result; its claim is left to the caller.

    Args:
        study: the study.
        folder: where it lives.
        item: the run's id.
        kind: class of the failure.
        message: one line.
        job: SLURM's element that ran it.
        host: machine that ran it; this one where absent.
        log: log file, relative to the study's folder.
    """
    run = study.runs[item]
    write_record(
        Failure(
            study=study.digest,
            cell=run.cell,
            source=run.source,
            kind=kind,
            message=" ".join(message.split())[:500],
            attempts=attempts(folder, item) + 1,
            host=host or this_host(),
            job=job,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            log=log,
        ),
        folder.failure(item),
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
