"""A study on a real SLURM: submitted as a person would, waited for, and read back."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.results import Result, SourceResult, read_record
from stilt.study import Study

REPOSITORY = Path(__file__).parents[2]
PROFILE = "gpus = 0\ncpus = 2\ntime = 30\nsignal_seconds = 20\n"
PATIENCE = 900
"""Seconds for anything to happen, on a machine that may have much else to do."""


def submit(own: Path, root: Path, *more: str, check: bool = True, env=None) -> str:
    """Runs the command as a person would; returns what it printed."""
    if not (own / "cluster.toml").exists():
        (own / "cluster.toml").write_text(PROFILE)
    run = subprocess.run(
        submit_command(root, *more), cwd=own, capture_output=True, text=True, check=False, env=env
    )
    assert run.returncode == 0 or not check, run.stdout + run.stderr
    return run.stdout + run.stderr


def submit_command(root: Path, *more: str) -> list[str]:
    """The command that submits the study ``own`` of the working folder."""
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), "--grid", "own.toml"]
    return [*command, "--data-dir", "data", "--root", str(root), "--threads", "1", *more]


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait(condition, what: str, seconds: float = PATIENCE):
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
    """Waits until the queue is empty.

    Requeued jobs are held back for a few seconds, and that is as it should be: one that is released
    before may start on a node which still takes it for the job that it has just killed.
    """
    wait(lambda: not slurm("squeue", "--noheader").strip(), "an empty queue")


def steps() -> list[Path]:
    """SLURM's processes above the cluster's running elements, which outlive a job that is killed.

    A node that is up again before they are gone still takes a requeued job for the one that it has
    just killed, and is drained.
    """
    conf = f"SLURM_CONF={os.environ['SLURM_CONF']}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "comm").read_text().startswith("slurmstepd") and (
                conf in (place / "environ").read_bytes().split(b"\0")
            ):
                found.append(place)
    return found


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
                item = words[2]
            elif len(words) > 2 and words[1] in ("ok:", "diverged:"):
                found[item] += 1
    return found
