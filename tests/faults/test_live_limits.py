"""On a real SLURM: a study of more cells than the cluster takes at a time."""

import pytest

from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.gated_study import GatedStudy, undisturbed
from tests.support.live_study import slurm, wait

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.nightly]


@pytest.fixture(scope="module")
def cluster():
    """Arrays of at most 5 elements, and a limit on what a user may queue."""
    settings = slurm_cluster.Settings(max_array_size=5, max_submit_jobs=100)
    with slurm_cluster.cluster(settings):
        yield


def limit_jobs(count: int) -> None:
    """Limits what a user may queue."""
    slurm("sacctmgr", "-i", "modify", "cluster", "stilt", "set", f"MaxSubmitJobs={count}")


def elements(state: str = "PENDING,RUNNING") -> list[str]:
    """Elements that wait or run now; SLURM lists ended ones for a while, too."""
    names = slurm("squeue", "--array", "--noheader", "--format=%i", f"--states={state}")
    return names.split()


def test_what_exceeds_the_queue_s_limit_is_told_and_sent_by_the_same_command(
    cluster, tmp_path, tmp_path_factory
):
    # three sources, each with its cells behind it, and cells without: at least 7 elements
    own = tmp_path_factory.mktemp("sources")
    make_study(own, sources=3, targets=1, seeds=1)
    live = GatedStudy(own, tmp_path, undisturbed(own, tmp_path / "calm"))
    limit_jobs(4)
    try:
        printed = live.submit("--bundles", "8")
        assert "exceed the 4 jobs that you may still queue here" in printed
        assert len(elements()) == 4
        wait(lambda: len(elements("RUNNING")) == 2, "two elements at work")
        printed = live.submit("--bundles", "8", check=False)
        assert "exceed the 0 jobs that you may still queue here" in printed
        assert "nothing was sent." in printed
        assert len(elements()) == 4
        left = [item for item in live.items().values() if item["state"] == "open"]
        assert left
        assert not any(item["kind"] for item in left)
        live.finish(submits=6)
    finally:
        live.open()
        limit_jobs(100)
        slurm_cluster.heal()


def test_a_limit_on_what_runs_at_a_time_holds_over_several_arrays(
    cluster, tmp_path, tmp_path_factory
):
    own = tmp_path_factory.mktemp("wide")
    make_study(own, sources=0, targets=1, seeds=6)
    live = GatedStudy(own, tmp_path, undisturbed(own, tmp_path / "calm"))
    try:
        # four elements would fit on the nodes
        printed = live.submit(
            *("--bundles", "12", "--parallel", "2"),
            *("--profile", str(live.profile("cpus = 1\n"))),
        )
        assert "3 arrays are in the queue" in printed
        assert len(elements()) == 12
        live.at_gate(2)
        live.open()
        most = 0
        while elements():
            most = max(most, len(elements("RUNNING")))
        assert most == 2
        live.finish(submits=0)
    finally:
        live.open()
        slurm_cluster.heal()
