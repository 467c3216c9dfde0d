"""A study that older code began is watched, summarised and finished by this code."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.summarize import main as summarize
from launcher.flags import Places
from launcher.status import main as status
from launcher.study.growth import Asked
from launcher.study.resolve import begin, check_data, resolve_study
from launcher.submit import main as submit
from stilt.folder import StudyFolder, read_study
from stilt.records.results import Result, read_record
from tests.support.fake_commands import Commands

FOLDER = Path(__file__).with_name("support") / "earlier_study"
DONE = {"1e2449ab0cb0", "2a061ab3167f", "5b1025e51b2d"}
RESUMABLE = "974f0c5607a0"
FAILED = "73eb21c501c9"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder; SLURM answers, and knows no job of the study any more."""
    shutil.copytree(FOLDER, tmp_path / "own")
    (tmp_path / "own/logs").mkdir()
    (tmp_path / "own/study").rename(tmp_path / "own/logs/own")
    commands = Commands(tmp_path / "fake", monkeypatch)
    commands.say("squeue")
    commands.say("sacct")
    commands.say("scontrol", "ClusterName             = stilt\n")
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.setenv("COLUMNS", "200")
    return StudyFolder(tmp_path / "own/logs/own")


def test_its_cells_have_the_ids_that_its_files_have(own):
    study = read_study(own)
    table = study.model_dump(mode="json")
    # what this code added since
    assert table["grid"].pop("chunk") is None
    assert table.pop("revisions") == []
    for task in table["tasks"].values():
        assert (task.pop("licence"), task.pop("credentialed")) == ("", False)
        assert all((o.pop("note"), o.pop("preferred")) == ("", False) for o in task["data"])
    assert json.loads(own.study_file.read_text()) == table
    assert {path.stem for path in own.results.glob("*.json")} == DONE <= set(study.cells)
    assert {path.name for path in own.source("").iterdir()} == set(study.sources)
    for cell in DONE:
        record = read_record(Result, own.result(cell))
        assert record.cell == study.cells[cell]
        assert record.study == study.digest


def test_status_tells_what_is_done_failed_and_interrupted(own, capsys):
    assert status(["own"]) in (0, 1)
    said = capsys.readouterr().out
    assert "3 done" in said
    assert "5 failed" in said
    assert "hard0    ✓ trained" in said
    assert "timeout" in said
    assert "to go on where they were once submitted again: 2" in said
    assert "python launcher/submit.py --grid own.toml --data-dir data --root logs" in said
    assert status(["why", FAILED]) == 0
    assert "the time limit was reached" in capsys.readouterr().out


def test_summarize_counts_what_is_there(own, capsys):
    assert summarize(["own", "--no-figures"]) == 0
    assert "8 cells: 3 scored, 1 failed, 4 missing." in capsys.readouterr().out


def test_it_grows_in_place_and_keeps_what_it_has(own, capsys):
    grid = own.path.parents[1] / "own.toml"
    grid.write_text(grid.read_text().replace("seed = [1, 2]", "seed = [1, 2, 3]"))
    words = ["--grid", "own.toml", "--data-dir", "data", "--executor", "local"]
    assert submit([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "study own, revision 2: +4 cells: seed 3; 8 cells there, 3 done" in said
    assert "study own: 12 cells, 3 done, 0 held by live jobs, 9 to run" in said
    resolved = resolve_study("own.toml", Places(data_dir=Path("data")))
    begin(resolved, check_data(resolved), lambda claim: False, Asked(command="this one"))
    study = read_study(own)
    first, second = study.revisions
    assert first.command.startswith("submit.py --grid own.toml")
    assert (first.cells, second.cells, second.command) == (8, 12, "this one")
    assert summarize(["own", "--no-figures"]) == 0
    assert "12 cells: 3 scored, 1 failed, 8 missing." in capsys.readouterr().out


@pytest.mark.slow
def test_the_same_command_finishes_it(own, capsys):
    before = {cell: own.result(cell).read_bytes() for cell in DONE}
    source = next(own.source("").iterdir())
    trained = (source / "model.safetensors").stat().st_mtime_ns
    assert (
        submit(
            ["--grid", "own.toml", "--data-dir", "data", "--executor", "local", "--workers", "2"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "3 of 8 cells done, 0 held by live jobs, 5 runs to do" in said
    assert {cell: own.result(cell).read_bytes() for cell in DONE} == before
    assert (source / "model.safetensors").stat().st_mtime_ns == trained
    study = read_study(own)
    records = {cell: read_record(Result, own.result(cell)) for cell in study.cells}
    assert {record.status for record in records.values()} == {"ok"}
    assert not list(own.failures.iterdir())
    # nothing proves that the state of an interrupted run is whole: older code wrote no digest
    said = "".join(path.read_text() for path in own.logs.glob("*.log"))
    assert f"{RESUMABLE}.pt: it has no digest" in said
    assert not own.resume(RESUMABLE).exists()
    assert summarize(["own", "--no-figures"]) == 0
    assert "8 cells: 8 scored." in capsys.readouterr().out
