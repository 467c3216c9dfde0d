"""What tests of the scheduler share: an empty study."""

import pytest

from stilt.folder import StudyFolder


@pytest.fixture
def folder(tmp_path):
    """The folder of a study that has no file."""
    (tmp_path / "study").mkdir()
    return StudyFolder(tmp_path / "study")
