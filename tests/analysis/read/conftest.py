"""A study of 16 cells, whole, for tests to spoil."""

import shutil
from pathlib import Path

import pytest

from stilt.folder import StudyFolder
from stilt.study import Study
from tests.support.fake_study import TINY, make_study


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    path = tmp_path_factory.mktemp("studies") / "tiny"
    return path, make_study(path, grid=TINY | {"curve": True})


@pytest.fixture
def tiny(template: tuple[Path, Study], tmp_path: Path) -> tuple[StudyFolder, Study]:
    path, study = template
    shutil.copytree(path, tmp_path / "tiny")
    return StudyFolder(tmp_path / "tiny"), study
