"""What tests of the scheduler share: made-up commands, and an empty study."""

import pytest

from stilt.folder import StudyFolder
from tests.support.fake_commands import Commands


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands that say what a test wants; no other is found."""
    return Commands(tmp_path / "fake", monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """The folder of a study that has no file."""
    (tmp_path / "study").mkdir()
    return StudyFolder(tmp_path / "study")
