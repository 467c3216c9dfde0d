"""A study that is done, for the tests of the commands."""

import pytest

from stilt.folder import StudyFolder
from tests.support.fake_study import make_study


@pytest.fixture
def made(tmp_path, commands):
    """A study of 18 cells and three sources, all done."""
    block = {
        "sources": ["none", "hellaswag", "hellaswag-p"],
        "targets": ["rte", "cola"],
        "learning_rate": [1e-5],
        "batch_size": [8, 16, 32],
        "warmup_ratio": [0.0],
        "seed": [12],
    }
    grid = {"name": "g", "title": "G", "blocks": [block]}
    grid["model"] = {"hub": "org/encoder", "revision": "0" * 40}
    study = make_study(tmp_path / "logs/mine", grid=grid, dev_rows=20, points=4)
    return study, StudyFolder(tmp_path / "logs/mine")
