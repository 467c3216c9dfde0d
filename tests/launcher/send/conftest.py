"""What tests of sending share: a study, and a SLURM that only remembers what it was given."""

import os
from pathlib import Path

import pytest

from tests.support.cluster_study import make_study
from tests.support.fake_slurm import Fake


@pytest.fixture(scope="session")
def own(tmp_path_factory) -> Path:
    """3 sources and none x 2 targets x 2 warmup ratios x 3 seeds = 48 cells."""
    folder = tmp_path_factory.mktemp("own")
    make_study(folder)
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Fake:
    made = Fake(tmp_path / "fake", array_size=10)
    monkeypatch.setenv("FAKE", str(made.folder))
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SBATCH_")):
            monkeypatch.delenv(name)
    return made
