"""Pending jobs run the code as it was at the submit."""

import os
import subprocess
import sys

import pytest

from launcher.study.worker_code import snapshot, worker_environment
from stilt.folder import StudyFolder


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    for package in ("stilt", "launcher", "jobs"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("")
    (folder / "jobs/answer.py").write_text("print(1)\n")
    (folder / "stilt/tasks").mkdir()
    (folder / "stilt/tasks/rte.toml").write_text("epochs = 5\n")
    (folder / "jobs/__pycache__").mkdir()
    (folder / "jobs/__pycache__/answer.py").write_text("stale")
    return folder


@pytest.fixture
def study(tmp_path):
    return StudyFolder(tmp_path / "logs/own")


def test_an_edit_after_the_submit_does_not_reach_a_pending_job(repository, study):
    code = snapshot(study, repository)
    (repository / "jobs/answer.py").write_text("print(2)\n")
    # as in a job: the copy is on the path, and the folder it starts in is the repository
    environment = os.environ | {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "jobs.answer"],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "1\n"


def test_the_same_code_is_kept_once_and_other_code_beside_it(repository, study):
    first = snapshot(study, repository)
    assert snapshot(study, repository) == first
    (repository / "stilt/tasks/rte.toml").write_text("epochs = 3\n")
    second = snapshot(study, repository)
    assert second != first
    assert (first / "stilt/tasks/rte.toml").read_text() == "epochs = 5\n"
    assert sorted(path.name for path in first.parent.iterdir()) == sorted([first.name, second.name])


def test_only_code_and_task_files_are_kept(repository, study):
    (repository / "jobs/weights.bin").write_bytes(b"0")
    code = snapshot(study, repository)
    found = {str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()}
    packages = {f"{package}/__init__.py" for package in ("stilt", "launcher", "jobs")}
    assert found == packages | {"jobs/answer.py", "stilt/tasks/rte.toml"}


OWN = ("jobs", "stilt", "analysis", "launcher", "random", "queue")


@pytest.mark.parametrize("name", OWN)
def test_a_worker_is_not_kept_from_starting_by_what_a_person_calls_her_files(
    name, tmp_path, monkeypatch
):
    own = tmp_path / name
    own.mkdir()
    (own / "__init__.py").write_text("raise SystemExit('a file of the person')")
    # as "export PYTHONPATH=$PYTHONPATH:/my/lib" leaves it where it was empty
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}/my/lib")
    run = subprocess.run(
        [sys.executable, "-c", "import random, queue, analysis, launcher, jobs.settings"],
        env=worker_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
