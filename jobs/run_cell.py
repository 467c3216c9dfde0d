"""One cell, one source: train, score once, hand back the record. Nothing here touches results/."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from jobs.worker import Clock, Worker
from stilt.cell import Cell, Hyperparameters, Source
from stilt.data.encode import Encoded
from stilt.model.build import Start, save
from stilt.records.results import Result, Score, SourceResult, Timings, Training, write_record
from stilt.task import Task
from stilt.training import metrics, train
from stilt.training.curves import Diverged
from stilt.training.forward import predict

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Outcome:
    """A fine-tuned model and how it did."""

    model: Any
    dev: Score | None
    training: Training
    curve: tuple[Any, ...]


def run_cell(
    worker: Worker, cell: Cell, progress: Progress, *, chunk: int | None = None, attempt: int = 1
) -> Result:
    """Runs a cell and returns its result; the weights scored are those just trained, in memory.

    Args:
        worker: the process's loaded things.
        cell: what to run.
        progress: called with (tokens done, tokens in all).
        chunk: examples per backward pass at most.
        attempt: how often this cell was begun.

    Raises:
        ResultError: The source is not there or not what its record says.
        DataError: The target's rows cannot be had.
        Interrupted: A signal asked to stop; the state is saved and the next attempt goes on.
    """
    started, clock = datetime.now(UTC), Clock()
    task = worker.study.tasks[cell.target]
    source = worker.study.sources[cell.source_id] if cell.source_id else None
    train_data, dev_data, data_digest = worker.encoded(cell.target)
    clock.lap("encode")
    checkpoint = worker.checkpoint(source) if source else None
    start = worker.shelf.start(task, checkpoint, worker.study.grid.head)
    if cell.hyperparameters is None:
        outcome = None
        clock.lap("load")
        dev = _zero_shot(worker, start, cell.seed, task, dev_data)
        clock.lap("evaluate")
    else:
        outcome = _fine_tune(
            worker,
            start,
            task,
            cell.hyperparameters,
            train_data,
            dev_data,
            clock,
            progress,
            chunk,
            worker.folder.resume(cell.id),
        )
        dev = outcome.dev
    return Result(
        study=worker.study.digest,
        cell=cell,
        training=outcome.training if outcome else None,
        curve=outcome.curve if outcome else (),
        **_scores(task, dev, train_data, dev_data, data_digest),
        timings=_timings(clock),
        provenance=worker.provenance(started, attempt),
    )


def run_source(
    worker: Worker,
    source: Source,
    progress: Progress,
    *,
    chunk: int | None = None,
    attempt: int = 1,
) -> SourceResult | None:
    """Trains a source and puts checkpoint and result.json in its folder, whole or not at all.

    Returns:
        The result; None in a process that only helped another, which has it.

    Raises:
        DataError: The task's rows cannot be had.
        Interrupted: A signal asked to stop; the state is saved and the next attempt goes on.
    """
    started, clock = datetime.now(UTC), Clock()
    task = worker.study.tasks[source.task]
    train_data, dev_data, data_digest = worker.encoded(source.task, source.train_size)
    clock.lap("encode")
    start = worker.shelf.start(task, None, "keep")
    outcome = _fine_tune(
        worker,
        start,
        task,
        source.hyperparameters,
        train_data,
        dev_data,
        clock,
        progress,
        chunk,
        worker.folder.resume(source.id),
    )
    if not worker.team.leads:
        return None
    place = worker.folder.source(source.id)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{source.id}.") as temporary:
        saved = Path(temporary) / "checkpoint"
        weights = save(outcome.model, saved)
        result = SourceResult(
            study=worker.study.digest,
            source=source,
            checkpoint=weights,
            training=outcome.training,
            curve=outcome.curve,
            **_scores(task, outcome.dev, train_data, dev_data, data_digest),
            timings=_timings(clock),
            provenance=worker.provenance(started, attempt),
        )
        write_record(result, saved / "result.json")
        if place.exists():
            # left by a run whose result was found invalid; it must not stand in the way
            place.rename(Path(temporary) / "replaced")
        saved.rename(place)
    return result


def _fine_tune(
    worker: Worker,
    start: Start,
    task: Task,
    hyperparameters: Hyperparameters,
    train_data: Encoded,
    dev_data: Encoded,
    clock: Clock,
    progress: Progress,
    chunk: int | None,
    state: Path,
) -> _Outcome:
    init_seed = hyperparameters.init_seed
    seed = hyperparameters.seed if init_seed is None else init_seed
    built = worker.build(start, seed, dev_data)
    clock.lap("load")

    def dev_score(trained: Any) -> float | None:
        found = _score(worker, trained, task, dev_data)
        return found.score if found else None

    try:
        trained, schedule, curves = train.fit(
            built,
            train_data,
            task,
            hyperparameters,
            worker.runtime(chunk),
            state=state,
            progress=progress,
            after_epoch=dev_score if worker.study.grid.curve else None,
        )
    except Diverged as diverged:
        curves, schedule = diverged.args
        trained = built
        dev = None
        state.unlink(missing_ok=True)
        clock.lap("train")
    else:
        clock.lap("train")
        dev = _score(worker, trained, task, dev_data)
    clock.lap("evaluate")
    training = curves.summary(schedule, start.modules("carried"), start.modules("fresh"))
    return _Outcome(trained, dev, training, tuple(curves.epochs))


def _zero_shot(
    worker: Worker, start: Start, seed: int, task: Task, dev_data: Encoded
) -> Score | None:
    built = worker.build(start, seed, dev_data).to(worker.accelerator.device)
    return _score(worker, built, task, dev_data)


def _score(worker: Worker, trained: Any, task: Task, dev_data: Encoded) -> Score | None:
    """The dev set's score; None, which is a diverged run, where a logit is not finite.

    The loss tells of an update's weights only with the next batch, and the last update has none.
    """
    logits = predict(trained, dev_data, worker.team)
    return metrics.score(task, logits, dev_data.labels) if np.isfinite(logits).all() else None


def _scores(
    task: Task, dev: Score | None, train_data: Encoded, dev_data: Encoded, data_digest: str
) -> dict[str, Any]:
    return {
        "status": "diverged" if dev is None else "ok",
        "metric": task.metric,
        "score": None if dev is None else dev.score,
        "dev": dev,
        "majority": metrics.majority(task, dev_data.labels),
        "chance": task.chance,
        "classes": len(task.labels),
        "train_rows": len(train_data),
        "dev_rows": len(dev_data),
        "data": data_digest,
    }


def _timings(clock: Clock) -> Timings:
    return Timings(**{part: clock.parts.get(part, 0.0) for part in Timings.model_fields})
