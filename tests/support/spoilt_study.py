"""A study of many runs whose records are made up, to be spoilt file by file, and what it shows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl

from analysis.summarize import main as summarize
from launcher.flags import Places
from launcher.status import main as status
from launcher.study.growth import Asked
from launcher.study.resolve import begin, check_data, resolve_study
from stilt.folder import StudyFolder, read_study
from stilt.records.claims import lives_here
from stilt.records.pins import read_pin
from stilt.study import Study
from tests.support.fake_study import make_study
from tests.support.judged import Ended, complaints, ended
from tests.support.own_study import make_own_study

MODEL = Path(__file__).with_name("earlier_study") / "model"
GRID = """
sources = ["none", {task = "endings", seeds = SEEDS}]
targets = ["pairs"]
learning_rate = [1e-3, 2e-3]
batch_size = [8]
warmup_ratio = [0.0]
seed = [12]
[model]
path = "set on the command line"
"""
"""1 + SEEDS sources x 1 target x 2 rates."""
SOURCES = 60
CELLS = 2 * (1 + SOURCES)


def make_template(
    place: Path, failed: float = 0.0, missing: float = 0.0, sources: int = SOURCES
) -> Path:
    """Writes a user's folder with a study in ``logs/own``; a share of its cells has no result."""
    own = make_own_study(place)
    (own / "own.toml").write_text(GRID.replace("SEEDS", str(list(range(sources)))))
    resolved = resolve_study(str(own / "own.toml"), places(own))
    begin(resolved, check_data(resolved), lives_here, Asked())
    pins = {name: read_pin(resolved.folder.data_digest(name)) for name in resolved.study.tasks}
    shares = {"failed": failed, "missing": missing}
    make_study(resolved.folder.path, bound=resolved.study, pins=pins, points=4, **shares)
    return own


def places(own: Path) -> Places:
    """Where a user's studies, data and model are."""
    return Places(root=own / "logs", data_dir=own / "data", model=str(MODEL))


def flags(own: Path) -> list[str]:
    """The same as arguments of a submit."""
    return [
        *("--grid", str(own / "own.toml"), "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(MODEL)),
    ]


class SpoiltStudy:
    """A copy of the template, in which some records are spoilt."""

    def __init__(self, template: Path, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        # paths in error messages tell one copy from another; nothing of the study holds its path
        shutil.copytree(template, place)
        self.own = place
        self.folder = StudyFolder(place / "logs/own")

    @property
    def study(self) -> Study:
        """The study as it is on disk."""
        return read_study(self.folder)

    def status(self, *more: str) -> tuple[Ended, dict[str, dict]]:
        """Runs status; returns what it shows of each run as well."""
        end = ended(status, ["own", "--root", self.own / "logs", "--json", *more])
        shown = json.loads(end.out)["items"] if end.out.startswith("{") else []
        return end, {item["id"]: item for item in shown}

    def summarize(self) -> tuple[Ended, dict, pl.DataFrame]:
        """Runs summarize; returns what it wrote as well."""
        end = ended(
            summarize, ["own", "--root", self.own / "logs", "--no-figures", "--format", "csv"]
        )
        if end.code != 0:
            return end, {}, pl.DataFrame()
        summary = self.folder.summary
        content = json.loads((summary / "summary.json").read_text())
        return end, content, pl.read_parquet(summary / "cells.parquet")


def first_to_break(seeds: list[int], breaks: Callable[[list[int]], str]) -> tuple[int, str] | None:
    """Which of many cases makes a command break down, and how; None where none does."""
    why = breaks(seeds)
    while why and len(seeds) > 1:
        middle = len(seeds) // 2
        first = breaks(seeds[:middle])
        seeds = seeds[:middle] if first else seeds[middle:]
        why = first or why
    return (seeds[0], why) if why else None


def worst(*ends: Ended) -> list[str]:
    """Complaints of several commands, those of a breakdown first."""
    return sorted((one for end in ends for one in complaints(end)), key=lambda o: "let an" not in o)
