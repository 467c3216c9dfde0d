"""What a submit on this machine writes down, and how it lets a person go on."""

import os
import socket
from pathlib import Path

import pytest

from launcher.local.pool import Pool, PoolOutcome
from launcher.scheduler.ledger import read_ledger
from launcher.status import main as status
from launcher.submit import main
from stilt.folder import StudyFolder, read_study
from tests.support.cluster_study import make_study


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A study whose local submit was stopped before anything ran: the command as typed."""
    grid = make_study(tmp_path / "own", sources=1, targets=1, seeds=1)
    words = ["--grid", str(grid), "--data-dir", str(tmp_path / "own/data"), "--executor", "local"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["launcher/submit.py", *words])
    monkeypatch.setattr("sys.orig_argv", ["python3.x", "launcher/submit.py", *words])

    def run(pool: Pool) -> PoolOutcome:
        for path in pool.folder.claims.iterdir():
            path.unlink()
        return PoolOutcome(interrupted=True)

    monkeypatch.setattr(Pool, "run", run)
    assert main(words) == 130
    return " ".join(["submit.py", *words])


def test_a_local_submit_writes_one_line_with_all_it_was_given(stopped):
    folder = StudyFolder(Path("logs/own"))
    [line] = read_ledger(folder).lines
    assert line.submission.startswith("local-")
    assert set(line.bundles) == {path.stem for path in folder.bundles.glob("*.json")}
    assert (line.command, line.host, line.pid) == (stopped, socket.gethostname(), os.getpid())
    assert line.age() < 60
    assert len(read_study(folder).cells) == 4


def test_status_suggests_the_command_of_a_local_study_also_after_it_was_cleaned(stopped, capsys):
    for path in StudyFolder(Path("logs/own")).bundles.glob("*.json"):
        path.unlink()
    capsys.readouterr()
    assert status(["own"]) == 0
    told = capsys.readouterr().out
    assert told.endswith(
        f"Nothing runs. The same command runs what is missing: python3.x launcher/{stopped}\n"
    )
