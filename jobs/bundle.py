"""Runs a bundle: its items one after the other, each recorded as it ends."""

import gc
import os
import traceback
from collections.abc import Callable, Sequence

import torch

from jobs.run_cell import OnProgress, run_cell
from jobs.settings import Assignment
from jobs.worker import Attempt, Worker, job_id, log
from stilt.cell import SYNTHESIS
from stilt.errors import ConfigError, DataError, ModelError, ResultError, disk_trouble
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.failures import attempts, out_of_memory, record_failure
from stilt.records.finished import usable
from stilt.records.results import FailureKind, Result, SourceResult, write_record
from stilt.study import Study
from stilt.system.interrupt import Interrupted


class DeviceFault(RuntimeError):  # noqa: N818 - what is at fault, not this program
    """The device is broken for this process, and perhaps for every process of this node."""

    def __init__(self, item: str, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.item = item
        self.kind: FailureKind = kind


Compute = Callable[[Worker, Attempt, OnProgress], Result | SourceResult]


def run_bundle(worker: Worker, items: Sequence[str], compute: Compute | None = None) -> int:
    """Runs every item of a bundle that has no result yet.

    Args:
        worker: the process's loaded things.
        items: cell or source ids, or ``synthesis``.
        compute: trains and scores one item; ``run_cell`` where absent.

    Returns:
        How many items failed; each has its failure record.

    Raises:
        Interrupted: A signal asked to stop; finished items are kept, the running one is saved.
        DeviceFault: The device broke under an item, which keeps its claim and has no record yet.
    """
    folder, failed = worker.folder, 0
    for position, item in enumerate(items, 1):
        if worker.stop:
            raise Interrupted
        if item not in worker.study.runs:
            if item in claims.held(folder, [item], worker.settings.submission):
                folder.claim(item).unlink(missing_ok=True)
            log(f"[{position}/{len(items)}] {item}: left out, because the study no longer has it")
            continue
        if _done(worker, item):
            folder.claim(item).unlink(missing_ok=True)
            continue
        claim = claims.read(folder.claim(item))
        if claim is None or claim.submission != worker.settings.submission:
            # cancelled while it waited, or failed in an earlier attempt; perhaps another's by now
            continue
        # a job's log may be in an encoding without arrows
        title = worker.study.runs[item].title.replace("→", "->")
        log(f"[{position}/{len(items)}] {item} {title}")
        progress = claims.ClaimUpdater(claim, folder.claim(item), job=job_id())
        failed += not _run_item(worker, item, progress, compute or run_cell)
        folder.claim(item).unlink(missing_ok=True)
    return failed


def _done(worker: Worker, item: str) -> bool:
    """Whether an item's valid result is there; a damaged one is run again."""
    run = worker.study.runs[item]
    try:
        if run.source is not None:
            # its weights are read, too
            return worker.checkpoint(run.source).is_dir()
        return usable(worker.study, worker.folder, run)
    except ResultError:
        return False


def _run_item(worker: Worker, item: str, progress: OnProgress, compute: Compute) -> bool:
    """Runs one item and records how it ended; True if it has a result now."""
    path = worker.folder.failure(item)
    number = attempts(worker.folder, item) + 1
    chunk = _chunk(worker, item)
    while True:
        try:
            _execute(worker, Attempt(item, chunk, number), progress, compute)
        except Exception as error:
            # the one place where a cell's failure is recorded
            kind = classify(error)
            if _is_of_device(error) and kind != "oom":
                raise DeviceFault(item, kind, one_line(error)) from error
            if kind != "oom" or chunk == 1:
                record_error(worker, item, error, kind, number)
                log(f"failed ({kind}): {one_line(error)}")
                return False
        else:
            path.unlink(missing_ok=True)
            # not before the result is there: until then the state is all that there is
            worker.folder.resume(item).unlink(missing_ok=True)
            return True
        # only here is the error gone, and with it all that its frames held in memory
        chunk = max(1, chunk // 2)
        what = "prompts per batch" if item == SYNTHESIS else "examples per pass"
        log(f"out of memory; again with {chunk} {what}")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _chunk(worker: Worker, item: str) -> int:
    """Examples in one pass, or prompts in one batch: half as many for each time memory ran out.

    All of them once its job has more memory than when it ran out. What a process could not catch
    itself (the system killed it) is known from the record.
    """
    times = out_of_memory(worker.folder, item, worker.settings.memory)
    return max(1, _examples(worker, item) >> times)


def _execute(worker: Worker, attempt: Attempt, progress: OnProgress, compute: Compute) -> None:
    study, item = worker.study, attempt.item
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    if item == SYNTHESIS:
        from jobs.synthesize import synthesize  # loads a generator's code, rarely needed

        def told(done: int, total: int) -> None:
            progress(done, total)
            if worker.stop:
                raise Interrupted

        assert study.grid.synthesis is not None
        synthesize(
            study.grid.synthesis,
            worker.folder.synthesis(),
            data_dir=worker.settings.data_dir,
            device=str(worker.accelerator.device),
            progress=told,
            batch=attempt.chunk,
        )
        return
    result = compute(worker, attempt, progress)
    if isinstance(result, Result):
        write_record(result, worker.folder.result(item))
    log(f"{result.status}: dev {result.metric} {result.score}")


def classify(error: BaseException) -> FailureKind:
    """Which class of failure an error is: what a person, or the launcher, would do about it."""
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "oom"
    if isinstance(error, RuntimeError) and (
        ("memory" in text and "alloc" in text) or "out of memory" in text or "ALLOC_FAILED" in text
    ):
        return "oom"
    if disk_trouble(error):
        return "disk"
    if isinstance(error, ModelError):
        return "model"
    if isinstance(error, (DataError, ConfigError)):
        # what the study was told to read is not there, or not what it should be
        return "data"
    if isinstance(error, ResultError):
        return "source"
    if _is_of_device(error) and "device-side assert" not in text:
        return "node"
    return "bug"


def _is_of_device(error: BaseException) -> bool:
    """Whether an error leaves the device unusable for this process."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def _examples(worker: Worker, item: str) -> int:
    """Examples (or prompts) that one process holds at a time, where nothing limits them."""
    study = worker.study
    if item == SYNTHESIS:
        from jobs.synthesize import usual_batch

        return usual_batch(worker.accelerator.device.type)
    run = study.runs[item]
    if run.hyperparameters is None:
        return 1
    return study.examples(run.task, run.hyperparameters)


def record_error(
    worker: Worker,
    item: str,
    error: Exception,
    kind: FailureKind,
    number: int | None = None,
    message: str = "",
) -> None:
    """Records an error, or another message in place of its own, as an item's failure.

    ``number`` is how often the item has been tried: once more than recorded where absent.
    """
    record_failure(
        worker.study,
        worker.folder,
        item,
        kind,
        message or one_line(error),
        traceback="".join(traceback.format_exception(error))[-8000:],
        attempts=number,
        memory=worker.settings.memory,
        job=job_id(),
        log=os.environ.get("STILT_LOG_FILE"),
    )


def one_line(error: BaseException) -> str:
    """An error's class and message, as a record and a log show it."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def record_missing_device(
    study: Study, folder: StudyFolder, assignment: Assignment, why: str
) -> None:
    """Records for the first item still to be run that its process found no device.

    The item keeps its claim: whoever started the process decides what becomes of it.
    """
    log_file = os.environ.get("STILT_LOG_FILE")
    for item in assignment.held(folder)[:1]:
        record_failure(study, folder, item, "node", why, job=job_id(), log=log_file)
