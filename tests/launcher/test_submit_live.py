"""On a real SLURM: faults while a study runs, and the same results as without any."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.status import main as status
from launcher.submit import main as submit_main
from stilt.folder import StudyFolder, read_study
from stilt.records import claims
from stilt.records.results import Result, SourceResult, read_record
from stilt.study import Study
from tests.support import slurm_cluster
from tests.support.cluster_study import make_study

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
REPOSITORY = Path(__file__).parents[2]
PROFILE = "gpus = 0\ncpus = 2\ntime = 10\nsignal_seconds = 20\n"


@pytest.fixture(scope="module")
def cluster():
    try:
        with slurm_cluster.cluster(slurm_cluster.Settings(max_array_size=10)):
            yield
    except slurm_cluster.ClusterError as error:
        if "Not installed" in str(error):
            pytest.skip(str(error))
        raise


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


def submit(own: Path, root: Path, *more: str, check: bool = True) -> str:
    """Runs the command as a person would; returns what it printed."""
    (own / "cluster.toml").write_text(PROFILE)
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), "--grid", "own.toml"]
    command += ["--data-dir", "data", "--root", str(root), "--threads", "1", *more]
    run = subprocess.run(command, cwd=own, capture_output=True, text=True, check=False)
    assert run.returncode == 0 or not check, run.stdout + run.stderr
    return run.stdout


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait(condition, what: str, seconds: float = 120):
    """Waits until a condition gives something and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited in vain for {what}\n{slurm('squeue', '--array')}")


def running_cells(folder: StudyFolder, study: Study, but: set[str] = frozenset()):
    """Claims of target cells that are at work, in elements other than ``but``."""
    found = [claims.read(path) for path in folder.claims.glob("[!.]*.json")]
    return [
        claim
        for claim in found
        if claim and claim.running and claim.item in study.cells and claim.job not in but
    ]


def wait_for_all_jobs() -> None:
    """Waits until the queue is empty; requeued jobs are not held back."""

    def empty() -> bool:
        slurm_cluster.release_requeued()
        return not slurm("squeue", "--noheader").strip()

    wait(empty, "an empty queue", 900)


def is_requeued(folder: StudyFolder, job: str) -> bool:
    """Whether an element was requeued, or is gone already."""
    log = folder.slurm / f"{job}_0_log.out"
    return "Requeued job" in log.read_text() or job not in slurm(
        "squeue", "--array", "--noheader", "--format=%i"
    )


def numbers(study: Study, folder: StudyFolder) -> dict[str, tuple]:
    """Everything of a result that training decides, by cell and source."""
    found: dict[str, tuple] = {}
    for cell in study.cells:
        record = read_record(Result, folder.result(cell))
        if record is not None:
            found[cell] = (record.status, record.score, record.dev, _curves(record.training))
    for source in study.sources:
        trained = read_record(SourceResult, folder.source(source) / "result.json")
        if trained is not None:
            checkpoint = trained.checkpoint
            found[source] = (trained.score, trained.dev, _curves(trained.training), checkpoint)
    return found


def _curves(training):
    return training.loss, training.gradient_norm, training.final_loss


def endings(folder: StudyFolder) -> Counter:
    """How often each item ended with a score, by the logs of all jobs."""
    found: Counter = Counter()
    for log in [*folder.slurm.glob("*_log.out"), *folder.logs.glob("*.log")]:
        item = None
        for line in log.read_text().splitlines():
            words = line.split()
            if len(words) > 3 and words[1].startswith("[") and words[1].endswith("]"):
                item = words[4] if words[2] == "source" else words[6]
            elif len(words) > 2 and words[1] in ("ok:", "diverged:"):
                found[item] += 1
    return found


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
    slurm_cluster.stop_slurmdbd()
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
    slurm_cluster.start_slurmdbd()

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
