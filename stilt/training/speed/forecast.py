"""Seconds of runs before they run: by a calibration, by the runs that have ended, or by both."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

from stilt.cell import SYNTHESIS, Run
from stilt.plan import cost, size_of
from stilt.records.results import Ended
from stilt.schedule import plan_updates
from stilt.study import Study
from stilt.task import Size, Task
from stilt.training.speed.calibration import Calibration, Setting, TaskWork, Work, identity_of

PASSES = 4.0
"""Forward passes of an update of a task that was not measured."""


@dataclass(frozen=True)
class Forecast:
    """Predicts the seconds of a study's runs."""

    base: Callable[[Run], float]
    """A first estimate: in seconds, or in training tokens where nothing was calibrated."""
    factors: Mapping[str, float]
    """Task -> median of measured seconds over estimated ones, of the runs that have ended on it."""
    overall: float | None
    """The same of all tasks, for those of which none has ended; None where nothing tells."""
    ended: int = 0
    """Runs that have ended and are reckoned with."""

    @property
    def known(self) -> bool:
        """Whether it has anything to tell seconds by."""
        return self.overall is not None

    def seconds(self, run: Run) -> float:
        """Predicted seconds of a run, from the load of its model to its score.

        Raises:
            ValueError: Nothing was measured, see ``known``.
        """
        factor = self.factors.get(run.task, self.overall)
        if factor is None:
            raise ValueError("neither a calibration nor a run that has ended")
        return factor * self.base(run)


def forecast(
    study: Study,
    calibration: Calibration | None = None,
    setting: Setting | None = None,
    *,
    sizes: Mapping[str, Size] | None = None,
    ended: Iterable[tuple[Run, Ended]] = (),
) -> Forecast:
    """Makes a forecast of a study's runs.

    Args:
        study: the study.
        calibration: of its model and recipe; None for an estimate by ended runs alone.
        setting: of the calibration: how the device is divided among workers.
        sizes: rows of tasks, where they have been read.
        ended: runs with their records; those that diverged, and those of another device than the
            calibration's, tell nothing.
    """
    base = _alike(
        partial(cost, study, sizes=sizes)
        if calibration is None or setting is None
        else partial(predicted, study, calibration, setting, sizes=sizes)
    )
    ratios: dict[str, list[float]] = defaultdict(list)
    for run, record in ended:
        if tells(record, calibration) and (estimate := base(run)) > 0:
            ratios[run.task].append(seconds_of(record) / estimate)
    factors = {task: median(found) for task, found in ratios.items()}
    unknown = None if calibration is None else 1.0
    overall = median(factors.values()) if factors else unknown
    return Forecast(base, factors, overall, sum(map(len, ratios.values())))


def _alike(estimate: Callable[[Run], float]) -> Callable[[Run], float]:
    """The same estimate, made once for all runs that cannot differ in it."""
    found: dict[tuple[object, ...], float] = {}

    def known(run: Run) -> float:
        point = run.hyperparameters
        size = run.source.train_size if run.source is not None else None
        key = run.stage, run.task, point and point.batch_size, size
        if key not in found:
            found[key] = estimate(run)
        return found[key]

    return known


def tells(record: Ended, calibration: Calibration | None) -> bool:
    """Whether the seconds of a run that ended are those of another run of its kind here."""
    alike = calibration is None or record.provenance.device == calibration.device
    # an evaluation is little but the load of its model
    return record.status == "ok" and record.training is not None and alike


def seconds_of(record: Ended) -> float:
    """Seconds that a run took, from the load of its rows to its score."""
    timings = record.timings
    return timings.load + timings.encode + timings.train + timings.evaluate


def predicted(
    study: Study,
    calibration: Calibration,
    setting: Setting,
    run: Run,
    *,
    sizes: Mapping[str, Size] | None = None,
) -> float:
    """Seconds of a run by a calibration alone.

    seconds = load + updates x fixed + work of training and of scoring x seconds of its parts. The
    generation of SynthesisGPT2's rows is not measured: its tokens are reckoned as the model's.
    """
    if run.stage == SYNTHESIS:
        return cost(study, run, sizes) * setting.train.positions
    task = study.tasks[run.task]
    work = calibration.task(task)
    size = (sizes or {}).get(task.name) or _measured(study, work, task)
    work = work or _guessed(task, size)
    scores, seconds = 1, setting.load
    point = run.hyperparameters
    if point is not None:
        own = run.source.train_size if run.source is not None else None
        rows = min(own or size.train, size.train)
        updates = plan_updates(
            rows=rows,
            epochs=task.epochs,
            batch_size=point.batch_size,
            warmup_ratio=0.0,
            micro_batch=task.micro_batch,
        ).total
        whole = rows * task.epochs / point.batch_size
        each = _update(work, point.batch_size)
        seconds += setting.train.seconds(updates, each.times(whole, passes=updates))
        scores += task.epochs if study.grid.curve else 0
    return seconds + scores * setting.evaluate.seconds(0, work.row.times(size.dev))


def _measured(study: Study, work: TaskWork | None, task: Task) -> Size:
    """A task's rows as they were measured; its published ones where it was not."""
    if work is None:
        return size_of(study, task)
    return Size(train=work.train, dev=work.dev, tokens=max(work.tokens, 1.0))


def _update(work: TaskWork, batch: int) -> Work:
    """Work of an update with a batch; of a size that was not measured, by the nearest that was."""
    if batch in work.updates:
        return work.updates[batch]
    near = min(work.updates, key=lambda known: abs(known - batch))
    return work.updates[near].times(batch / near, passes=1)


def _guessed(task: Task, size: Size) -> TaskWork:
    """Work of a task whose rows were not encoded, by its mean length: without padding."""
    positions = task.sequences * size.tokens
    each = Work(positions=positions, squares=positions * size.tokens)
    return TaskWork(
        identity=identity_of(task),
        train=size.train,
        dev=size.dev,
        tokens=size.tokens,
        updates={1: each.model_copy(update={"passes": PASSES})},
        row=each,
    )
