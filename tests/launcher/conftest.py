"""The throw-away SLURM, for the tests that want a real one."""

import pytest

from tests.support import slurm_cluster


@pytest.fixture(scope="module")
def cluster():
    try:
        with slurm_cluster.cluster(slurm_cluster.Settings(max_array_size=10)):
            yield
    except slurm_cluster.ClusterError as error:
        if "Not installed" in str(error):
            pytest.skip(str(error))
        raise
