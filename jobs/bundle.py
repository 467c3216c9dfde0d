"""What one array element does: its bundle's items, one after the other, each recorded as it ends.

Run by the local executor as ``python -m jobs.bundle STUDY_FOLDER BUNDLE``.
"""

import os
import signal
import socket
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import torch

from jobs.run_cell import run_cell, run_source
from jobs.settings import Assignment
from jobs.worker import Worker, job_id, log
from stilt import claims
from stilt.config import parse
from stilt.errors import DataError, ResultError
from stilt.interrupt import Interrupted
from stilt.plan import SYNTHESIS
from stilt.results import (
    Failure,
    FailureKind,
    SourceResult,
    read_record,
    read_result,
    write_record,
)
from stilt.study import StudyFolder, read_study

INTERRUPTED = 75
"""Exit code of a worker that was asked to stop and can go on later (sysexits.h: EX_TEMPFAIL)."""


class NodeFault(RuntimeError):  # noqa: N818 - what is at fault, not this program
    """The device is broken: nothing more can be run in this process, perhaps on this node."""

    def __init__(self, item: str, message: str) -> None:
        super().__init__(message)
        self.item = item


def run_bundle(folder: StudyFolder, assignment: Assignment, worker: Worker) -> int:
    """Runs every item of a bundle that has no result yet.

    Returns:
        How many items failed; each has its failure record.

    Raises:
        Interrupted: A signal asked to stop; finished items are kept, the running one is saved.
        NodeFault: The device broke under an item, which keeps its claim and has no record yet.
    """
    failed = 0
    for position, item in enumerate(assignment.bundle.items, 1):
        if worker.stop:
            raise Interrupted
        if _done(worker, item):
            folder.claim(item).unlink(missing_ok=True)
            continue
        claim = claims.read(folder.claim(item))
        if claim is None or claim.submission != assignment.settings.submission:
            # cancelled while it waited, or failed in an earlier attempt; perhaps another's by now
            continue
        log(f"[{position}/{len(assignment.bundle.items)}] {_describe(worker, item)}")
        progress = claims.Progress(claim, folder.claim(item), job=job_id())
        failed += not _run_item(worker, item, progress)
        folder.claim(item).unlink(missing_ok=True)
    return failed


def _done(worker: Worker, item: str) -> bool:
    """Whether an item's valid result is there; a damaged one is run again."""
    folder, study = worker.folder, worker.study
    try:
        if item == SYNTHESIS:
            return (folder.synthesis() / "dev.jsonl").is_file()
        if item in study.sources:
            return worker.checkpoint(study.sources[item]) is not None
        return read_result(study.cells[item], study.digest(), folder.result(item)) is not None
    except ResultError:
        return False


def _describe(worker: Worker, item: str) -> str:
    if item in worker.study.sources:
        source = worker.study.sources[item]
        return f"source {source.name} {item} {source.hyperparameters.model_dump(exclude_none=True)}"
    if item in worker.study.cells:
        cell = worker.study.cells[item]
        point = cell.hyperparameters
        return f"{cell.stage} {cell.source} -> {cell.target} {item} " + (
            str(point.model_dump(exclude_none=True)) if point else "without training"
        )
    return item


def _run_item(worker: Worker, item: str, progress: claims.Progress) -> bool:
    """Runs one item and records how it ended; True if it has a result now."""
    failure_path = worker.folder.failure(item)
    before = _attempts(failure_path)
    chunk = worker.settings.chunk
    while True:
        try:
            _execute(worker, item, progress, chunk, before + 1)
        except Exception as error:
            # the one place where a cell's failure is recorded
            kind = classify(error)
            if kind == "oom" and chunk != 1:
                chunk = max(1, (chunk or _batch_size(worker, item)) // 2)
                log(f"out of memory; again with {chunk} examples per backward pass")
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            if kind == "node":
                raise NodeFault(item, _one_line(error)) from error
            write_record(_failure(worker, item, error, kind, before + 1), failure_path)
            log(f"failed ({kind}): {_one_line(error)}")
            return False
        failure_path.unlink(missing_ok=True)
        return True


def _execute(
    worker: Worker, item: str, progress: claims.Progress, chunk: int | None, attempt: int
) -> None:
    study = worker.study
    if item == SYNTHESIS:
        from jobs.synthesize import synthesize  # loads a generator's code, rarely needed

        assert study.grid.synthesis is not None
        synthesize(
            study.grid.synthesis,
            worker.folder.synthesis(),
            data_dir=worker.settings.data_dir,
            device=str(worker.accelerator.device),
            progress=progress,
        )
    elif item in study.sources:
        trained = run_source(worker, study.sources[item], progress, chunk=chunk, attempt=attempt)
        log(f"{trained.status}: dev {trained.metric} {trained.score}")
    else:
        result = run_cell(worker, study.cells[item], progress, chunk=chunk, attempt=attempt)
        write_record(result, worker.folder.result(item))
        log(f"{result.status}: dev {result.metric} {result.score}")


def classify(error: BaseException) -> FailureKind:
    """Which class of failure an error is: what a person, or the launcher, would do about it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "oom"
    if isinstance(error, RuntimeError) and "memory" in str(error) and "alloc" in str(error):
        return "oom"
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, ResultError):
        return "source"
    if isinstance(error, RuntimeError) and "CUDA error" in str(error):
        return "node"
    return "bug"


def _batch_size(worker: Worker, item: str) -> int:
    study = worker.study
    point = (
        study.sources[item].hyperparameters
        if item in study.sources
        else study.cells[item].hyperparameters
    )
    return point.batch_size if point else 1


def _attempts(path: Path) -> int:
    try:
        record = read_record(Failure, path)
    except ResultError:
        return 0
    return record.attempts if record else 0


def _failure(
    worker: Worker, item: str, error: Exception, kind: FailureKind, attempts: int
) -> Failure:
    log_file = os.environ.get("STILT_LOG_FILE")
    return Failure(
        study=worker.study.digest(),
        cell=worker.study.cells.get(item),
        source=worker.study.sources.get(item),
        kind=kind,
        message=_one_line(error),
        traceback="".join(traceback.format_exception(error))[-8000:],
        attempts=attempts,
        host=socket.gethostname(),
        job=job_id(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        log=log_file,
    )


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def read_assignment(folder: StudyFolder, bundle_id: str) -> Assignment:
    """Reads the bundle that a launcher wrote."""
    import json

    path = folder.bundles / f"{bundle_id}.json"
    return parse(Assignment, json.loads(path.read_text(encoding="utf-8")), path)


def source_ready(folder: StudyFolder, source_id: str) -> bool:
    """Whether a source's record exists (its weights are proven when they are used)."""
    try:
        return read_record(SourceResult, folder.source(source_id) / "result.json") is not None
    except ResultError:
        return False


def main() -> int:
    """Runs one bundle in this process; exit code 1 if a cell failed, 75 if asked to stop."""
    folder = StudyFolder(Path(sys.argv[1]))
    assignment = read_assignment(folder, sys.argv[2])
    worker = Worker(read_study(folder), folder, assignment.settings)
    worker.stop.listen(signal.SIGTERM, signal.SIGINT)
    try:
        return 1 if run_bundle(folder, assignment, worker) else 0
    except Interrupted:
        log("asked to stop; the state is saved")
        return INTERRUPTED
    except NodeFault as fault:
        attempts = _attempts(folder.failure(fault.item)) + 1
        record = _failure(worker, fault.item, fault, "node", attempts)
        write_record(record, folder.failure(fault.item))
        folder.claim(fault.item).unlink(missing_ok=True)
        # what is left is for a new process
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
