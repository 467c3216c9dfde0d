"""Failure records: why a run has no result yet, and how often it was tried."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.records.notices import tell
from stilt.records.results import Failure, FailureKind, SourceResult, read_record, write_record
from stilt.study import Study

TRIED_AGAIN: tuple[FailureKind, ...] = ("node", "killed")
"""What is most often run once more by itself, and so no news at first."""


def record_failure(
    study: Study, folder: StudyFolder, item: str, kind: FailureKind, message: str, **known: Any
) -> None:
    """Writes why a run has no result; its claim is left to the caller.

    ``known`` are other fields of the record, as far as they are known: ``job`` (SLURM's element
    that ran it), ``host`` (this machine where absent), ``log`` (relative to the study's folder),
    ``traceback``, ``attempts`` (one more than before where absent), ``memory`` (MB that its job
    had; kept where memory ran out).
    """
    run = study.runs[item]
    before = read_failure(folder.failure(item))
    memory = known.pop("memory", None)
    times = out_of_memory(folder, item, memory if kind == "oom" else None)
    fields = {
        "attempts": attempts(folder, item) + 1,
        "out_of_memory": times + (kind == "oom"),
        "memory": memory if kind == "oom" else before and before.memory,
        "host": this_host(),
        "job": None,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    record = Failure(
        study=study.digest,
        cell=run.cell,
        source=run.source,
        kind=kind,
        message=" ".join(message.split())[:500],
        **fields | {name: value for name, value in known.items() if value is not None},
    )
    write_record(record, folder.failure(item))
    if kind not in TRIED_AGAIN or record.attempts > 1:
        # not the message: it may quote a row
        said = f"study {study.name}: {run.title} failed ({kind}), the first of this submit"
        tell(folder, "failed", said)


def this_host() -> str:
    """This machine by SLURM's name for it, by which jobs are kept off it, or else by its own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def attempts(folder: StudyFolder, item: str) -> int:
    """How often an item has failed since it last succeeded."""
    record = read_failure(folder.failure(item))
    return record.attempts if record else 0


def out_of_memory(folder: StudyFolder, item: str, memory: int | None = None) -> int:
    """How often memory ran out under an item since it last succeeded, or last had less of it.

    ``memory`` is what its job has now, in MB, where that is known.
    """
    record = read_failure(folder.failure(item))
    if record is None or (memory is not None and memory > (record.memory or 0)):
        return 0
    # earlier versions counted all attempts together
    return record.out_of_memory or (record.attempts if record.kind == "oom" else 0)


def read_failure(path: Path) -> Failure | None:
    """Reads a failure record; None where there is none or it is damaged."""
    try:
        return read_record(Failure, path)
    except ResultError:
        return None


def reason(folder: StudyFolder, item: str) -> str | None:
    """Why an item is of no use to what waits for it, as ``kind: message``; None if nothing says."""
    record = read_failure(folder.failure(item))
    if record is not None:
        return f"{record.kind}: {record.message}"
    try:
        trained = read_record(SourceResult, folder.source(item) / "result.json")
    except ResultError:
        return None
    if trained is not None and trained.status == "diverged":
        return "diverged: its weights are of no use"
    return None
