"""Several processes that run each cell together: the same mathematics, and nobody left hanging."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from launcher.cluster.profile import Profile
from launcher.submit import main as submit
from stilt.errors import ConfigError
from stilt.folder import StudyFolder, read_study
from stilt.grid import load_grid
from stilt.records.claims import read as read_claim
from stilt.records.results import Failure, Result, read_record
from stilt.study import bind
from tests.support.own_study import make_own_study

SCRIPT = Path(__file__).parents[3] / "launcher/submit.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def still(roberta, tmp_path_factory):
    """The tiny encoder without dropout, whose random numbers differ between processes."""
    folder = tmp_path_factory.mktemp("still") / "model"
    shutil.copytree(roberta, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def command(place, model, processes, epochs=2, sources='["none"]', warmups="[0.2]", rate="1e-3"):
    """A submit of a small study."""
    own = make_own_study(place)
    grid, pairs = own / "own.toml", own / "pairs.toml"
    text = grid.read_text().replace("[0.0, 0.2]", warmups)
    text = text.replace('["pairs", "endings"]', '["pairs"]')
    text = text.replace("learning_rate = [1e-3]", f"learning_rate = [{rate}]")
    text = text.replace('["none", "endings"]', sources)
    grid.write_text(f"processes = {processes}\n{text}")
    pairs.write_text(pairs.read_text().replace("epochs = 2", f"epochs = {epochs}\nmicro_batch = 5"))
    return [
        *("--grid", str(grid), "--executor", "local", "--root", str(own / "logs")),
        *("--data-dir", str(own / "data"), "--model", str(model), "--workers", "1"),
        *("--bundles", "1", "--threads", "1"),
    ]


def run(place, model, processes, **more):
    """Runs a study to its end; its folder."""
    assert submit(command(place, model, processes, **more)) == 0
    return StudyFolder(place / "own/logs/own")


def results(folder):
    found = (read_record(Result, path) for path in sorted(folder.results.glob("*.json")))
    return {(r.cell.source, r.cell.hyperparameters.warmup_ratio): r for r in found}


def start(arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(met, seconds=180):
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def running(folder, target):
    """The claim of the cell of a target that trains now."""
    study = read_study(folder) if folder.study_file.exists() else None
    for item in study.cells if study else ():
        claim = read_claim(folder.claim(item))
        if claim and claim.running and claim.done and study.cells[item].target == target:
            return claim
    return None


def followers(pid):
    """Processes that a worker has started."""
    shown = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    mine = [int(number) for number in shown.stdout.split()]
    return [n for n in mine if "jobs.parallel.follower" in Path(f"/proc/{n}/cmdline").read_text()]


def test_two_processes_train_as_one_does(still, tmp_path):
    # uneven shares: batches of 8 in micro-batches of 5, 5, ... and a last one of 4 of 24 rows
    alone = results(run(tmp_path / "alone", still, 1, sources='["endings"]'))
    together = results(run(tmp_path / "together", still, 2, sources='["endings"]'))
    assert set(alone) == set(together) == {("endings", 0.2)}
    for name, one in alone.items():
        two = together[name]
        assert one.cell.id != two.cell.id
        for curve in ("loss", "gradient_norm"):
            expected = np.array(getattr(one.training, curve))
            assert np.array(getattr(two.training, curve)) == pytest.approx(expected, rel=1e-3)
        assert two.training.tokens.real == one.training.tokens.real
        assert two.dev.predictions == one.dev.predictions


@pytest.mark.nightly
def test_a_team_whose_weights_overflow_diverges_together_and_goes_on(roberta, tmp_path):
    found = results(run(tmp_path, roberta, 2, warmups="[0.0, 0.2]", rate="1e30"))
    assert {key: result.status for key, result in found.items()} == {
        ("none", 0.0): "diverged",
        ("none", 0.2): "diverged",
    }


@pytest.mark.nightly
def test_an_interrupted_team_ends_bit_for_bit_like_an_uninterrupted_one(roberta, tmp_path):
    whole = results(run(tmp_path / "whole", roberta, 2, epochs=40))
    arguments = command(tmp_path / "cut", roberta, 2, epochs=40)
    folder = StudyFolder(tmp_path / "cut/own/logs/own")
    process = start(arguments)
    until(lambda: running(folder, "pairs"))
    worker = running(folder, "pairs").pid
    # held still, or a fast machine ends the run before the signal comes
    os.kill(worker, signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    # said as soon as the worker has been asked
    assert any("stopping: workers save" in line for line in process.stdout)
    os.kill(worker, signal.SIGCONT)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 130, said
    assert list((folder.path / "resume").glob("*.pt")), said
    assert submit(arguments) == 0
    cut = results(folder)
    for name, one in whole.items():
        assert cut[name].training == one.training
        assert cut[name].dev == one.dev


@pytest.mark.nightly
def test_a_team_that_loses_a_process_is_replaced_and_nothing_hangs(roberta, tmp_path):
    arguments = command(tmp_path, roberta, 2, epochs=40, warmups="[0.0, 0.2]")
    folder = StudyFolder(tmp_path / "own/logs/own")
    process = start(arguments)
    until(lambda: running(folder, "pairs"))
    claim = running(folder, "pairs")
    (mate,) = followers(claim.pid)
    os.kill(mate, signal.SIGKILL)
    # recorded, and tried once more
    until(folder.failure(claim.item).exists)
    failure = read_record(Failure, folder.failure(claim.item))
    assert failure.cell.id == claim.item
    assert failure.kind == "killed"
    assert failure.message == (
        "the worker was killed by signal 9; nothing says that memory ran out"
    )
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert "2 runs done, 0 failed" in said
    attempts = {r.cell.id: r.provenance.attempt for r in results(folder).values()}
    assert attempts.pop(claim.item) == 2
    assert set(attempts.values()) == {1}
    assert not list(folder.claims.glob("*.json"))
    assert not list(folder.failures.glob("*.json"))


def run_spoilt(place, arguments, code, **environment):
    """Runs a submit whose worker processes execute some code first; (exit code, what it said)."""
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if {'jobs.process', 'jobs.parallel.follower'} & set(sys.orig_argv):\n"
        f"{code}"
    )
    path = f"{place}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    shown = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        timeout=200,
        check=False,
    )
    return shown.returncode, shown.stdout + shown.stderr


def the_failure(folder):
    (path,) = folder.failures.glob("*.json")
    return read_record(Failure, path)


@pytest.mark.nightly
def test_an_error_in_a_follower_is_recorded_in_its_own_words(roberta, tmp_path):
    # the follower alone finds other rows than the study began with
    spoil = """
    if os.environ.get('RANK') == '1':
        import stilt.records.validity
        def wrong(judge, name, size, pin):
            raise stilt.errors.DataError(f'{name}: rows that only one process saw')
        stilt.records.validity.Judge.pin = wrong
"""
    code, said = run_spoilt(tmp_path / "spoil", command(tmp_path, roberta, 2), spoil)
    assert code == 1, said
    failure = the_failure(StudyFolder(tmp_path / "own/logs/own"))
    assert failure.kind == "data"
    assert "rows that only one process saw" in failure.message
    assert failure.traceback


@pytest.mark.nightly
def test_a_follower_that_lacks_memory_makes_the_team_take_smaller_steps(roberta, tmp_path):
    # the leader notices nothing by itself, as with NCCL: it waits for the follower
    spoil = """
    import time, torch
    import jobs.run_cell, stilt.training.team
    real, summed = jobs.run_cell.Trial.run, stilt.training.team.Team.summed
    def run(trial, progress):
        if os.environ.get('RANK') == '1' and trial.attempt.chunk > 1:
            raise torch.OutOfMemoryError('CUDA out of memory')
        return real(trial, progress)
    def deaf(team, values):
        try:
            return summed(team, values)
        except RuntimeError:
            time.sleep(600)
    jobs.run_cell.Trial.run, stilt.training.team.Team.summed = run, deaf
"""
    code, said = run_spoilt(tmp_path / "spoil", command(tmp_path, roberta, 2), spoil)
    assert code == 0, said
    (result,) = results(StudyFolder(tmp_path / "own/logs/own")).values()
    # 4 of a batch's 8 examples are in one process: half of those is 2, and half of these 1
    assert result.provenance.attempt == 3
    assert result.training.chunk == 1


@pytest.mark.nightly
def test_a_follower_that_cannot_start_ends_its_team_at_once(roberta, tmp_path):
    spoil = "    if os.environ.get('RANK') == '1': os._exit(3)\n"
    code, said = run_spoilt(tmp_path / "spoil", command(tmp_path, roberta, 2), spoil)
    assert code == 1, said
    failure = the_failure(StudyFolder(tmp_path / "own/logs/own"))
    assert failure.message.startswith("the worker ended with exit code 1; see")
    log = Path(failure.message.partition("see ")[2]).read_text()
    assert "process 1 of its team ended with exit code 3, before anything was run" in log


@pytest.mark.nightly
def test_what_other_launchers_left_in_the_environment_changes_nothing(roberta, tmp_path):
    (plain,) = results(run(tmp_path / "plain", roberta, 1)).values()
    foreign = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_PORT": "29500",
        "MASTER_ADDR": "127.0.0.1",
        "PMI_SIZE": "2",
        "ACCELERATE_MIXED_PRECISION": "bf16",
    }
    arguments = command(tmp_path / "foreign", roberta, 1)
    code, said = run_spoilt(tmp_path / "nothing", arguments, "    pass\n", **foreign)
    assert code == 0, said
    (result,) = results(StudyFolder(tmp_path / "foreign/own/logs/own")).values()
    assert result.training == plain.training
    assert result.dev == plain.dev


def test_a_promised_gpu_that_is_not_there_is_a_fault_and_no_slow_run(roberta, tmp_path):
    fake = tmp_path / "bin/nvidia-smi"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'GPU 0: made up'\n")
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    arguments = command(tmp_path, roberta, 1)
    code, said = run_spoilt(tmp_path / "nothing", arguments, "    pass\n", PATH=path)
    assert code == 1, said
    failure = the_failure(StudyFolder(tmp_path / "own/logs/own"))
    assert failure.kind == "node"
    assert "a GPU was promised and torch" in failure.message


def test_another_number_of_processes_makes_other_cells_and_evaluations_stay(tmp_path):
    own = make_own_study(tmp_path)
    text = (own / "own.toml").read_text() + '[[evaluate]]\nsources = ["none"]\ntasks = ["pairs"]\n'
    made = {}
    for processes in (1, 2):
        (own / "own.toml").write_text(text if processes == 1 else f"processes = 2\n{text}")
        made[processes] = bind(load_grid(str(own / "own.toml")), "m", near=own)
    shared = set(made[1].cells) & set(made[2].cells)
    assert {made[1].cells[i].stage for i in shared} == {"evaluate"}
    assert len(shared) == 1
    assert not set(made[1].sources) & set(made[2].sources)


def test_a_run_of_more_processes_than_an_element_has_gpus_is_refused():
    with pytest.raises(ConfigError, match=r"'processes' = 2 .* gets 1: set gres = \"gpu:2\""):
        Profile(gres="gpu:1").workers(2)
    assert Profile(gres="gpu:2", cpus=8).workers(2) == 1
    assert Profile(gres="gpu:2", cpus=8).threads(2) == 4
    assert Profile(gres="gpu:4", workers_per_gpu=2).workers(2) == 4
    assert Profile(gpus=0, cpus=4).workers(2) == 1
    assert Profile(gpus=0, cpus=4).threads(2) == 2
    assert Profile(gres="gpu:2", cpus=8).workers(1) == 2
    assert Profile(gres="gpu:2", cpus=8).threads(1) == 4
