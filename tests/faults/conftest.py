"""A small study on a real SLURM, and what it comes to where nothing goes wrong."""

import pytest

from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.gated_study import GatedStudy, undisturbed


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """4 cells of one target, without a source."""
    folder = tmp_path_factory.mktemp("own")
    make_study(folder, sources=0, targets=1, seeds=2)
    return folder


@pytest.fixture(scope="session")
def calm(own, tmp_path_factory):
    return undisturbed(own, tmp_path_factory.mktemp("calm"))


@pytest.fixture
def live(own, calm, cluster, tmp_path):
    """The study on SLURM; the cluster is mended, and its queue emptied, in the end."""
    yield (study := GatedStudy(own, tmp_path, calm))
    study.open()
    slurm_cluster.heal()
