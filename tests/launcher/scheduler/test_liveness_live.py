"""On a real SLURM: what squeue and sacct say of jobs, and who lives."""

import subprocess
import time

import pytest

from launcher.scheduler.ledger import read_ledger
from launcher.scheduler.liveness import ClaimLiveness, query_jobs
from stilt.slurm.words import NEVER_STARTS
from tests.support import slurm_cluster
from tests.support.slurm_answers import NAME, claim, line, note

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def sbatch(*options, script="sleep 300"):
    command = ["sbatch", "--parsable", f"--job-name={NAME}", "--output=/dev/null", *options]
    run = subprocess.run([*command, f"--wrap={script}"], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def until(condition, limit=60.0):
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)
    return found


def test_a_real_slurm_tells_of_running_failed_waiting_and_cancelled_jobs(cluster, folder):
    script = "case $SLURM_ARRAY_TASK_ID in 1) exit 3;; esac; sleep 300"
    array = sbatch("--array=0-2%2", script=script)
    after = sbatch("--array=0-1", f"--dependency=afterok:{array}", "--kill-on-invalid-dep=yes")
    note(folder, line(array=array), line(array=after, bundles=["c0", "c1"]))

    def seen():
        found = query_jobs(read_ledger(folder).lines).jobs
        ended = found.get(f"{array}_1")
        # sacct is asked before squeue: it may have answered a moment before the end, with 0:0
        known = ended is not None and ended.exit_code in ("", "3:0")
        return found if known and ended.state == "FAILED" else None

    assert until(seen)[f"{array}_0"].live
    assert ClaimLiveness(folder).lives(claim("b0"))
    assert not ClaimLiveness(folder).lives(claim("b1"))
    assert ClaimLiveness(folder).lives(claim("c1"))
    slurm_cluster.stop_daemon("slurmdbd")
    try:
        looked = query_jobs(read_ledger(folder).lines)
        assert "onnection refused" in looked.sacct_problem
        assert looked.jobs[f"{array}_1"].state == "FAILED"
    finally:
        slurm_cluster.start_daemon("slurmdbd")
    subprocess.run(["scancel", array], check=True)
    until(lambda: not ClaimLiveness(folder).lives(claim("b0")))
    until(lambda: not ClaimLiveness(folder).lives(claim("c1")))
    assert query_jobs(read_ledger(folder).lines).jobs[f"{array}_0"].state == "CANCELLED"
    until(lambda: query_jobs(read_ledger(folder).lines).jobs[f"{after}_0"].reason == NEVER_STARTS)


def test_a_real_requeue_stays_live(cluster, folder):
    array = sbatch("--array=0-1", "--requeue")
    note(folder, line(array=array, bundles=["b0", "b1"]))
    first = f"{array}_0"

    def state():
        return query_jobs(read_ledger(folder).lines).jobs.get(first)

    until(lambda: (now := state()) and now.state == "RUNNING" and (now.elapsed or 0) >= 2)
    subprocess.run(["scontrol", "requeue", first], check=True)
    until(lambda: (now := state()) and now.state == "PENDING")
    assert ClaimLiveness(folder).lives(claim("b0"))
    subprocess.run(["scancel", array], check=True)
