"""Records of a study with a mistake in them: named, never used, and they hide no other."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from tests.support.judged import tell
from tests.support.mutations import (
    ONLY_JSON,
    json_text,
    mutated_bytes,
    mutated_table,
    replace_file,
)
from tests.support.spoilt_study import (
    CELLS,
    SOURCES,
    SpoiltStudy,
    first_to_break,
    make_template,
    worst,
)

SCORING = (
    *("status", "metric", "score", "majority", "chance"),
    *("classes", "train_rows", "dev_rows", "data"),
)
"""Fields of a result that decide what a table says of it, besides what it is of.

Weights are not among them: who starts from them compares their digest.
"""
OF_NUMBERS = ("score", "accuracy", "mcc")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("failing"), failed=1.0)


def spoil(rng: random.Random, path: Path) -> str:
    """Puts one mistake in a JSON file: in its table, its bytes, or in what lies at its place."""
    chance = rng.random()
    if chance < 0.06:
        return replace_file(rng, path)
    if chance < 0.45:
        made = mutated_bytes(rng, path.read_bytes())
        path.write_bytes(made.content)
    else:
        made = mutated_table(rng, json.loads(path.read_text()), ONLY_JSON)
        path.write_text(json_text(made.content) + "\n")
    return made.what


def table_of(path: Path):
    """What a file holds; None where it is no JSON, or one with a key twice."""
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError):
        return None


def _once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def decides(table) -> str:
    """What of a record decides a number in a table, as text."""
    dev = table.get("dev") or {}
    kept = {name: _number(table.get(name)) for name in SCORING}
    shown = {name: _number(dev.get(name)) for name in OF_NUMBERS}
    rows = [dev.get("predictions"), dev.get("gold")]
    return json.dumps([_run_of(table), kept, shown, rows], sort_keys=True)


def _number(value):
    """A number that stands in quotes is that number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _run_of(table) -> dict:
    """What a record is of: what the grid calls its source says nothing, nor does what is null.

    A cell without a stage is a target's, and nothing is less than 0 by a sign alone.
    """
    of, unsaid = (table["cell"], "source") if "cell" in table else (table["source"], "name")
    point = {key: value for key, value in of["hyperparameters"].items() if value is not None}
    point = {key: value + 0.0 if value == 0 else value for key, value in point.items()}
    said = {key: value for key, value in of.items() if value is not None and key != unsaid}
    stage = {"stage": "target"} if "cell" in table else {}
    return stage | said | {"hyperparameters": point}


def in_batches(seeds: Sequence[int], size: int):
    """Seeds, some at a time."""
    return [list(seeds[first : first + size]) for first in range(0, len(seeds), size)]


class Shown(NamedTuple):
    """What the commands show of a study."""

    items: dict
    """Runs, by id, as status has them."""
    cells: pl.DataFrame
    counted: int
    """Cells of all statuses that the summary speaks of."""
    left_out: set[str]
    """Files that it names as damaged."""


def survey_records(
    seeds: Sequence[int],
    boundary: str,
    size: int,
    check: Callable[[SpoiltStudy, dict[int, str], Shown], list[str]],
    spoilt: Callable[[list[int]], tuple[SpoiltStudy, dict[int, str]]],
) -> None:
    """Spoils many records of one study at once, prints every complaint and fails with one.

    Args:
        seeds: of the cases.
        boundary: what is tried, in words.
        size: records of one study that are spoilt together.
        check: returns complaints of single records.
        spoilt: spoils a record for each seed; returns the study, and what was done to each.
    """
    count = 0
    for batch in in_batches(seeds, size):
        whole: list[str] = []

        def breaks(some: list[int], whole=whole) -> str:
            study, said = spoilt(some)
            status, items = study.status()
            summary, content, cells = study.summarize()
            broken = worst(status, summary)
            if summary.code != 0 or not items:
                whole[:] = [f"nothing was shown: {status.err}{summary.err}"]
            else:
                left_out = {problem["file"] for problem in content["left_out"]}
                whole[:] = check(
                    study, said, Shown(items, cells, sum(content["cells"].values()), left_out)
                )
            return broken[0] if broken else ""

        if broken := first_to_break(batch, breaks):
            count += tell(boundary, broken[0], [broken[1]])
        else:
            count += tell(boundary, batch[0], whole)
    if count:
        pytest.fail(f"{count} complaints in {len(seeds)} cases", pytrace=False)


def test_a_spoilt_result_is_named_and_left_out_or_means_the_same(seeds, template, tmp_path):
    good: dict[str, str] = {}

    def spoilt(some):
        study = SpoiltStudy(template, tmp_path / f"case{some[0]}-{len(some)}")
        paths = sorted(study.folder.results.glob("*.json"))
        good.update({path.stem: decides(json.loads(path.read_text())) for path in paths})
        return study, {seed: _spoil_one(paths, seed, "result") for seed in some}

    def check(study, said, shown):
        items, cells, counted, left_out = shown
        found = [] if counted == CELLS == cells.height else ["cells are lost"]
        scored = set(cells.filter(cells["status"] == "ok")["cell"])
        for cell, was in good.items():
            path = study.folder.result(cell)
            named = f"results/{cell}.json" in left_out
            done = items[cell]["state"] == "done"
            table = table_of(path)
            what = f"results/{cell}.json ({_what(said, cell)})"
            if done == named or (cell in scored) == named:
                found.append(f"{what}: status {items[cell]['state']}, left out: {named}")
            if not named and (not isinstance(table, dict) or decides(table) != was):
                found.append(f"{what}: was taken")
            if not done and str(path.name) not in items[cell]["why"]:
                found.append(f"{what}: status does not name it: {items[cell]['why']}")
        return found

    survey_records(seeds, "result", 50, check, spoilt)


def _spoil_one(paths: list[Path], seed: int, boundary: str) -> str:
    path = paths[seed % len(paths)]
    return f"{path.stem} {spoil(random.Random(f'{boundary} {seed}'), path)}"


def _what(said: dict[int, str], name: str) -> str:
    return next((f"{seed} {what}" for seed, what in said.items() if what.startswith(name)), "whole")


def test_a_spoilt_record_of_a_source_is_named_and_never_used(seeds, template, tmp_path):
    good: dict[str, str] = {}

    def spoilt(some):
        study = SpoiltStudy(template, tmp_path / f"case{some[0]}-{len(some)}")
        paths = [study.folder.source(source) / "result.json" for source in study.study.sources]
        good.update({path.parent.name: decides(json.loads(path.read_text())) for path in paths})
        said = {}
        for seed in some:
            path = paths[seed % len(paths)]
            said[seed] = f"{path.parent.name} {spoil(random.Random(f'source {seed}'), path)}"
        return study, said

    def check(study, said, shown):
        items, cells, _, left_out = shown
        found = [] if cells.height == CELLS and len(good) == SOURCES else ["cells are lost"]
        for source, was in good.items():
            path = study.folder.source(source) / "result.json"
            named, done = (
                f"sources/{source}/result.json" in left_out,
                items[source]["state"] == "done",
            )
            table, what = table_of(path), f"source {source} ({_what(said, source)})"
            if done == named and path.exists():
                found.append(f"{what}: status {items[source]['state']}, left out: {named}")
            if done and (not isinstance(table, dict) or decides(table) != was):
                found.append(f"{what}: was taken")
        return found

    survey_records(seeds, "source", 30, check, spoilt)


def test_a_spoilt_failure_is_named_and_its_cell_is_still_counted(seeds, failing, tmp_path):
    def spoilt(some):
        study = SpoiltStudy(failing, tmp_path / f"case{some[0]}-{len(some)}")
        paths = sorted(study.folder.failures.glob("*.json"))
        return study, {seed: _spoil_one(paths, seed, "failure") for seed in some}

    def check(study, said, shown):
        items, cells, _, left_out = shown
        failed = dict(zip(cells["cell"], cells["failure_kind"], strict=True))
        found = [] if cells.height == CELLS else ["cells are lost"]
        for cell in study.study.cells:
            path, what = study.folder.failure(cell), f"failure {cell} ({_what(said, cell)})"
            if not path.exists():
                continue
            item, named = items[cell], f"failures/{cell}.json" in left_out
            if item["state"] != "failed" or (item["kind"] == "damaged") != named:
                found.append(f"{what}: status {item['state']} {item['kind']}, left out: {named}")
            if (failed[cell] is None) != named:
                found.append(f"{what}: summarize has {failed[cell]}, left out: {named}")
            if item["kind"] == "damaged" and path.name not in item["why"]:
                found.append(f"{what}: status does not name it: {item['why']}")
        return found

    survey_records(seeds, "failure", 50, check, spoilt)
