"""How status and the dry run show the generation of SynthesisGPT2's rows."""

import json
import os
import socket
import time

import pytest

from launcher.status import main as status
from launcher.submit import main as submit
from launcher.watch.observer import Observer
from stilt.cell import SYNTHESIS
from stilt.folder import StudyFolder
from stilt.grid import load_grid
from stilt.plan import cost
from stilt.records import claims
from stilt.records.results import Failure, write_record
from stilt.study import bind
from tests.support.fake_commands import Commands
from tests.support.fake_study import make_study


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A study of four cells, two of them after a source that needs generated rows; none ran."""
    Commands(tmp_path / "fake", monkeypatch)
    block = {
        "sources": ["none", "synthesis-gpt2"],
        "targets": ["rte"],
        "learning_rate": [1e-5],
        "batch_size": [8, 16],
        "warmup_ratio": [0.0],
        "seed": [12],
    }
    grid = {"name": "g", "title": "G", "blocks": [block], "synthesis": {}}
    grid["model"] = {"hub": "org/encoder", "revision": "0" * 40, "parameters": 1_000_000}
    path = tmp_path / "logs/mine"
    study = make_study(path, grid=grid, dev_rows=20, points=4, missing=1.0, sources=False)
    return study, StudyFolder(path)


def row_of(tmp_path, capsys):
    """Exit code, and the generation's line on the screen."""
    code = status(["mine", "--root", str(tmp_path / "logs")])
    lines = capsys.readouterr().out.splitlines()
    return code, next(line for line in lines if line.startswith(f"{SYNTHESIS} "))


def hold(folder, **more):
    claim = claims.Claim(
        item=SYNTHESIS, submission="local-1", bundle="b0", host=socket.gethostname(),
        pid=os.getpid(), **more,
    )  # fmt: skip
    claims.take(claim, folder.claim(SYNTHESIS))


def fail(study, folder):
    failure = Failure(
        study=study.digest, cell=None, source=None, kind="data", traceback="",
        message="DataError: the text has no sentence", attempts=2, host="node1", job=None,
        finished="2026-11-20T09:30:00+00:00", log=None,
    )  # fmt: skip
    write_record(failure, folder.failure(SYNTHESIS))


def generate(folder):
    folder.synthesis().mkdir()
    for name in ("train.jsonl", "dev.jsonl"):
        (folder.synthesis() / name).write_text("{}\n")


def test_rows_that_nobody_generates_are_to_do(made, tmp_path, capsys):
    code, line = row_of(tmp_path, capsys)
    assert code == 0
    assert "○ to generate" in line


def test_a_generation_that_waits_is_pending(made, tmp_path, capsys):
    hold(made[1])
    assert "… pending" in row_of(tmp_path, capsys)[1]


def test_a_running_generation_shows_how_far_it_is_and_counts_as_work(made, tmp_path, capsys):
    study, folder = made
    hold(folder, running=True, started=time.time() - 100, done=7_750, total=31_000)
    _, line = row_of(tmp_path, capsys)
    assert "▶ generating 25%" in line
    standing = Observer(folder, study).look()
    (generation, _) = standing.sources
    assert generation.cost == cost(study, study.runs[SYNTHESIS]) > 0
    total = sum(item.cost for item in standing.items)
    assert standing.work_done == pytest.approx(0.25 * generation.cost / total)
    # a quarter took 100 s, and nothing else is submitted
    assert standing.left == pytest.approx(300, rel=0.05)


def test_a_failed_generation_is_told_with_its_class_and_its_message(made, tmp_path, capsys):
    fail(*made)
    code, line = row_of(tmp_path, capsys)
    assert code == 1
    assert "✗ failed: data" in line
    assert status(["why", SYNTHESIS, "--root", str(tmp_path / "logs")]) in (0, 1)
    assert "data: DataError: the text has no sentence" in capsys.readouterr().out


def test_generated_rows_are_done_even_after_an_earlier_failure(made, tmp_path, capsys):
    study, folder = made
    fail(study, folder)
    generate(folder)
    code, line = row_of(tmp_path, capsys)
    assert code == 0
    assert "✓ generated" in line
    standing = Observer(folder, study).look()
    assert standing.work_done == pytest.approx(
        cost(study, study.runs[SYNTHESIS]) / sum(item.cost for item in standing.items)
    )


def test_half_of_the_files_is_not_done(made, tmp_path, capsys):
    _, folder = made
    generate(folder)
    (folder.synthesis() / "dev.jsonl").unlink()
    assert "○ to generate" in row_of(tmp_path, capsys)[1]


def test_json_has_the_generation_among_its_items(made, tmp_path, capsys):
    hold(made[1], running=True, started=time.time() - 5, done=1, total=2)
    status(["mine", "--root", str(tmp_path / "logs"), "--json"])
    (item,) = (
        item for item in json.loads(capsys.readouterr().out)["items"] if item["id"] == SYNTHESIS
    )
    assert (item["stage"], item["state"], item["share"]) == ("synthesis", "running", 0.5)


def test_the_dry_run_counts_the_generation(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    arguments = ["--grid", "table4", "--dry-run", "--executor", "local", "--root", str(tmp_path)]
    assert submit(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines[lines.index("stages, in order") + 3 :]]
    costs = {row[1]: float(row[-1]) for row in table if row[0] in ("synthesis", "source")}
    # 31,000 rows x 60 tokens forward by GPT-2 medium, which is as large as RoBERTa-large
    assert costs["SynthesisGPT2"] == pytest.approx(31_000 * 60 / 3 / 1e6, abs=0.05)
    study = bind(load_grid("table4"), "model")
    assert cost(study, study.runs[SYNTHESIS]) == pytest.approx(620_000)
    total = next(float(row[-1]) for row in table if row[0] == "all")
    parts = sum(float(row[-1]) for row in table if row[0] in ("synthesis", "source", "targets"))
    assert total == pytest.approx(parts, abs=0.1 * len(table))
    assert total > sum(costs.values())
