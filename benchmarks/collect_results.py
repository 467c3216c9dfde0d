"""Reading a study's results: the aggregator against a json + pandas loop, both in one run.

    python -m benchmarks.collect_results [--results N] [--folder FOLDER]

Writes N results with curves of 100 points and predictions of the tasks' real dev sizes to a folder
that is removed at the end, and times, each in a process of its own: the first call of ``collect``,
a second one, one after a hundredth of the files were written anew, two with every column (in
memory, to a file), and the loop, which keeps 12 numbers of each file, checks none, and drops curves
and predictions. The first call reads in several processes where there are cores for them. Prints
seconds, seconds of processor time of all processes, the largest one's peak memory, and the ratio.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis.read.collect import collect, grid_frame
from analysis.read.columns import NARROW
from stilt.folder import StudyFolder, read_study, write_study
from stilt.grid import Grid, load_grid
from stilt.records.answers import classes_of
from stilt.records.pins import new_pin
from stilt.records.results import Result
from stilt.records.validity import judge_of
from stilt.study import Study, bind
from tests.support.fake_study import make_study

TEMPLATES = 4
"""Different results per source and target; the others are copies with another cell."""


def grid_of(results: int) -> Grid:
    """The paper's sources and targets with as many seeds as make so many cells, or a few more."""
    grid = load_grid("full")
    (block,) = grid.blocks
    rows = len(block.sources) * len(block.targets)
    points = len(block.points()) // len(block.seed)
    seeds = -(-results // (rows * points))
    return grid.model_copy(
        update={"blocks": (block.model_copy(update={"seed": tuple(range(seeds))}),)}
    )


def write_results(path: Path, results: int) -> Study:
    """Writes a study with so many results, most of them copies of a few."""
    few = grid_of(32 * 18 * TEMPLATES)
    make_study(path / "few", grid=few, dev_rows=None, points=100, diverged=0.02)
    tails: dict[tuple[str, str], list[str]] = {}
    for file in sorted((path / "few" / "results").iterdir()):
        text = file.read_text()
        cell = json.loads(text)["cell"]
        tails.setdefault((cell["source"], cell["target"]), []).append(
            text[text.index('"status"') :]
        )
    shutil.rmtree(path / "few")
    study = bind(grid_of(results), "made-up-model", name="many")
    folder = StudyFolder(path / "many")
    write_study(study, folder)
    study = read_study(folder)
    folder.results.mkdir()
    rng = random.Random(0)
    digest = study.digest
    for cell in itertools.islice(study.cells.values(), results):
        tail = rng.choice(tails[cell.source, cell.target])
        head = f'{{"schema_version":1,"study":"{digest}","cell":{cell.model_dump_json()},'
        folder.result(cell.id).write_text(head + tail)
        if not folder.data_digest(cell.target).exists():
            # as a submit does, before anything is run
            result = Result.model_validate_json(head + tail)
            if result.dev is not None:
                labels = classes_of(result.dev.gold).tolist()
                pin = new_pin(result.data, result.train_rows, labels, "made up")
                judge_of(study, folder).pin(cell.target, None, pin)
    return study


def touch_some(path: Path, share: float) -> None:
    """Writes a share of the results anew."""
    files = sorted((path / "results").iterdir())
    for file in files[: max(1, int(share * len(files)))]:
        text = file.read_bytes()
        file.unlink()
        file.write_bytes(text)


def collected(path: Path, columns: tuple[str, ...] | None = NARROW, into: str = "") -> int:
    """The aggregator: without curves and predictions, unless other columns are named.

    Args:
        path: the study's folder.
        columns: those that are in memory; all if None.
        into: name of a file there that gets every column, as the command line uses it.
    """
    folder = StudyFolder(path)
    file = path / into if into else None
    cells = collect(folder, read_study(folder), columns, into=file).cells
    return cells["score"].count() + (cells["status"] == "diverged").sum()


def grid_alone(path: Path) -> int:
    """What the first call spends on listing the grid's cells."""
    return grid_frame(read_study(StudyFolder(path))).height


def loop(path: Path) -> int:
    """What one writes first: read each file with json, keep some numbers, make a data frame."""
    rows = []
    for file in (path / "results").glob("*.json"):
        with file.open() as opened:
            result = json.load(opened)
        point = result["cell"]["hyperparameters"]
        rows.append(
            {
                "cell": result["cell"]["id"],
                "source": result["cell"]["source"],
                "target": result["cell"]["target"],
                "learning_rate": point["learning_rate"],
                "batch_size": point["batch_size"],
                "warmup_ratio": point["warmup_ratio"],
                "seed": point["seed"],
                "status": result["status"],
                "score": result["score"],
                "majority": result["majority"],
                "final_loss": result["training"]["final_loss"],
                "seconds": result["timings"]["train"],
            }
        )
    return len(pd.DataFrame(rows))


class Cost(NamedTuple):
    """What a piece of work took."""

    count: int
    seconds: float
    processor: float
    """Seconds of all threads and child processes together."""
    memory: float
    """Peak of the largest process, in MB."""


def timed(work: Callable[[Path], int], path: Path) -> Cost:
    """Does work and says what it took."""
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    count = work(path)
    seconds, processor = time.perf_counter() - began, sum(os.times()[:4]) - cpu
    processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    memory = max(resource.getrusage(which).ru_maxrss for which in processes) / 1024
    return Cost(count, seconds, processor, memory)


def measure(work: Callable[[Path], int], path: Path) -> Cost:
    """Times work in a fresh process, so that its memory and its modules' state are its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(os.getpid).result()  # imports are not what is measured
        return pool.submit(timed, work, path).result()


def main() -> None:
    """Runs everything and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if absent")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        began = time.perf_counter()
        write_results(Path(name), options.results)
        path = Path(name) / "many"
        size = sum(file.stat().st_size for file in (path / "results").iterdir())
        console.print(
            f"{options.results} results, {size / 1e6:.0f} MB of JSON, written in "
            f"{time.perf_counter() - began:.0f} s; {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f}"
        )
        table = Table("what", "seconds", "processor s", "peak MB", "against the loop")
        rows = {"json + pandas loop": measure(loop, path)}
        rows["collect, first call"] = measure(collected, path)
        rows["  of it, listing the grid"] = measure(grid_alone, path)
        rows["collect, second call"] = measure(collected, path)
        touch_some(path, 0.01)
        rows["collect, a hundredth is new"] = measure(collected, path)
        rows["collect, second call, every column"] = measure(partial(collected, columns=None), path)
        rows["collect, every column to a file"] = measure(
            partial(collected, into="cells.parquet"), path
        )
        reference = rows["json + pandas loop"]
        for label, cost in rows.items():
            if not label.startswith("  ") and cost.count != options.results:
                raise SystemExit(f"{label}: {cost.count} counted, {options.results} written")
            table.add_row(
                label,
                f"{cost.seconds:.2f}",
                f"{cost.processor:.2f}",
                f"{cost.memory:.0f}",
                f"{reference.seconds / cost.seconds:.1f} times as fast",
            )
        console.print(table)


if __name__ == "__main__":
    main()
