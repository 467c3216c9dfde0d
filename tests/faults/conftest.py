"""Small studies on a real SLURM, and what they come to where nothing goes wrong."""

import pytest

from stilt.folder import StudyFolder, read_study
from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.gated_study import GatedStudy
from tests.support.live_study import PROFILE, numbers, submit


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """4 cells of one target, without a source."""
    folder = tmp_path_factory.mktemp("own")
    make_study(folder, sources=0, targets=1, seeds=2)
    (folder / "cluster.toml").write_text(PROFILE)
    return folder


@pytest.fixture(scope="session")
def calm(own, tmp_path_factory):
    """What they come to, run on this machine."""
    root = tmp_path_factory.mktemp("calm")
    submit(own, root, "--executor", "local", "--workers", "1", "--bundles", "1")
    folder = StudyFolder(root / "own")
    found = numbers(read_study(folder), folder)
    assert len(found) == 4
    return found


@pytest.fixture
def live(own, calm, cluster, tmp_path):
    """The study on SLURM; the cluster is mended, and its queue emptied, in the end."""
    yield (study := GatedStudy(own, tmp_path, calm))
    study.open()
    slurm_cluster.heal()
