"""On a real SLURM: nodes that break under a job, and a study that is stopped and cleaned."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.status import main as status
from launcher.submit import main as submit_main
from stilt.folder import StudyFolder, read_study
from tests.support import slurm_cluster
from tests.support.cluster_study import make_study
from tests.support.live_study import PROFILE, numbers, slurm, submit, wait_for_all_jobs

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_an_element_whose_node_broke_goes_on_elsewhere(cluster, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH --array=0-1\n#SBATCH --open-mode=append\n"
        f"#SBATCH --output={tmp_path}/%a.out\n#SBATCH --cpus-per-task=2\n"
        f"srun --output={tmp_path}/%a.out {sys.executable} {tmp_path}/job.py\n"
    )
    (tmp_path / "job.py").write_text(
        "import os, signal\n"
        "from jobs.requeue import requeue_elsewhere\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ran on', os.environ['SLURMD_NODENAME'], flush=True)\n"
        "job = os.environ['SLURM_ARRAY_JOB_ID'] + '_' + os.environ['SLURM_ARRAY_TASK_ID']\n"
        "if os.environ['SLURM_ARRAY_TASK_ID'] == '1' and 'SLURM_RESTART_COUNT' not in os.environ:\n"
        "    requeue_elsewhere(job, os.environ['SLURMD_NODENAME'])\n"
    )
    slurm("sbatch", str(script))
    wait_for_all_jobs()
    lines = (tmp_path / "1.out").read_text().splitlines()
    nodes = [line.split()[-1] for line in lines if line.startswith("ran on")]
    assert sorted(nodes) == ["node1", "node2"]


BREAKS_AT_FIRST = """
import os

if os.environ.get("STILT_LOG_FILE") and "SLURM_RESTART_COUNT" not in os.environ:
    import jobs.run_cell

    def run_cell(*_, **__):
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")

    jobs.run_cell.run_cell = run_cell
"""
"""Python loads this in every worker: the first node of an element is broken."""


def test_an_element_of_two_workers_leaves_a_node_whose_gpu_broke(cluster, tmp_path, monkeypatch):
    folder = tmp_path / "broken"
    make_study(folder, sources=0, targets=1, seeds=2)
    (tmp_path / "sitecustomize.py").write_text(BREAKS_AT_FIRST)
    here = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{here}")
    submit(folder, tmp_path / "logs", "--bundles", "1", "--workers-per-gpu", "2")
    wait_for_all_jobs()
    live = StudyFolder(tmp_path / "logs/own")
    assert len(numbers(read_study(live), live)) == 4
    assert not list(live.failures.glob("*.json"))
    [submitted] = [
        line["array"]
        for line in map(json.loads, live.submissions.read_text().splitlines())
        if "array" in line
    ]
    told = ("--noheader", "--parsable2", "--allocations", "--duplicates", "--format=NodeList")
    assert sorted(slurm("sacct", *told, f"--jobs={submitted}").split()) == ["node1", "node2"]


def test_an_element_stays_on_a_broken_node_that_no_other_can_stand_in_for(cluster, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH --gres=gpu:1\n#SBATCH --open-mode=append\n"
        f"#SBATCH --output={tmp_path}/out\nsrun --output={tmp_path}/out --open-mode=append "
        f"{sys.executable} {tmp_path}/job.py\n"
    )
    (tmp_path / "job.py").write_text(
        "import os, signal\n"
        "from jobs.requeue import requeue_elsewhere\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ran on', os.environ['SLURMD_NODENAME'], flush=True)\n"
        "if 'SLURM_RESTART_COUNT' not in os.environ:\n"
        "    requeue_elsewhere(os.environ['SLURM_JOB_ID'], os.environ['SLURMD_NODENAME'])\n"
    )
    slurm_cluster.node_down("node2")
    try:
        slurm("sbatch", str(script))
        wait_for_all_jobs()
    finally:
        slurm_cluster.node_up("node2")
    lines = (tmp_path / "out").read_text().splitlines()
    assert [line for line in lines if line.startswith("ran on")] == ["ran on node1"] * 2


def test_a_real_study_is_watched_cancelled_in_part_and_whole_and_cleaned(
    cluster, tmp_path, monkeypatch, capsys
):
    # nothing can start, so that nothing but the queue is at work
    for node in slurm_cluster.NODES:
        slurm_cluster.node_down(node)
    try:
        own = tmp_path / "own"
        own.mkdir()
        make_study(own, sources=1)
        monkeypatch.chdir(own)
        Path("cluster.toml").write_text(PROFILE)
        assert submit_main(["--grid", "own.toml", "--data-dir", "data", "--bundles", "4"]) == 0
        capsys.readouterr()

        def count():
            assert status(["own", "--json"]) in (0, 1)
            return json.loads(capsys.readouterr().out)["count"]

        def queued():
            command = ["squeue", "--array", "--noheader", "--format=%i"]
            return subprocess.run(command, capture_output=True, text=True).stdout.split()

        assert count()["pending"] == 24
        before = len(queued())
        assert clean(["own", "--yes"]) == 2
        assert cancel(["own", "--source", "none"]) == 0
        capsys.readouterr()
        assert count() == {"done": 0, "running": 0, "pending": 12, "failed": 0, "open": 12}
        assert 0 < len(queued()) < before
        assert cancel(["own"]) == 0
        capsys.readouterr()
        assert count()["open"] == 24
        assert queued() == []
        assert clean(["own", "--yes"]) == 0
        assert list(StudyFolder(Path("logs/own")).slurm.iterdir()) == []
    finally:
        for node in slurm_cluster.NODES:
            slurm_cluster.node_up(node)
