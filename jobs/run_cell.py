"""Trains and scores one cell or source: a source is saved, a cell's result is not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.worker import Attempt, Worker, log
from stilt.cell import Hyperparameters, Source
from stilt.model.build import Start, save
from stilt.records.baselines import chance, majority
from stilt.records.finished import WEIGHTS
from stilt.records.results import Result, Score, SourceResult, Timings, Training, write_record
from stilt.system.files import file_digest, replacing_folder
from stilt.training import metrics, train
from stilt.training.curves import Diverged
from stilt.training.forward import predict
from stilt.training.saved_state import SavedState
from stilt.training.spent import Spent
from stilt.training.tracking import Tracking, Update

OnProgress = Callable[[int, int], None]
"""Is told how much work of how much is done: tokens, or generated rows."""
MEASURED = ("score", "accuracy", "mcc", "f1", "pearson", "spearman", "loss")
"""Of a dev set's score, what a tracker is told."""


def run_cell(worker: Worker, attempt: Attempt, progress: OnProgress) -> Result | SourceResult:
    """Runs a cell or a source; the weights scored are those just trained, in memory.

    A source's checkpoint and result.json are put in its folder, whole or not at all; a cell's
    result is only returned. ``progress`` is called with (tokens done, tokens in all).

    Raises:
        ResultError: The cell's source is not there or not what its record says.
        DataError: The task's rows cannot be had.
        Interrupted: A signal asked to stop; the state is saved and the next attempt goes on.
    """
    trial = Trial(worker, attempt)
    tracking = _tracking(worker, attempt)
    try:
        outcome = trial.run(progress, tracking.update)
        tracking.update(*_last(outcome))
    finally:
        tracking.end()
    if trial.source is not None:
        return _save_source(trial, trial.source, outcome)
    cell = worker.study.cells[attempt.item]
    start = worker.weights[cell.source_id] if cell.source_id else None
    return Result(cell=cell, start=start, **trial.record(outcome))


def _tracking(worker: Worker, attempt: Attempt) -> Tracking:
    """The tracker's run of a cell or source; silent where the submit names no tracker."""
    study, run = worker.study, worker.study.runs[attempt.item]
    point = run.hyperparameters
    group = f"{run.source_name} → {run.task}" if run.cell else "sources"
    return Tracking(
        worker.settings.tracker,
        worker.folder.tracking,
        log,
        study=study.name,
        group=group,
        run=f"{run.title} {run.id}",
        config={
            "id": run.id,
            "stage": run.stage,
            "source": run.source_name,
            "task": run.task,
            **(point.model_dump() if point else {}),
            "model": study.grid.model.name,
            "recipe": study.grid.recipe,
            "attempt": attempt.number,
            "commit": worker.settings.commit,
        },
    )


def _last(outcome: "Outcome") -> tuple[int, dict[str, float]]:
    """What a tracker is told at a run's end: its updates, and its dev scores where it has any."""
    found = outcome.dev.model_dump(include=set(MEASURED)) if outcome.dev else {}
    points = {f"dev_{name}": value for name, value in found.items() if value is not None}
    return outcome.training.updates if outcome.training else 0, points


def _save_source(trial: "Trial", source: Source, outcome: "Outcome") -> SourceResult:
    with replacing_folder(trial.worker.folder.source(source.id)) as saved:
        weights = save(outcome.model, trial.worker.models.tokenizer, saved)
        others = {path.name: file_digest(path) for path in saved.iterdir() if path.name != WEIGHTS}
        result = SourceResult(
            source=source, checkpoint=weights, files=others, **trial.record(outcome)
        )
        write_record(result, saved / "result.json")
    return result


@dataclass(frozen=True)
class Outcome:
    """A model and how it did."""

    model: Any
    dev: Score | None
    """None where the run diverged."""
    training: Training | None = None
    curve: tuple[Any, ...] = ()


class Trial:
    """One attempt: loads data and model, trains, scores, and makes the fields of the record."""

    def __init__(self, worker: Worker, attempt: Attempt) -> None:
        self.worker = worker
        self.attempt = attempt
        run = worker.study.runs[attempt.item]
        self.source, self.cell = run.source, run.cell
        self.spent = Spent(attempt.number, worker.peak_memory, worker.energy)
        self.task = worker.study.tasks[run.task]
        size = run.source.train_size if run.source is not None else None
        self.train_data, self.dev_data, self.data_digest = worker.encoded(run.task, size)
        self.spent.lap("encode")

    def run(self, progress: OnProgress, updated: Update = lambda *measured: None) -> Outcome:
        """Trains, unless the cell is an evaluation, and scores; saves only an interrupted state."""
        study, first = self.worker.study, None
        if self.cell is not None and self.cell.source_id is not None:
            first = self.worker.checkpoint(study.sources[self.cell.source_id])
        start = self.worker.models.start(self.task, first, study.grid.head)
        trained = study.runs[self.attempt.item].hyperparameters
        if trained is not None:
            return self._fine_tune(start, trained, progress, updated)
        assert self.cell is not None
        model: Any = self.worker.build(start, self.cell.seed, self.task)
        model.to(self.worker.accelerator.device)
        self.spent.lap("load")
        dev = self._score(model)
        self.spent.lap("evaluate")
        return Outcome(model, dev)

    def _fine_tune(
        self,
        start: Start,
        hyperparameters: Hyperparameters,
        progress: OnProgress,
        updated: Update,
    ) -> Outcome:
        """Trains a model and scores it once at the end."""
        init_seed = hyperparameters.init_seed
        seed = hyperparameters.seed if init_seed is None else init_seed
        model = self.worker.build(start, seed, self.task)
        self.spent.lap("load")
        item = self.attempt.item
        path = self.worker.folder.resume(item)
        state = SavedState(path, item, self.data_digest, log, self.spent)

        def dev_score(trained: Any) -> float | None:
            found = self._score(trained)
            return found.score if found else None

        try:
            model, schedule, curves = train.fit(
                model,
                self.train_data,
                self.task,
                hyperparameters,
                self.worker.runtime(self.attempt.chunk),
                state=state,
                progress=progress,
                updated=updated,
                after_epoch=dev_score if self.worker.study.grid.curve else None,
            )
        except Diverged as diverged:
            curves, schedule = diverged.args
            self.spent.lap("train")
            dev = None
        else:
            self.spent.lap("train")
            dev = self._score(model)
        self.spent.lap("evaluate")
        training = curves.summary(schedule, start.modules("carried"), start.modules("fresh"))
        return Outcome(model, dev, training, tuple(curves.epochs))

    def _score(self, model: Any) -> Score | None:
        """The dev set's score; None, which is a diverged run, where a logit is not finite.

        The loss tells of an update's weights only with the next batch, and the last update has
        none.
        """
        logits = predict(model, self.dev_data, self.worker.team)
        if not np.isfinite(logits).all():
            return None
        return metrics.score(self.task, logits, self.dev_data.labels)

    def record(self, outcome: Outcome) -> dict[str, Any]:
        """What the records of a cell and of a source have in common."""
        dev, parts = outcome.dev, self.spent.parts
        return {
            "study": self.worker.study.digest,
            "status": "diverged" if dev is None else "ok",
            "metric": self.task.metric,
            "score": None if dev is None else dev.score,
            "dev": dev,
            "majority": majority(self.task, self.dev_data.labels),
            "chance": chance(self.task, self.dev_data.labels),
            "classes": self.task.outputs,
            "train_rows": len(self.train_data),
            "dev_rows": len(self.dev_data),
            "data": self.data_digest,
            "training": outcome.training,
            "curve": outcome.curve,
            "timings": Timings(**{part: parts.get(part, 0.0) for part in Timings.model_fields}),
            "provenance": self.worker.provenance(self.spent),
        }
