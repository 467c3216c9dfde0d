"""What a study keeps beside its records, with a mistake in it: claims, ledger, study.json, data."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher import submission
from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.submit import main as submit
from stilt.records.claims import new_claim, take
from tests.faults.inputs.test_bad_records import spoil, table_of
from tests.support.claims import DEAD
from tests.support.judged import complaints, ended, survey
from tests.support.mutations import Mutation, mutated_bytes
from tests.support.spoilt_study import SpoiltStudy, flags, make_template

RUN_HERE = submission._run_here


@dataclass(frozen=True)
class NoPool:
    """A pool that ends as soon as it has begun: what it was given stays claimed."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    interrupted: bool = False

    def run(self):
        return self


@pytest.fixture
def claiming(monkeypatch):
    """Lets a submit claim what is missing, and start no worker."""
    monkeypatch.setattr(submission, "_run_here", RUN_HERE)
    monkeypatch.setattr(submission, "Pool", lambda *_, **__: NoPool())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("whole"), sources=2)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return make_template(tmp_path_factory.mktemp("empty"), sources=2, missing=1.0)


def begin(study: SpoiltStudy):
    """The submit of the study's grid."""
    return ended(submit, [*flags(study.own), "--executor", "local"])


def looks(study: SpoiltStudy) -> list:
    """The commands that change nothing."""
    places = ["own", "--root", study.own / "logs", "--dry-run"]
    return [ended(cancel, places), ended(clean, places)]


def test_a_spoilt_claim_holds_nothing_for_ever(seeds, empty, tmp_path, claiming):
    def case(rng):
        study = SpoiltStudy(empty, tmp_path / f"case{rng.random()}")
        cell = rng.choice(list(study.study.cells))
        path = study.folder.claim(cell)
        claim = new_claim(cell, rng.choice(("local-1", "slurm-1")), "bundle")
        take(claim.model_copy(update={"pid": DEAD, "birth": None}), path)
        what = spoil(rng, path)
        shown, items = study.status()
        found = [one for end in (shown, *looks(study)) for one in complaints(end)]
        if items:
            held = items[cell]["state"] in ("running", "pending")
            end = begin(study)
            found += complaints(end)
            now = table_of(path) if path.is_file() else None
            mine = (
                isinstance(now, dict)
                and str(now.get("submission")).startswith("local-1")
                and (now["submission"] != "local-1")
            )
            if held == mine:
                found.append(f"status says {items[cell]['state']}, then submit has {now}")
        return [f"{what}: {one}" for one in found]

    survey(seeds, "claim", case)


LEDGER = (
    '{"submission":"slurm-1","time":"2026-11-25T12:57:32+00:00","host":"login1","pid":7,'
    '"bundles":["b0","b1"],"token":"t0","stage":"target","needs":["synthesis"],"cluster":"north"}\n'
    '{"submission":"slurm-1","array":"12","time":"2026-11-25T12:57:33+00:00","bundles":["b0","b1"],'
    '"token":"t0","command":"submit.py --grid own.toml","gpus":1,"minutes":240}\n'
    '{"submission":"local-2","time":"2026-11-25T13:57:32+00:00","bundles":["b3"]}\n'
)


def test_a_spoilt_ledger_stops_no_command(seeds, whole, tmp_path, claiming):
    def case(rng):
        study = SpoiltStudy(whole, tmp_path / f"case{rng.random()}")
        path = study.folder.submissions
        if rng.random() < 0.5:
            # one line of several
            lines = LEDGER.splitlines(keepends=True)
            place = rng.randrange(len(lines))
            path.write_text(lines[place])
            what = spoil(rng, path)
            if path.is_file():
                middle = path.read_bytes().rstrip(b"\n") + b"\n"
                rest = "".join(lines[:place]).encode(), "".join(lines[place + 1 :]).encode()
                path.write_bytes(rest[0] + middle + rest[1])
        else:
            made: Mutation = mutated_bytes(rng, LEDGER.encode())
            what = made.what
            path.write_bytes(made.content)
        cell = next(iter(study.study.cells))
        study.folder.result(cell).unlink()
        take(new_claim(cell, "slurm-1", "b0"), study.folder.claim(cell))
        shown, items = study.status()
        found = [one for end in (shown, *looks(study), begin(study)) for one in complaints(end)]
        if items and sum(item["state"] == "done" for item in items.values()) != len(items) - 1:
            found.append("a run that is done is not shown as done")
        return [f"{what}: {one}" for one in found]

    survey(seeds, "ledger", case)


def test_a_spoilt_study_file_is_named_or_no_result_is_counted_under_it(seeds, whole, tmp_path):
    good = json.loads((whole / "logs/own/study.json").read_text())

    def case(rng):
        study = SpoiltStudy(whole, tmp_path / f"case{rng.random()}")
        what = spoil(rng, study.folder.study_file)
        table = table_of(study.folder.study_file)
        shown, items = study.status()
        gone = not study.folder.study_file.is_file()
        found = complaints(shown, named=[] if gone else ["study.json"])
        for end in (*looks(study), study.summarize()[0], begin(study)):
            found += complaints(end)
        if shown.code in (0, 1) and table != good:
            # a run's id is the digest of all that decides its result
            known = SpoiltStudy(whole, tmp_path / "other").study.runs
            done = [item for item in items.values() if item["state"] == "done"]
            if strange := [item["id"] for item in done if item["id"] not in known]:
                found.append(f"{len(strange)} runs of another study are shown as done")
        return [f"{what}: {one}" for one in found]

    survey(seeds, "study.json", case)


def test_a_spoilt_digest_of_data_is_told_and_mended_or_refused(seeds, whole, tmp_path, claiming):
    def case(rng):
        study = SpoiltStudy(whole, tmp_path / f"case{rng.random()}")
        path = study.folder.data_digest(rng.choice(("pairs", "endings")))
        good = json.loads(path.read_text())
        what = spoil(rng, path)
        left, table = path.exists() or path.is_symlink(), table_of(path)
        end = begin(study)
        found = complaints(end, named=[path.stem])
        if end.code == 0:
            now = table_of(path)
            if not isinstance(now, dict) or now.get("digest") != good["digest"]:
                found.append(f"was not mended: {now}")
            whole_still = isinstance(table, dict) and table.get("digest") == good["digest"]
            if left and not whole_still and path.name not in end.out:
                found.append("was mended without a word")
        return [f"{what}: {one}" for one in found]

    survey(seeds, "data digest", case)


def test_a_spoilt_study_hides_no_other(whole, tmp_path):
    study = SpoiltStudy(whole, tmp_path / "case")
    other: Path = study.own / "logs/other"
    other.mkdir()
    rng = random.Random(0)
    for number in range(20):
        (other / "study.json").write_bytes((study.folder.study_file).read_bytes())
        what = spoil(rng, other / "study.json")
        shown, items = study.status()
        assert shown.code == 0 and len(items) == 8, (number, what)
        for path in other.iterdir():
            path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
