"""Freeing the disk without losing a result."""

import os
import sys

import pytest

from launcher.clean import main as clean
from stilt.folder import StudyFolder, write_study
from tests.support.fake_study import make_study
from tests.support.half_done import hold_two_elements, make_half_done, run


@pytest.fixture
def commands(commands):
    commands.say("scancel")
    return commands


@pytest.fixture
def study(tmp_path, commands):
    return make_half_done(tmp_path / "logs/mine")


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "logs/mine")


@pytest.fixture
def two_elements(study, folder, commands):
    hold_two_elements(study, folder, commands)


def litter(study, folder):
    """Everything that a study leaves behind, and its size in bytes."""
    source = next(iter(study.sources))
    files = {
        folder.source(source) / "model.safetensors": 1000,
        folder.resume("abc"): 300,
        folder.logs / "b.log": 20,
        folder.slurm / "12_submission.sh": 5,
        folder.bundles / "b.json": 7,
        folder.path / "code/1234/stilt/a.py": 11,
    }
    for path, length in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
    return files


def finish(study, tmp_path):
    """The same study with every result."""
    make_study(tmp_path / "logs/mine", grid=study.grid, dev_rows=20, points=4)


def kept(folder):
    found = [
        folder.study_file,
        *folder.results.iterdir(),
        *folder.path.glob("sources/*/result.json"),
    ]
    return {path: path.read_bytes() for path in found}


def test_cleaning_removes_all_but_results_and_says_how_much(study, folder, tmp_path, capsys):
    finish(study, tmp_path)
    files = litter(study, folder)
    before = kept(folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert not any(path.exists() for path in files)
    assert kept(folder) == before
    assert f"({sum(files.values())} bytes)" in said.out


def test_weights_that_unfinished_cells_need_stay(study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    weights = next(path for path in files if path.name == "model.safetensors")
    assert weights.exists()
    assert "kept: the weights of hellaswag" in said.out
    assert f"({sum(files.values()) - 1000} bytes)" in said.out


def test_cleaning_refuses_while_jobs_live(two_elements, study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 2
    assert "2 jobs still run or wait" in said.err
    assert all(path.exists() for path in files)


def test_cleaning_asks_and_does_nothing_where_nobody_answers(
    study, folder, tmp_path, capsys, monkeypatch
):
    files = litter(study, folder)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    code, said = run(clean, tmp_path, capsys)
    sys.stdin.close()
    assert code == 2
    assert "say --yes" in said.err
    assert all(path.exists() for path in files)


def test_a_dry_run_of_cleaning_removes_nothing(study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--dry-run")
    assert code == 0
    assert "nothing was removed" in said.out
    assert all(path.exists() for path in files)


def test_a_clean_study_has_nothing_to_remove(study, folder, tmp_path, capsys):
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert "nothing to remove" in " ".join(said.out.split())


@pytest.mark.parametrize("place", ["resume", "claims", "sources", "source"])
def test_what_a_link_leads_to_is_never_removed(study, folder, tmp_path, capsys, place):
    finish(study, tmp_path)
    litter(study, folder)
    for path in folder.claims.glob("*"):
        path.unlink()
    source = next(iter(study.sources))
    inner = {"source": folder.source(source)}.get(place, folder.path / place)
    outside = tmp_path / "scratch"
    outside.mkdir()
    if inner.exists():
        inner.rename(outside / "real")
    (outside / "real").mkdir(exist_ok=True)
    (outside / "real/mine.txt").write_text("x")
    before = sorted(path for path in outside.rglob("*"))
    inner.symlink_to(outside / "real")
    code, _ = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert sorted(path for path in outside.rglob("*")) == before
    assert inner.is_symlink()


def test_a_study_whose_own_folder_is_a_link_is_cleaned(study, folder, tmp_path, capsys):
    finish(study, tmp_path)
    files = litter(study, folder)
    folder.path.rename(tmp_path / "elsewhere")
    folder.path.symlink_to(tmp_path / "elsewhere")
    for path in folder.claims.glob("*"):
        path.unlink()
    code, _ = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert not any(path.exists() for path in files if path.parent == folder.logs)


def test_what_a_killed_submit_left_of_rows_that_it_took_over_goes(study, folder, tmp_path, capsys):
    finish(study, tmp_path)
    half = folder.path / ".synthesis.abc/new"
    half.mkdir(parents=True)
    (half / "train.jsonl").write_text("{}")
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert "half-written files" in said.out
    assert not half.parent.exists()


def test_of_what_a_study_was_revised_to_lose_only_the_weights_are_removed(
    study, folder, tmp_path, capsys
):
    finish(study, tmp_path)
    (source,) = study.sources
    weights = folder.source(source) / "model.safetensors"
    weights.write_bytes(b"x" * 1000)
    rows = folder.path / "synthesis-0123456789ab"
    rows.mkdir()
    (rows / "train.jsonl").write_text("{}\n")
    grid = study.model_dump()
    grid["grid"]["blocks"][0]["sources"] = ["none"]
    write_study(type(study).model_validate(grid), folder)
    before = kept(folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert "(1000 bytes)" in said.out
    assert not weights.exists()
    assert kept(folder) == before
    assert (rows / "train.jsonl").exists()
    assert "kept: synthesis-0123456789ab (3 B), rows generated for a grid before" in (
        " ".join(said.out.split())
    )
