"""What commands take as studies grow: processor seconds and peak memory, each in its own process.

    python -m benchmarks.scale [--planned N] [--cells N] [--rounds N] [--json FILE]

Times ``--help`` and the dry run of the grid ``paper``; the dry run of a grid of ``--planned``
cells; and, at ``--cells`` cells, a submit to a SLURM of shell commands that only remember what they
were given, its status while all wait, the status of a study whose cells have results, and its
summary without and with figures. What a submit needs once for each model (trying it) and once for
each text (encoding it) is done by a smaller study before. Prints the median of the rounds;
processor seconds are user and system time of the command and all that it started, memory is the
largest process's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.collect_results import write_results
from benchmarks.sweep import processor_name
from tests.support.cluster_study import make_study
from tests.support.fake_slurm import Fake

REPOSITORY = Path(__file__).resolve().parents[1]
SUBMIT, STATUS, SUMMARIZE = "launcher/submit.py", "launcher/status.py", "analysis/summarize.py"
POINTS = 4 * 8 * 2
"""Cells of a grid for each seed: sources and none, targets, warmup ratios."""


class Cost(NamedTuple):
    """What one command took."""

    processor: float
    """Seconds of user and system time."""
    wall: float
    """Seconds."""
    memory: float
    """MB that its largest process had at most."""


def cost(folder: Path, script: str, *words: str) -> Cost:
    """Runs a command in a folder.

    Raises:
        SystemExit: It ended with a mistake or a traceback; a status of 1 tells of cells.
    """
    # a child's peak is known only of one that has no brothers: so a process waits for each
    waiter = (
        "import resource,subprocess,sys,json;done=subprocess.run(sys.argv[1:],capture_output=True);"
        "r=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([r.ru_utime+r.ru_stime,r.ru_maxrss/1024,done.returncode,"
        "done.stderr.decode()[-2000:]]))"
    )
    command = [sys.executable, "-c", waiter, sys.executable, str(REPOSITORY / script), *words]
    began = time.perf_counter()
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - began
    processor, memory, code, said = json.loads(run.stdout)
    if code:
        raise SystemExit(f"{script} {' '.join(words)} ended with {code}:\n{said}")
    return Cost(processor, wall, memory)


def grid_of(own: Path, name: str, cells: int) -> str:
    """Writes the own grid with as many seeds as make so many cells, or a few more."""
    text = (own / "own.toml").read_text(encoding="utf-8")
    seeds = list(range(1, -(-cells // POINTS) + 1))
    lines = [line for line in text.splitlines() if not line.startswith("seed")]
    place = lines.index("[source]") - 2
    lines.insert(place, f"seed = {seeds}")
    (own / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{name}.toml"


def measured(place: Path, planned: int, cells: int, rounds: int) -> Iterator[tuple[str, Cost]]:
    """Each command with what it took, round after round."""
    for _ in range(rounds):
        for script in (SUBMIT, STATUS, SUMMARIZE):
            yield f"{Path(script).stem} --help", cost(place, script, "--help")
        yield "submit --grid paper --dry-run", cost(place, SUBMIT, "--grid", "paper", "--dry-run")
    own = place / "own"
    make_study(own, targets=8, seeds=1)
    data = ("--data-dir", "data")
    first = grid_of(own, "first", POINTS)
    cost(own, SUBMIT, "--grid", first, *data)
    large = grid_of(own, "large", planned)
    some = grid_of(own, "some", cells)
    many = f"{-(-cells // POINTS) * POINTS:,} cells"
    of_planned = f"{-(-planned // POINTS) * POINTS:,} cells"
    for number in range(rounds):
        found = cost(own, SUBMIT, "--grid", large, *data, "--dry-run")
        yield f"submit --dry-run, {of_planned}", found
        root = ("--root", f"logs-{number}")
        yield f"submit, {many}", cost(own, SUBMIT, "--grid", some, *data, *root)
        yield f"status, {many} that wait", cost(own, STATUS, "some", *root)
    done = place / "done"
    study = write_results(done, cells)
    results = f"{len(study.cells):,} results"
    for number in range(rounds):
        yield f"status, {results}", cost(place, STATUS, "many", "--root", "done")
        for flags in (("--no-figures",), ()):
            for when in ("first", "again"):
                out = ("--out", f"out-{number}-{len(flags)}")
                words = ("many", "--root", "done", *flags, *out)
                what = " ".join(("summarize", *flags))
                yield f"{what}, {results}, {when}", cost(place, SUMMARIZE, *words)


def main(words: Sequence[str] | None = None) -> None:
    """Measures, prints one table, and writes JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--planned", type=int, default=100_000)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where every number goes, too")
    options = parser.parse_args(words)
    found: dict[str, list[Cost]] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        fake = Fake(place / "fake", array_size=1001)
        os.environ |= {
            "FAKE": str(fake.folder),
            "PATH": f"{fake.bin}{os.pathsep}{os.environ['PATH']}",
            "STILT_CACHE": str(place / "cache"),
            "XDG_CONFIG_HOME": name,
            "HF_HUB_OFFLINE": "1",
        }
        console = Console(width=110)
        with console.status("measuring"):
            for what, taken in measured(place, options.planned, options.cells, options.rounds):
                found.setdefault(what, []).append(taken)
    machine = {"processor": processor_name(), "cores": os.cpu_count(), "load": load}
    console.print(f"{machine}, {options.rounds} rounds")
    table = Table("command", "CPU s", "smallest", "wall s", "peak MB")
    for what, costs in found.items():
        processor = [one.processor for one in costs]
        table.add_row(
            what,
            f"{statistics.median(processor):.2f}",
            f"{min(processor):.2f}",
            f"{statistics.median(one.wall for one in costs):.1f}",
            f"{statistics.median(one.memory for one in costs):.0f}",
        )
    console.print(table)
    if options.json:
        costs = {what: [one._asdict() for one in several] for what, several in found.items()}
        options.json.write_text(json.dumps({"machine": machine, "costs": costs}, indent=1))


if __name__ == "__main__":
    main()
