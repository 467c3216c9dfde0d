"""Where the commands of these tests run: nothing is trained, and lines are not broken."""

import shutil
from itertools import count
from pathlib import Path

import pytest

from launcher import submission
from tests.support.own_study import make_own_study

USUAL = range(50)
NIGHTLY = range(50, 1_050)
MODEL = Path(__file__).parents[2] / "support/earlier_study/model"


def pytest_generate_tests(metafunc):
    """Gives each test here its 50 cases, and a thousand others under the marker ``nightly``."""
    if "seeds" in metafunc.fixturenames:
        many = pytest.param(NIGHTLY, marks=pytest.mark.nightly, id="nightly")
        metafunc.parametrize("seeds", [pytest.param(USUAL, id="usual"), many])


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    """A wide screen, no SLURM, no network, no worker, and a folder to start in."""
    monkeypatch.setenv("COLUMNS", "2000")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("STILT_DATA_DIR", raising=False)
    monkeypatch.setattr(submission, "_run_here", lambda options: 0)
    for name in ("bin", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def fresh(tmp_path):
    """Gives a user's own folder for each case: the former one is removed."""
    own = make_own_study(tmp_path / "template")
    numbers = count()
    last = tmp_path / "none"

    def new() -> Path:
        nonlocal last
        shutil.rmtree(last, ignore_errors=True)
        last = tmp_path / f"case{next(numbers)}"
        shutil.copytree(own, last)
        return last

    return new
