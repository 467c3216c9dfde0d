"""What several tests of the analysis share: a small study that is done."""

import shutil
from pathlib import Path

import pytest

from tests.support.fake_study import TINY, make_study


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("root")
    make_study(root / "tiny", grid=TINY)
    return root


@pytest.fixture
def root(template, tmp_path, monkeypatch) -> Path:
    shutil.copytree(template, tmp_path / "root")
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "root"
