"""A second study takes over what a first one has finished, from the command line."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.summarize import main as summarize
from launcher.clean import main as clean
from launcher.status import main as status
from launcher.submit import main as submit
from stilt.folder import StudyFolder, read_study
from stilt.records.results import Result, SourceResult, read_record
from tests.support.fake_commands import Commands

EARLIER = Path(__file__).parents[1] / "support/earlier_study"
DONE = {"1e2449ab0cb0", "2a061ab3167f", "5b1025e51b2d"}
"""Cells that an earlier version of the code finished."""
GIVEN = ["--grid", "own.toml", "--data-dir", "data", "--executor", "local", "--workers", "2"]


@pytest.fixture
def first(tmp_path, monkeypatch):
    """A study that earlier code began, with three of eight cells and its source done."""
    shutil.copytree(EARLIER, tmp_path / "own")
    (tmp_path / "own/logs").mkdir()
    (tmp_path / "own/study").rename(tmp_path / "own/logs/own")
    commands = Commands(tmp_path / "fake", monkeypatch)
    for name in ("squeue", "sacct"):
        commands.say(name)
    commands.say("scontrol", "ClusterName             = stilt\n")
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.setenv("COLUMNS", "200")
    return StudyFolder(tmp_path / "own/logs/own")


def files(folder):
    return {p: p.read_bytes() for p in sorted(folder.path.rglob("*")) if p.is_file()}


def test_a_dry_run_shows_what_a_second_study_would_take_over(first, capsys):
    before = files(first)
    assert submit([*GIVEN, "--study", "second", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "8 cells, 0 done, 0 held by live jobs, 3 to be taken over, 5 to run" in said
    assert "source hard0" in said
    assert not Path("logs/second").exists()
    assert files(first) == before


def test_other_rows_are_never_taken_over(first, capsys):
    path = Path("data/easy0/dev.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert submit([*GIVEN, "--study", "second", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "8 cells, 0 done, 0 held by live jobs, 8 to run" in said
    (line,) = (line for line in said.splitlines() if line.startswith("not taken over:"))
    assert "logs/own/results/" in line and "and 2 more" in line
    assert "field 'data' = " in line and "(task 'easy0': " in line and "own/data)" in line


def test_a_study_elsewhere_is_named_with_from(first, capsys):
    first.path.rename("elsewhere")
    assert submit([*GIVEN, "--study", "second", "--dry-run"]) == 0
    assert "8 to run" in capsys.readouterr().out
    assert submit([*GIVEN, "--study", "second", "--dry-run", "--from", "elsewhere"]) == 0
    assert "3 to be taken over, 5 to run" in capsys.readouterr().out
    assert submit([*GIVEN, "--study", "second", "--dry-run", "--from", "nowhere"]) == 2
    assert "--from nowhere: no such folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_second_study_runs_only_the_rest_and_is_whole_by_itself(first, capsys):
    assert submit([*GIVEN, "--study", "second"]) == 0
    said = capsys.readouterr().out
    assert "taken over: source hard0 and 3 cells from study own (logs/own)" in said
    assert "3 of 8 cells done, 0 held by live jobs, 5 runs to do" in said
    assert "5 runs done, 0 failed" in said
    second = StudyFolder(Path("logs/second"))
    study = read_study(second)
    (source,) = study.sources
    trained = read_record(SourceResult, second.source(source) / "result.json")
    assert trained.taken_from.study == "own"
    for cell in study.cells.values():
        record = read_record(Result, second.result(cell.id))
        assert (record.taken_from is not None) == (cell.id in DONE)
        if cell.source_id and cell.id not in DONE:
            assert record.start == trained.checkpoint
    # the first study is finished too, by itself or by the second: nothing is left to run
    assert submit(GIVEN) == 0
    said = capsys.readouterr().out
    assert "taken over: 5 cells from study second" in said
    assert "0 runs to do" in said
    assert clean(["own", "--yes"]) == 0
    shutil.rmtree(first.path)
    capsys.readouterr()
    assert status(["second"]) == 0
    said = capsys.readouterr().out
    assert "taken over, not run here: 3 cells and 1 source from study own" in said
    assert "taken over from own" in said
    assert status(["second", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["taken_over"] == 4
    assert status(["why", min(DONE)]) == 0
    assert "taken over from study own" in capsys.readouterr().out
    assert summarize(["second", "--no-figures"]) == 0
    said = capsys.readouterr().out
    assert "8 cells: 8 scored." in said
    assert "Taken over: 3 of 8 cells, not run anew: 3 from study own." in said
    assert "Taken over: 1 of 1 sources, not run anew: 1 from study own." in said
