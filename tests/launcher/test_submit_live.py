"""On a real SLURM: faults while a study runs, and the same results as without any."""

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from stilt.folder import StudyFolder, read_study
from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.live_study import (
    endings,
    is_requeued,
    numbers,
    running_cells,
    slurm,
    submit,
    wait,
    wait_for_all_jobs,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """3 sources and none x 2 targets x 2 warmup ratios x 3 seeds = 48 cells."""
    folder = tmp_path_factory.mktemp("own")
    make_study(folder, rows=48, epochs=2)
    return folder


@pytest.fixture(scope="module")
def calm(own, tmp_path_factory) -> dict[str, tuple]:
    """What the study comes to where nothing goes wrong: run on this machine."""
    root = tmp_path_factory.mktemp("calm")
    submit(own, root, "--executor", "local", "--workers", "2", "--bundles", "4")
    folder = StudyFolder(root / "own")
    return numbers(read_study(folder), folder)


def test_a_study_under_faults_ends_complete_and_equal_to_an_undisturbed_one(
    own, calm, cluster, tmp_path
):
    root = tmp_path / "logs"
    folder = StudyFolder(root / "own")

    submit(own, root, "--bundles", "8")
    study = read_study(folder)
    assert len(study.cells) == 48
    assert len(study.sources) == 3

    # a time limit: SLURM sends the signal, the element saves, is requeued, and goes on
    late = wait(lambda: running_cells(folder, study), "a running cell")[0]
    slurm("scontrol", "update", f"jobid={late.job}", "TimeLimit=1")
    wait(lambda: is_requeued(folder, late.job), "the time limit")
    subprocess.run(["scontrol", "update", f"jobid={late.job}", "TimeLimit=10"], check=False)
    # the signal itself, as a preemption sends it: the limit may come too late for a quick machine
    early = wait(lambda: running_cells(folder, study, {late.job}), "another running cell")[0]
    slurm("scancel", "--signal=USR2", early.job)
    # a worker killed by hand
    known = {late.job, early.job}
    victim = wait(lambda: running_cells(folder, study, known), "a cell to be killed")[0]
    os.kill(victim.pid, signal.SIGKILL)
    # accounting goes down, and somebody submits again
    slurm_cluster.stop_daemon("slurmdbd")
    submit(own, root, "--bundles", "8")
    # an element is cancelled
    cancelled = wait(
        lambda: running_cells(folder, study, known | {victim.job}), "a cell to be cancelled"
    )[0]
    slurm("scancel", cancelled.job)
    # a node goes down and comes back; its jobs are requeued
    wait(lambda: running_cells(folder, study, {cancelled.job}), "a cell on a node that fails")
    slurm_cluster.node_down("node1")
    slurm_cluster.node_up("node1")
    slurm_cluster.start_daemon("slurmdbd")

    for _ in range(6):
        wait_for_all_jobs()
        done = numbers(study, folder)
        if len(done) == 51:
            break
        submit(own, root, "--bundles", "8")

    logs = "".join(path.read_text() for path in folder.slurm.glob("*_log.out"))
    assert "Requeued job" in logs
    assert done == calm
    assert len(done) == 51
    assert set(endings(folder).values()) == {1}
    assert not list(folder.failures.glob("*.json"))
    assert not list(folder.claims.glob("[!.]*.json"))


def test_a_failed_source_fails_its_targets_with_the_reason_and_nothing_waits(
    own, cluster, tmp_path
):
    root = tmp_path / "logs"
    folder = StudyFolder(root / "own")
    broken = (own / "data/hard1/train.jsonl").read_text()
    # the rows pass the launcher's look and are changed before the job starts
    slurm("scontrol", "update", "partitionname=test", "state=down")
    submit(own, root, "--bundles", "4")
    (own / "data/hard1/train.jsonl").write_text(broken.replace('"label": "1"', '"label": "0"'))
    slurm("scontrol", "update", "partitionname=test", "state=up")
    wait_for_all_jobs()
    (own / "data/hard1/train.jsonl").write_text(broken)
    study = read_study(folder)
    bad = study.source_named("hard1")
    failures = [json.loads(path.read_text()) for path in folder.failures.glob("*.json")]
    kinds = Counter(failure["kind"] for failure in failures)
    assert kinds == {"data": 1, "source": 12}
    reasons = {failure["message"] for failure in failures if failure["kind"] == "source"}
    assert len(reasons) == 1
    assert reasons.pop().startswith("its source hard1 failed: data: DataError: ")
    assert {f["cell"]["source_id"] for f in failures if f["cell"]} == {bad.id}
    assert len(numbers(study, folder)) == 36 + 2
    assert not list(folder.claims.glob("[!.]*.json"))


def test_arrays_are_split_where_the_cluster_says_and_wait_for_their_source(own, cluster, tmp_path):
    root = tmp_path / "logs"
    slurm("scontrol", "update", "partitionname=test", "state=down")
    try:
        submit(own, root, "--bundles", "48", "--parallel", "6")
        queued = [
            line.split("|")
            for line in slurm("squeue", "--noheader", "--format=%i|%E|%K|%F").splitlines()
        ]
        assert len(queued) == 3 + 4 * 2
        assert sum("afterok" in waits for _, waits, _, _ in queued) == 6
    finally:
        slurm("scancel", "--partition=test")
        slurm("scontrol", "update", "partitionname=test", "state=up")
        wait_for_all_jobs()


def test_workers_that_share_an_element_do_the_work_of_one(own, calm, cluster, tmp_path):
    root = tmp_path / "logs"
    folder = StudyFolder(root / "own")
    submit(own, root, "--bundles", "1", "--workers-per-gpu", "2")
    study = read_study(folder)
    assert [len(bundle["bundle"]["items"]) for bundle in bundles(folder)].count(12) == 4
    # one signal for the whole element: all of its workers save, and go on after the requeue
    running = wait(
        lambda: len(running_cells(folder, study)) > 1 and running_cells(folder, study),
        "two cells of one element",
    )
    slurm("scancel", "--signal=USR2", running[0].job)
    wait_for_all_jobs()
    assert numbers(study, folder) == calm
    assert set(endings(folder).values()) == {1}


def bundles(folder: StudyFolder) -> list[dict]:
    found = [json.loads(path.read_text()) for path in folder.bundles.glob("*.json")]
    return [bundle for bundle in found if "." not in bundle["bundle"]["id"]]


def test_cells_of_two_processes_are_signalled_requeued_and_end_as_if_they_had_not_been(
    cluster, tmp_path
):
    folder = tmp_path / "two"
    grid = make_study(folder, sources=0, targets=1, seeds=1, rows=48, epochs=12)
    grid.write_text(f"processes = 2\n{grid.read_text()}")
    submit(folder, tmp_path / "calm", "--executor", "local", "--workers", "1", "--bundles", "1")
    submit(folder, tmp_path / "logs", "--bundles", "1")
    calm, live = StudyFolder(tmp_path / "calm/own"), StudyFolder(tmp_path / "logs/own")
    study = read_study(live)
    running = wait(
        lambda: [claim for claim in running_cells(live, study) if claim.done], "a cell of two"
    )
    slurm("scancel", "--signal=USR2", running[0].job)
    wait_for_all_jobs()
    assert "Requeued job" in "".join(log.read_text() for log in live.slurm.glob("*_log.out"))
    assert len(numbers(study, live)) == 2
    assert numbers(study, live) == numbers(study, calm)
    assert set(endings(live).values()) == {1}
