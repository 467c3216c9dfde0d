"""A small study before its first run and after its last."""

import pytest

from stilt.folder import StudyFolder
from tests.support.fake_study import EIGHT_CELLS, make_study
from tests.support.taken_study import begun, make_done


@pytest.fixture
def empty(tmp_path):
    """A study of 8 cells and a source of which nothing was run."""
    study = make_study(tmp_path / "s", grid=EIGHT_CELLS, missing=1.0, sources=False)
    return study, StudyFolder(tmp_path / "s")


@pytest.fixture
def generating(tmp_path):
    """The same, whose targets also read rows that the study generates."""
    (block,) = EIGHT_CELLS["blocks"]
    block = block | {"targets": [*block["targets"], "synthesis-gpt2"]}
    grid = EIGHT_CELLS | {"blocks": [block], "synthesis": {}}
    study = make_study(tmp_path / "s", grid=grid, missing=1.0, sources=False)
    return study, StudyFolder(tmp_path / "s")


@pytest.fixture
def finished(tmp_path):
    """The same study with every result."""
    study = make_study(tmp_path / "s", grid=EIGHT_CELLS)
    return study, StudyFolder(tmp_path / "s")


@pytest.fixture
def done(tmp_path):
    """A study of which everything is there, called ``done``."""
    return make_done(tmp_path)


@pytest.fixture
def new(tmp_path, done):
    """A study that has begun beside it with the same rows, and has run nothing."""
    return begun(tmp_path, like=done)
