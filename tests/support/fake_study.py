"""A study's folder with made-up results, written through the real models: seeded and realistic.

Nothing is run: for tests of what reads results. ``own_study`` and ``cluster_study`` are to be run.
``make_study(path)`` gives a small study; ``make_study(path, grid="full")`` the paper's 1,152 cells.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stilt.cell import Cell, Hyperparameters, Source
from stilt.folder import StudyFolder, write_study
from stilt.grid import Grid, load_grid
from stilt.records.answers import classes_of
from stilt.records.baselines import chance, majority
from stilt.records.pins import Pin
from stilt.records.results import (
    CurvePoint,
    Failure,
    FailureKind,
    Provenance,
    Result,
    Score,
    SourceResult,
    Timings,
    Tokens,
    Training,
    write_record,
)
from stilt.schedule import plan_updates
from stilt.study import Study, bind
from stilt.task import Task
from stilt.training import metrics

SMALL: dict[str, Any] = {
    "name": "small",
    "title": "A small made-up study",
    "model": {"hub": "org/encoder", "revision": "0" * 40, "parameters": 10_000_000},
    "blocks": [
        {
            "sources": ["none", "hellaswag", {"task": "hellaswag-p", "train_size": 1000}],
            "targets": ["rte", "cola", "winogrande-m"],
            "learning_rate": [5e-6, 1e-5, 2e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0, 0.2],
            "seed": [12, 42],
        }
    ],
    "evaluate": [{"sources": ["none", "hellaswag"], "tasks": ["socialiqa"]}],
}
"""3 sources x 3 targets x 24 configurations = 216 cells, and 2 evaluations."""

TINY: dict[str, Any] = {
    "name": "tiny",
    "model": {"hub": "org/encoder", "revision": "0" * 40, "parameters": 10_000_000},
    "blocks": [
        {
            "sources": ["none", "hellaswag"],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5, 2e-5],
            "batch_size": [8],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
}
"""2 sources x 2 targets x 4 configurations = 16 cells."""

EIGHT_CELLS: dict[str, Any] = {
    "name": "small",
    "model": {"hub": "org/encoder", "revision": "0" * 40, "parameters": 10_000_000},
    "blocks": [
        {
            "sources": ["none", "hellaswag"],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5],
            "batch_size": [8, 16],
            "warmup_ratio": [0.0],
            "seed": [12],
        }
    ],
}
"""2 sources x 2 targets x 2 configurations."""

KINDS: tuple[FailureKind, ...] = ("oom", "timeout", "node", "data", "bug")
NO_BYTES = hashlib.sha256(b"").hexdigest()
"""Digest of the weights of a made-up checkpoint, which are empty."""


def make_study(
    path: Path,
    *,
    grid: str | Grid | dict[str, Any] | None = None,
    seed: int = 0,
    missing: float = 0.0,
    failed: float = 0.0,
    diverged: float = 0.0,
    degenerate: float = 0.1,
    dev_rows: int | None = 120,
    points: int = 20,
    score: Callable[[Cell], float] | None = None,
    sources: bool = True,
    commits: tuple[str, ...] = ("1111111111111111111111111111111111111111",),
    name: str | None = None,
    bound: Study | None = None,
    pins: Mapping[str, Pin] | None = None,
) -> Study:
    """Writes a study's folder and returns the study.

    Args:
        path: the study's folder; made if absent.
        grid: name of a built-in grid, a grid, its table, or None for ``SMALL``.
        seed: of everything that is drawn.
        missing: share of cells, 0 to 1, that leave nothing behind.
        failed: share that leave a failure record.
        diverged: share with a non-finite loss.
        degenerate: share of runs that end at the majority class, more of them at high rates.
        dev_rows: rows of every dev set; None for the task's published number.
        points: points of each training curve.
        score: accuracy of each cell that is wanted, where the test must know it.
        sources: whether the sources have results of their own.
        commits: the code's commits, drawn from for each cell.
        name: the study's name; the folder's where absent.
        bound: a study to fill, in place of one that is made of ``grid``.
        pins: what the study keeps of its tasks' rows, where it has any.
    """
    bound = bound or bind(_grid(grid), "made-up-model", name=name or path.name)
    folder = StudyFolder(path)
    write_study(bound, folder)
    rng = random.Random(seed)
    study_id = bound.digest
    pins = pins or {}
    golds = {
        name: classes_of(pins[name].gold) if name in pins else _gold(task, dev_rows, seed)
        for name, task in bound.tasks.items()
    }
    seen = {name: {"data": pin.digest, "train_rows": pin.train} for name, pin in pins.items()}
    gains = {source.name: 0.01 + 0.03 * rng.random() for source in bound.sources.values()}
    for cell in bound.cells.values():
        task, gold = bound.tasks[cell.target], golds[cell.target]
        fate = rng.random()
        if fate < missing:
            continue
        if fate < missing + failed:
            write_record(_failure(study_id, rng, cell=cell), folder.failure(cell.id))
            continue
        broken = fate < missing + failed + diverged
        level = score(cell) if score else _level(cell, task, gains, degenerate, rng)
        dev = None if broken else _score(task, gold, level, rng)
        shared = _shared(task, gold, dev, cell.hyperparameters, points, rng, commits)
        shared |= seen.get(task.name, {})
        if bound.grid.curve and dev:
            shared["curve"] = _curve(dev, task.epochs)
        result = Result(study=study_id, cell=cell, **shared)
        write_record(result, folder.result(cell.id))
    for source in bound.sources.values() if sources else ():
        task, gold = bound.tasks[source.task], golds[source.task]
        dev = _score(task, gold, 0.75 + 0.1 * rng.random(), rng)
        shared = _shared(task, gold, dev, source.hyperparameters, points, rng, commits)
        shared |= seen.get(task.name, {})
        trained = SourceResult(study=study_id, source=source, checkpoint=NO_BYTES, **shared)
        write_record(trained, folder.source(source.id) / "result.json")
        (folder.source(source.id) / "model.safetensors").write_bytes(b"")
    return bound


def fail_source(folder: StudyFolder, study: Study, source: Source, seed: int = 0) -> None:
    """Replaces a source's result by a failure record, and removes what was built on it."""
    (folder.source(source.id) / "result.json").unlink(missing_ok=True)
    record = _failure(study.digest, random.Random(seed), source=source)
    write_record(record, folder.failure(source.id))
    for cell in study.cells.values():
        if cell.source_id == source.id:
            folder.result(cell.id).unlink(missing_ok=True)
            folder.failure(cell.id).unlink(missing_ok=True)


def damage(path: Path) -> None:
    """Cuts a record short, as a disk that is full does."""
    path.write_text(path.read_text()[:100])


def _grid(grid: str | Grid | dict[str, Any] | None) -> Grid:
    if isinstance(grid, Grid):
        return grid
    return load_grid(grid) if isinstance(grid, str) else Grid.model_validate(grid or SMALL)


def _gold(task: Task, dev_rows: int | None, seed: int) -> np.ndarray:
    rows = dev_rows or (task.size.dev if task.size else 200)
    if task.kind == "regression":
        return np.random.default_rng([seed, len(task.name)]).uniform(0, 5, rows).round(1)
    classes = len(task.labels)
    first = 0.69 if task.metric == "mcc" else 1 / classes + 0.02
    shares = [first, *[(1 - first) / (classes - 1)] * (classes - 1)]
    return np.random.default_rng([seed, len(task.name)]).choice(classes, rows, p=shares)


def _level(
    cell: Cell, task: Task, gains: dict[str, float], degenerate: float, rng: random.Random
) -> float:
    """Accuracy of a run, 0 for a degenerate one."""
    point = cell.hyperparameters
    rate = point.learning_rate if point else 1e-5
    risk = degenerate * (1.6 if rate > 1e-5 else 0.7) * (1.4 if cell.source == "none" else 0.8)
    if point and rng.random() < risk:
        return 0.0
    base = 0.62 if task.kind == "multiple-choice" else 0.72
    gain = gains.get(cell.source, 0.0)
    return min(0.97, base + gain + 0.02 * (rate < 1e-5) + rng.gauss(0, 0.015))


def _score(task: Task, gold: np.ndarray, level: float, rng: random.Random) -> Score:
    """Predictions that are right for a share ``level`` of the rows; 0 for the majority class."""
    classes, rows = len(task.labels), len(gold)
    if task.kind == "regression":
        noise = np.array([rng.gauss(0, 3 * (1 - level)) for _ in range(rows)])
        return metrics.score(task, (np.where(level > 0, gold + noise, 2.5))[:, None], gold)
    if level == 0.0:
        predictions = np.full(rows, Counter(gold.tolist()).most_common(1)[0][0])
    else:
        predictions = gold.copy()
        wrong = rng.sample(range(rows), rows - round(level * rows))
        for row in wrong:
            predictions[row] = (gold[row] + rng.randrange(1, classes)) % classes
    if task.metric.endswith("f1"):
        return metrics.score(task, np.eye(classes)[predictions], gold)
    accuracy = float((predictions == gold).mean())
    mcc = matthews(gold, predictions, classes) if task.kind == "classification" else None
    return Score(
        score=mcc if task.metric == "mcc" and mcc is not None else accuracy,
        accuracy=accuracy,
        mcc=mcc,
        loss=0.7 - 0.5 * accuracy + 0.1 * rng.random(),
        predictions="".join(map(str, predictions.tolist())),
        gold="".join(map(str, gold.tolist())),
        ties=0,
    )


def _curve(dev: Score, epochs: int) -> tuple[CurvePoint, ...]:
    """Dev scores that approach the final one."""
    return tuple(
        CurvePoint(epoch=epoch, score=dev.score * (1 - 0.5**epoch) if epoch < epochs else dev.score)
        for epoch in range(1, epochs + 1)
    )


def matthews(gold: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    """Matthews correlation of K classes (Gorodkin 2004); 0 where one side is constant."""
    table = np.zeros((classes, classes))
    np.add.at(table, (gold, predictions), 1)
    n, true, said = table.sum(), table.sum(axis=1), table.sum(axis=0)
    spread = (n**2 - (said**2).sum()) * (n**2 - (true**2).sum())
    return float((table.trace() * n - true @ said) / np.sqrt(spread)) if spread else 0.0


def _shared(
    task: Task,
    gold: np.ndarray,
    dev: Score | None,
    point: Hyperparameters | None,
    points: int,
    rng: random.Random,
    commits: tuple[str, ...],
) -> dict[str, Any]:
    """Fields that the results of a cell and of a source have in common."""
    train_rows = task.size.train if task.size else 1000
    training = _training(task, train_rows, dev, point, points, rng) if point else None
    train = rng.uniform(60, 90) * (training.updates / 1000 if training else 0)
    return {
        "status": "ok" if dev else "diverged",
        "metric": task.metric,
        "score": dev.score if dev else None,
        "dev": dev,
        "majority": majority(task, gold),
        "chance": chance(task, gold),
        "classes": task.outputs,
        "train_rows": train_rows,
        "dev_rows": len(gold),
        "data": "d" * 12,
        "training": training,
        "timings": Timings(load=1.5, encode=0.4, train=train, evaluate=rng.uniform(2, 4)),
        "provenance": Provenance(
            started="2026-11-20T08:00:00+00:00",
            finished="2026-11-20T09:30:00+00:00",
            host=f"node{rng.randrange(4):03d}",
            job=f"{1000 + rng.randrange(3)}_{rng.randrange(100)}",
            attempt=1 + (rng.random() < 0.05),
            device="cpu",
            threads=2,
            peak_memory=1_500_000_000,
            versions={"torch": "2.9.0", "transformers": "5.20.0"},
            commit=rng.choice(commits),
            code="c" * 12,
            command="python -m jobs.worker",
        ),
    }


def _training(
    task: Task,
    train_rows: int,
    dev: Score | None,
    point: Hyperparameters,
    points: int,
    rng: random.Random,
) -> Training:
    plan = plan_updates(
        rows=train_rows,
        epochs=task.epochs,
        batch_size=point.batch_size,
        warmup_ratio=point.warmup_ratio,
        micro_batch=task.micro_batch,
    )
    points = min(points, plan.total)
    start = float(np.log(len(task.labels))) if task.labels else 2.0
    learnt = dev is not None and len(set(dev.predictions)) > 1
    ends = [start * (0.25 + 0.75 * 0.9**i if learnt else 1.02) for i in range(points)]
    values: list[float | None] = [x * (1 + 0.01 * rng.random()) for x in ends]
    steps = [(i + 1) * plan.total // points for i in range(points)]
    if dev is None:
        # a diverged run ends with the first loss that is not finite
        ended = points // 2 + 1
        values, steps = [*values[: ended - 1], None], steps[:ended]
    updates = steps[-1]
    finite = [x for x in values if x is not None]
    return Training(
        updates=updates,
        warmup_updates=plan.warmup,
        final_loss=values[-1],
        lowest_loss=min(finite) if finite else None,
        loss=tuple(zip(steps, values, strict=True)),
        gradient_norm=tuple((step, None if dev is None else rng.uniform(0.5, 5)) for step in steps),
        tokens=Tokens(
            real=updates * point.batch_size * 30, computed=updates * point.batch_size * 31
        ),
        carried=("encoder",),
        fresh=("classifier",),
    )


def _failure(
    study_id: str, rng: random.Random, *, cell: Cell | None = None, source: Source | None = None
) -> Failure:
    kind = rng.choice(KINDS)
    owner = cell or source
    assert owner is not None
    return Failure(
        study=study_id,
        cell=cell,
        source=source,
        kind=kind,
        message={"oom": "CUDA out of memory", "timeout": "time limit of 2:00:00 reached"}.get(
            kind, f"made-up {kind} error"
        ),
        traceback="Traceback (most recent call last):\n  made up\n",
        attempts=rng.randrange(1, 4),
        host=f"node{rng.randrange(4):03d}",
        job=f"{1000 + rng.randrange(3)}_{rng.randrange(100)}",
        finished="2026-11-20T09:30:00+00:00",
        log=f"logs/{owner.id}.log",
    )
