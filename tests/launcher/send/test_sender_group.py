"""A study in a folder that a group shares: a colleague goes on with what one user began."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from launcher.scheduler.ledger import read_ledger
from stilt.folder import StudyFolder
from tests.support.cluster_study import make_study
from tests.support.fake_slurm import Fake

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two other users")

REPOSITORY = Path(__file__).parents[3]
ONE, OTHER = "daemon", "games"
"""Users that every Debian has."""
GROUP = 60
"""Both users' group in the shared folder."""
SCANCEL = """#!/bin/sh
for element; do touch "$FAKE/${element%%_*}.ended"; done
"""


@pytest.fixture
def place():
    """The study's files, a SLURM that only remembers, and a ``logs`` that the group shares."""
    # other users cannot enter pytest's own folders
    with tempfile.TemporaryDirectory(prefix="stilt-group-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_study(folder / "own", sources=1, targets=1, seeds=1)
        fake = Fake(folder / "fake", array_size=10)
        (fake.bin / "scancel").write_text(SCANCEL)
        for path in (fake.folder, *fake.folder.rglob("*")):
            path.chmod(0o777)
        (folder / "logs").mkdir()
        os.chown(folder / "logs", -1, GROUP)
        (folder / "logs").chmod(0o2775)
        yield folder


def run_as(user: str, place: Path, command: str, *arguments: str) -> str:
    """Runs a command of ours as another user with a home of her own; returns what it printed."""
    home = place / f"home-{user}"
    home.mkdir(exist_ok=True)
    home.chmod(0o777)
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    run = subprocess.run(
        [sys.executable, str(REPOSITORY / "launcher" / command), *arguments],
        user=user,
        group=GROUP,
        extra_groups=[],
        cwd=place,
        env=kept
        | {"HOME": str(home), "STILT_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1"}
        | {"FAKE": str(place / "fake"), "PATH": f"{place / 'fake/bin'}:{os.environ['PATH']}"},
        umask=0o002,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=500,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


def test_a_colleague_looks_at_a_study_goes_on_with_it_and_cancels_it(place):
    submit = ("submit.py", "--grid", "own/own.toml", "--data-dir", "own/data", "--bundles", "2")
    folder = StudyFolder(place / "logs/own")
    run_as(ONE, place, *submit)
    first = {line.array for line in read_ledger(folder) if line.array}
    assert "pending" in run_as(OTHER, place, "status.py", "own")
    # the jobs have died, and the launcher is long gone
    for job in first:
        (place / f"fake/{job}.ended").touch()
    lines = [json.loads(line) for line in folder.submissions.read_text().splitlines()]
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    text = "".join(json.dumps(line | {"time": long_ago}) + "\n" for line in lines)
    folder.submissions.write_text(text)
    printed = run_as(OTHER, place, *submit)
    assert "0 held by live jobs, 5 runs to do" in printed
    second = {line.array for line in read_ledger(folder) if line.array} - first
    assert len(second) == len(first)
    run_as(OTHER, place, "cancel.py", "own")
    assert not list(folder.claims.glob("[!.]*.json"))
    # and back again
    assert "5 runs to do" in run_as(ONE, place, *submit)
