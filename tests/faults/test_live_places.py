"""On a real SLURM: folders fill up, move and change; sbatch lies; a job submits jobs."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.live_study import (
    numbers,
    slurm,
    submit_command,
    wait,
    wait_for_all_jobs,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a disk")


def test_an_array_that_slurm_took_although_sbatch_timed_out_is_found(live, tmp_path, monkeypatch):
    real = shutil.which("sbatch")
    liar = tmp_path / "bin/sbatch"
    liar.parent.mkdir()
    liar.write_text(
        f'#!/bin/sh\n{real} "$@" > {tmp_path}/said\n'
        "echo 'sbatch: error: Batch job submission failed: "
        "Socket timed out on send/recv operation' >&2\nexit 1\n"
    )
    liar.chmod(0o755)
    monkeypatch.setenv("PATH", f"{liar.parent}{os.pathsep}{os.environ['PATH']}")
    live.open()
    printed = live.submit("--bundles", "2")
    job = (tmp_path / "said").read_text().split()[-1]
    assert job in printed
    assert "1 array is in the queue" in printed
    live.finish(submits=0)


@pytest.mark.nightly
def test_a_job_submits_a_study_as_a_person_would(live, tmp_path):
    live.open()
    script = tmp_path / "job.sh"
    command = " ".join(submit_command(live.root, "--bundles", "2"))
    script.write_text(
        f"#!/bin/bash\n#SBATCH --output={tmp_path}/out\n#SBATCH --mem=500 --cpus-per-task=1\n"
        f"#SBATCH --time=7\n#SBATCH --array=3-3\ncd {live.own}\nsrun {command}\n"
    )
    subprocess.run(["sbatch", str(script)], env=live.environment, check=True)
    wait_for_all_jobs()
    printed = (tmp_path / "out").read_text()
    assert "1 array is in the queue" in printed
    live.finish(submits=0)


@contextlib.contextmanager
def small_disk(folder: Path):
    """A disk of 8 MiB for a folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Fills a folder's disk to the last byte."""
    path = folder / "filling"
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return path


@AS_ROOT
@pytest.mark.nightly
def test_a_disk_that_fills_up_under_a_study_costs_no_result(live):
    with small_disk(live.root):
        live.submit("--bundles", "2")
        claims = live.at_gate(2)
        filling = fill(live.root)
        live.open()
        wait_for_all_jobs()
        shown = live.shown("own")
        assert "disk" in shown
        for claim in claims:
            why = live.shown("why", claim.item)
            assert "disk" in why
            room = f"clean.py {live.folder.argument}), then submit again"
            assert "What to do: make room (" in why and room in why
        assert not numbers(live.study, live.folder)
        printed = live.submit("--bundles", "2", check=False)
        assert "Traceback" not in printed
        assert "No space left on device" in printed
        filling.unlink()
        live.finish(submits=1)


@pytest.mark.nightly
def test_a_study_s_folder_that_is_moved_between_submits_goes_on_where_it_is(live, tmp_path):
    live.submit("--bundles", "2")
    first, second = live.at_gate(2)
    slurm("scancel", first.job)
    live.wait_for(first.item, "open", "cancelled")
    # the other element waits while the folder is away for a moment: nothing is lost
    slurm("scontrol", "requeuehold", second.job)
    shown = live.wait_for(second.item, "pending")
    assert f"until: scontrol release {second.job.partition('_')[0]}" in shown
    wait(lambda: not slurm("squeue", "--noheader", "--states=RUNNING,COMPLETING"), "an end")
    old = live.root
    live.root = old.rename(tmp_path / "elsewhere")
    assert live.items()[second.item]["state"] == "pending"
    live.root = live.root.rename(old)
    assert live.items()[second.item]["state"] == "pending"
    slurm("scancel", second.job.partition("_")[0])
    live.wait_for(second.item, "open", "cancelled")
    live.root = old.rename(tmp_path / "elsewhere")
    live.submit("--bundles", "2")
    live.at_gate(2)
    assert not old.exists()
    live.finish(submits=0)


@pytest.mark.nightly
def test_an_element_whose_folder_was_moved_away_under_it_is_told_and_run_again(live, tmp_path):
    slurm("scontrol", "update", "partitionname=test", "state=down")
    live.submit("--bundles", "2")
    old = live.root
    live.root = old.rename(tmp_path / "elsewhere")
    slurm("scontrol", "update", "partitionname=test", "state=up")
    wait_for_all_jobs()
    assert not old.exists()
    assert {state for state, _ in live.states()} == {"open"}
    item = next(iter(live.items()))
    shown = live.shown("why", item)
    assert "ended before this one began: FAILED" in shown
    assert "folder: " in shown
    assert "its node could not open the folder of its log" in shown
    live.finish(submits=1)


@pytest.mark.nightly
def test_a_model_that_is_changed_while_jobs_wait_is_refused_and_runs_once_it_is_put_back(
    live, tmp_path
):
    own = shutil.copytree(live.own, tmp_path / "own")
    grid = own / "own.toml"
    grid.write_text(grid.read_text().replace(str(live.own), str(own)))
    live.own = own
    live.open()
    weights = own / "model/model.safetensors"
    as_it_was = weights.read_bytes()
    slurm("scontrol", "update", "partitionname=test", "state=down")
    live.submit("--bundles", "2")
    weights.write_bytes(as_it_was[:-1] + bytes([as_it_was[-1] ^ 1]))
    slurm("scontrol", "update", "partitionname=test", "state=up")
    wait_for_all_jobs()
    assert live.states() == [("failed", "model")] * 4
    shown = live.shown("why", next(iter(live.items())))
    assert f"{own / 'model'}: the model was changed since the study was begun" in shown
    assert "model.safetensors" in shown
    assert "Put the folder back as it was and submit again" in shown
    weights.write_bytes(as_it_was)
    live.finish(submits=1)
