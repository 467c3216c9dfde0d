"""What one array element does: its bundle's items, one after the other, each recorded as it ends.

Run by the local executor as ``python -m jobs.bundle STUDY_FOLDER BUNDLE``.
"""

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import torch

from jobs.followers import Followers, follows, stay_with_leader
from jobs.run_cell import Progress, run_cell, run_source
from jobs.settings import Assignment
from jobs.worker import Worker, job_id, log
from stilt import claims
from stilt.config import parse
from stilt.errors import ConfigError, DataError, ResultError
from stilt.failures import record_loss
from stilt.interrupt import Interrupted
from stilt.plan import SYNTHESIS
from stilt.results import (
    Failure,
    FailureKind,
    Result,
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


class TeamFault(RuntimeError):  # noqa: N818 - what is at fault, not this program
    """An item failed in one process of several: the others wait for it, and all must end."""

    def __init__(self, item: str, chunk: int | None, attempt: int) -> None:
        super().__init__(item)
        self.item = item
        self.chunk = chunk
        self.attempt = attempt


def run_bundle(folder: StudyFolder, assignment: Assignment, worker: Worker) -> int:
    """Runs every item of a bundle that has no result yet.

    Returns:
        How many items failed; each has its failure record.

    Raises:
        Interrupted: A signal asked to stop; finished items are kept, the running one is saved.
        NodeFault: The device broke under an item, which keeps its claim and has no record yet.
        TeamFault: An item failed in one process of several; it keeps its claim.
    """
    failed = 0
    for position, item in enumerate(assignment.bundle.items, 1):
        if worker.stop:
            worker.team.told(STOP)
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
    worker.team.told(STOP)
    return failed


STOP = ("", None)
"""What followers are told at the end."""


def follow(worker: Worker) -> None:
    """Does its share of whatever the leading process runs, until that says stop.

    Raises:
        Interrupted: A signal asked the leading process to stop.
        SystemExit: The item failed; the record is written.
    """
    while True:
        item, chunk = worker.team.told(STOP)
        if not item:
            return
        try:
            _compute(worker, item, _unheard, chunk, 1)
        except Exception as error:  # noqa: BLE001 - recorded, as by the leader
            # the leader is held up by this: it must end, and find here why
            traceback.print_exc()
            # where the leader broke down first, this process ends now with nothing to tell
            time.sleep(1)
            path = worker.folder.failure(item)
            write_record(_failure(worker, item, error, classify(error), _attempts(path) + 1), path)
            raise SystemExit(1) from None


def _unheard(done: int, total: int) -> None:
    """Progress of a follower: the leader tells it."""


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
    chunk = _chunk(worker, item)
    while True:
        try:
            _execute(worker, item, progress, chunk, before + 1)
        except Exception as error:
            if worker.team.size > 1:
                raise TeamFault(item, chunk, before + 1) from error
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


def _chunk(worker: Worker, item: str) -> int | None:
    """Examples per backward pass: half as many for each time that memory ran out.

    What a process could not catch itself (the system killed it) is known from the record.
    """
    chunk = worker.settings.chunk
    try:
        record = read_record(Failure, worker.folder.failure(item))
    except ResultError:
        return chunk
    if record is None or record.kind != "oom":
        return chunk
    return max(1, (chunk or _batch_size(worker, item)) >> record.attempts)


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
        return
    worker.team.told((item, chunk))
    result = _compute(worker, item, progress, chunk, attempt)
    assert result is not None
    if isinstance(result, Result):
        write_record(result, worker.folder.result(item))
    log(f"{result.status}: dev {result.metric} {result.score}")


def _compute(
    worker: Worker, item: str, progress: Progress, chunk: int | None, attempt: int
) -> Result | SourceResult | None:
    study = worker.study
    if item in study.sources:
        return run_source(worker, study.sources[item], progress, chunk=chunk, attempt=attempt)
    return run_cell(worker, study.cells[item], progress, chunk=chunk, attempt=attempt)


def classify(error: BaseException) -> FailureKind:
    """Which class of failure an error is: what a person, or the launcher, would do about it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "oom"
    if isinstance(error, RuntimeError) and "memory" in str(error) and "alloc" in str(error):
        return "oom"
    if isinstance(error, (DataError, ConfigError)):
        # what the study was told to read is not there, or not what it should be
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


def main() -> int:
    """Runs one bundle in this process; exit code 1 if a cell failed, 75 if asked to stop."""
    folder = StudyFolder(Path(sys.argv[1]))
    assignment = read_assignment(folder, sys.argv[2])
    study = read_study(folder)
    if follows():
        stay_with_leader()
        # an interrupt is the leader's: it has saved what is needed
        with contextlib.suppress(Interrupted):
            follow(Worker(study, folder, assignment.settings))
        return 0
    team = Followers(folder.path, assignment.bundle.id, study.grid.processes)
    try:
        worker = Worker(study, folder, assignment.settings)
        team.watch(lambda how: _leave_team(worker, assignment, how))
        return _lead(worker, assignment, team)
    finally:
        team.end()


def _lead(worker: Worker, assignment: Assignment, team: Followers) -> int:
    folder = worker.folder
    worker.stop.listen(signal.SIGTERM, signal.SIGINT)
    try:
        return 1 if run_bundle(folder, assignment, worker) else 0
    except Interrupted:
        log("asked to stop; the state is saved")
    except NodeFault as fault:
        attempts = _attempts(folder.failure(fault.item)) + 1
        record = _failure(worker, fault.item, fault, "node", attempts)
        write_record(record, folder.failure(fault.item))
        folder.claim(fault.item).unlink(missing_ok=True)
    except TeamFault as fault:
        _record_fault(worker, fault, team)
    # what is left is for a new process
    return INTERRUPTED


def _record_fault(worker: Worker, fault: TeamFault, team: Followers) -> None:
    """Records what broke a team, unless the follower that broke has done so itself.

    An item that lacked memory keeps its claim: the next process takes smaller steps.
    """
    path = worker.folder.failure(fault.item)
    error = fault.__cause__
    assert isinstance(error, Exception)
    if not (team.lost_one() and _attempts(path) == fault.attempt):
        record = _failure(worker, fault.item, error, classify(error), fault.attempt)
        how = team.broken()
        if how:
            # what the system kills, it kills for want of memory
            kind = "oom" if team.killed() else record.kind
            record = record.model_copy(update={"kind": kind, "message": how})
        write_record(record, path)
    written = read_record(Failure, path)
    assert written is not None
    log(f"failed ({written.kind}): {written.message}")
    if written.kind != "oom" or fault.chunk == 1:
        worker.folder.claim(fault.item).unlink(missing_ok=True)


def _leave_team(worker: Worker, assignment: Assignment, how: str) -> None:
    """Ends this process, which waits for a follower that is gone."""
    for item in assignment.bundle.items:
        claim = claims.read(worker.folder.claim(item))
        if claim is not None and claim.running and claim.pid == os.getpid():
            record_loss(worker.study, worker.folder, item, "bug", how, job=job_id())
            worker.folder.claim(item).unlink(missing_ok=True)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
