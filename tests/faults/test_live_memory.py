"""On a real SLURM whose kernel kills what takes more memory than it asked for."""

import os

import pytest

from tests.support import slurm_cluster
from tests.support.gated_study import GatedStudy
from tests.support.live_study import numbers, wait_for_all_jobs

CGROUPS = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(
        os.getuid() != 0 or not os.path.exists(CGROUPS),  # noqa: PTH110 - a mark's condition
        reason="needs root and cgroups of version 1",
    ),
]


@pytest.fixture(scope="module")
def cluster():
    with slurm_cluster.cluster(slurm_cluster.Settings(memory_limits=True)):
        yield


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_kernel_kills_for_its_memory_is_told_as_such_and_runs_with_more(
    own, calm, cluster, tmp_path, workers
):
    live = GatedStudy(own, tmp_path, calm)
    live.shut("eat 1500")
    try:
        live.submit("--bundles", "1", "--memory", "1500M", "--workers-per-gpu", str(workers))
        wait_for_all_jobs()
        # those that had not begun say so too, and are merely to submit
        told = [item for item in live.items().values() if item["kind"] == "oom"]
        failed = [item["id"] for item in told if item["state"] == "failed"]
        if workers == 1:
            # the kernel ended the whole element: nobody was left to try again
            [item] = failed
            shown = live.shown("why", item)
            assert "oom: " in shown
            assert "What to do: submit again" in shown
            assert "or as it was with more memory: --memory 64G" in shown
            assert "_log.out, the last" in shown
        live.submit("--bundles", "1", "--memory", "4G", "--workers-per-gpu", str(workers))
        wait_for_all_jobs()
        # with more memory a run is made as it was; one that the element could try again itself,
        # with no more, is made in smaller passes, is told, and is all that differs
        smaller = {item["id"] for item in live.items().values() if item["smaller_passes"]}
        assert len(smaller) <= workers - 1
        assert not smaller & set(failed)
        assert ("made in smaller passes after out of memory" in live.shown("own")) == bool(smaller)
        found = numbers(live.study, live.folder)
        assert {cell for cell in calm if found[cell] != calm[cell]} <= smaller
        for cell in smaller:
            live.folder.result(cell).unlink()
        live.finish(once=False, submits=1)
    finally:
        live.open()
        slurm_cluster.heal()
