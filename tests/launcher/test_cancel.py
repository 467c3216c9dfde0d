"""Cancelling exactly what was meant, and freeing the disk without losing a result."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from launcher.cancel import main as cancel
from launcher.clean import main as clean
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.system.units import size
from tests.support.fake_commands import Commands
from tests.support.fake_study import make_study

SUBMISSION = "slurm-1122203810-ab12cd"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    made = Commands(tmp_path / "fake", monkeypatch)
    made.say("scancel")
    return made


@pytest.fixture
def study(tmp_path, commands):
    """Two sources x two targets x two points, half of it done: nothing with seed 42."""
    block = {
        "sources": ["none", "hellaswag"],
        "targets": ["rte", "cola"],
        "learning_rate": [1e-5],
        "batch_size": [8],
        "warmup_ratio": [0.0],
        "seed": [12, 42],
    }
    grid = {"name": "g", "title": "G", "blocks": [block]}
    grid["model"] = {"hub": "org/encoder", "revision": "0" * 40}
    made = make_study(tmp_path / "logs/mine", grid=grid, dev_rows=20, points=4)
    for cell in made.cells.values():
        if cell.seed == 42:
            StudyFolder(tmp_path / "logs/mine").result(cell.id).unlink()
    return made


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "logs/mine")


def cell(study, source, target):
    return next(
        c.id for c in study.cells.values() if (c.source, c.target, c.seed) == (source, target, 42)
    )


def hold(folder, item, bundle="b0", *, submission=SUBMISSION, pid=2**22 + 5, **more):
    claim = claims.Claim(
        item=item, submission=submission, bundle=bundle, host=socket.gethostname(), pid=pid, **more
    )
    claims.take(claim, folder.claim(item))


def submitted(folder, *bundles):
    written = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    entry = {"submission": SUBMISSION, "array": "12", "bundles": bundles, "time": written}
    folder.submissions.write_text(json.dumps(entry) + "\n")


def queue(commands, *rows):
    lines = [f"{job}|{state}|1:05||node1|N/A|stilt-{SUBMISSION}\n" for job, state in rows]
    commands.say("squeue", "".join(lines))


def run(command, tmp_path, capsys, *arguments):
    code = command(["mine", *arguments, "--root", str(tmp_path / "logs")])
    return code, capsys.readouterr()


def cancelled(commands):
    return [word for call in commands.called("scancel") for word in call.split()[1:]]


@pytest.fixture(autouse=True)
def _no_waiting(request, monkeypatch):
    if request.node.get_closest_marker("slurm"):
        return
    monkeypatch.setattr("launcher.cancel.cancel_jobs", lambda elements: _cancel(elements))


def _cancel(elements):
    from launcher.scheduler import stopping

    return stopping.cancel_jobs(elements, wait=0)


@pytest.fixture
def two_elements(study, folder, commands):
    """Element 0 holds both cells of ``none``, element 1 both of ``hellaswag``; 1 waits."""
    submitted(folder, "b0", "b1")
    for target in ("rte", "cola"):
        hold(folder, cell(study, "none", target), "b0")
        hold(folder, cell(study, "hellaswag", target), "b1")
    queue(commands, ("12_0", "RUNNING"), ("12_1", "PENDING"))


def test_a_whole_study_is_cancelled_by_its_elements(two_elements, tmp_path, capsys, commands):
    code, said = run(cancel, tmp_path, capsys)
    assert code == 0
    assert sorted(cancelled(commands)) == ["12_0", "12_1"]
    assert "2 array elements with 4 runs: 12_[0-1]" in said.out


def test_a_source_cancels_the_elements_of_its_cells_alone(two_elements, tmp_path, capsys, commands):
    code, _ = run(cancel, tmp_path, capsys, "--source", "hellaswag")
    assert code == 0
    assert cancelled(commands) == ["12_1"]


def test_a_target_is_withdrawn_from_an_element_that_waits_and_keeps_others(
    two_elements, study, folder, tmp_path, capsys, commands
):
    code, said = run(cancel, tmp_path, capsys, "--target", "rte")
    assert code == 0
    assert cancelled(commands) == []
    assert not folder.claim(cell(study, "hellaswag", "rte")).exists()
    assert folder.claim(cell(study, "hellaswag", "cola")).exists()
    assert folder.claim(cell(study, "none", "rte")).exists(), "its element runs already"
    assert "1 runs out of elements that wait" in said.out
    assert "left alone: 1" in said.out


def test_an_element_goes_once_all_it_still_holds_is_meant(
    two_elements, study, folder, tmp_path, capsys, commands
):
    folder.claim(cell(study, "none", "cola")).unlink()
    run(cancel, tmp_path, capsys, "--source", "none", "--target", "rte")
    assert cancelled(commands) == ["12_0"]


def test_a_dry_run_does_nothing(two_elements, folder, tmp_path, capsys, commands):
    code, said = run(cancel, tmp_path, capsys, "--dry-run")
    assert code == 0
    assert "would cancel 2 array elements" in said.out
    assert cancelled(commands) == []
    assert len(list(folder.claims.glob("*.json"))) == 4


def test_claims_are_free_as_soon_as_their_jobs_are_gone(
    two_elements, folder, tmp_path, capsys, commands
):
    script = commands.folder / "scancel"
    rest = "|1:05||node1|N/A|stilt-" + SUBMISSION
    script.write_text(
        f'#!/bin/sh\nprintf \'#!/bin/sh\\necho "12_0|CANCELLED{rest}"\\n'
        f'echo "12_1|CANCELLED{rest}"\\n\' > {commands.folder}/squeue\n'
    )
    code, said = run(cancel, tmp_path, capsys)
    assert code == 0
    assert list(folder.claims.glob("*.json")) == []
    assert "still ending" not in said.out


def test_what_scancel_refuses_is_told_and_ends_with_1(two_elements, tmp_path, capsys, commands):
    commands.say("scancel", errors="scancel: error: Access/permission denied\n", code=1)
    code, said = run(cancel, tmp_path, capsys)
    assert code == 1
    assert "Access/permission denied" in said.out


def test_jobs_that_hold_nothing_any_more_are_cancelled_with_the_study(
    study, folder, tmp_path, capsys, commands
):
    submitted(folder, "b0")
    commands.say("squeue", f"12|PENDING|0:00|Dependency||N/A|stilt-{SUBMISSION}\n")
    run(cancel, tmp_path, capsys)
    assert cancelled(commands) == ["12"]


def test_nothing_to_cancel_is_no_failure(study, tmp_path, capsys, commands):
    code, said = run(cancel, tmp_path, capsys)
    assert code == 0
    assert "nothing to cancel" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "helaswag"], "unknown source 'helaswag'. Did you mean 'hellaswag'?"),
        (["--target", "rtee"], "unknown target 'rtee'. Did you mean 'rte'?"),
    ],
)
def test_a_misspelt_filter_cancels_nothing(
    two_elements, tmp_path, capsys, commands, arguments, message
):
    code, said = run(cancel, tmp_path, capsys, *arguments)
    assert code == 2
    assert message in said.err
    assert cancelled(commands) == []


@pytest.fixture
def worker():
    """A process that ends cleanly when asked to."""
    code = "import signal, sys, time; signal.signal(15, lambda *a: sys.exit(0)); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code])
    # a parent takes note of its end, as a pool does: else the process would seem to live on
    parent = threading.Thread(target=process.wait)
    parent.start()
    time.sleep(0.5)
    yield process
    process.kill()
    parent.join()


def test_a_local_study_is_stopped_by_signal_and_its_claims_are_free(
    study, folder, tmp_path, capsys, commands, worker
):
    commands.link("ps", "/bin/ps")
    item = cell(study, "none", "rte")
    hold(folder, item, submission="local-1", pid=worker.pid)
    code, said = run(cancel, tmp_path, capsys)
    assert code == 0
    assert worker.wait(timeout=10) == 0
    assert f"process {worker.pid}" in said.out
    assert not folder.claim(item).exists()


def test_a_local_study_is_not_stopped_in_part(study, folder, tmp_path, capsys, commands, worker):
    commands.link("ps", "/bin/ps")
    hold(folder, cell(study, "none", "rte"), submission="local-1", pid=worker.pid)
    code, said = run(cancel, tmp_path, capsys, "--target", "rte")
    assert code == 2
    assert "as a whole" in said.err
    assert worker.returncode is None


def test_a_process_of_another_machine_is_told_and_left(study, folder, tmp_path, capsys, commands):
    claim = claims.Claim(
        item=cell(study, "none", "rte"), submission="local-1", bundle="b", host="elsewhere",
        pid=1, running=True, started=time.time(), updated=time.time(),
    )  # fmt: skip
    claims.take(claim, folder.claim(claim.item))
    code, said = run(cancel, tmp_path, capsys)
    assert code == 1
    assert "runs on elsewhere: cancel there" in said.out
    assert folder.claim(claim.item).exists()


def litter(study, folder):
    """Everything that a study leaves behind, and its size in bytes."""
    source = next(iter(study.sources))
    files = {
        folder.source(source) / "model.safetensors": 1000,
        folder.resume("abc"): 300,
        folder.logs / "b.log": 20,
        folder.slurm / "12_submission.sh": 5,
        folder.bundles / "b.json": 7,
        folder.path / "code/1234/stilt/a.py": 11,
    }
    for path, length in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
    return files


def finish(study, tmp_path):
    """The same study with every result."""
    make_study(tmp_path / "logs/mine", grid=study.grid, dev_rows=20, points=4)


def kept(folder):
    found = [
        folder.study_file,
        *folder.results.iterdir(),
        *folder.path.glob("sources/*/result.json"),
    ]
    return {path: path.read_bytes() for path in found}


def test_cleaning_removes_all_but_results_and_says_how_much(study, folder, tmp_path, capsys):
    finish(study, tmp_path)
    files = litter(study, folder)
    before = kept(folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert not any(path.exists() for path in files)
    assert kept(folder) == before
    assert f"({sum(files.values())} bytes)" in said.out


def test_weights_that_unfinished_cells_need_stay(study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    weights = next(path for path in files if path.name == "model.safetensors")
    assert weights.exists()
    assert "kept: the weights of hellaswag" in said.out
    assert f"({sum(files.values()) - 1000} bytes)" in said.out


def test_cleaning_refuses_while_jobs_live(two_elements, study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 2
    assert "2 jobs still run or wait" in said.err
    assert all(path.exists() for path in files)


def test_cleaning_asks_and_does_nothing_where_nobody_answers(
    study, folder, tmp_path, capsys, monkeypatch
):
    files = litter(study, folder)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    code, said = run(clean, tmp_path, capsys)
    sys.stdin.close()
    assert code == 2
    assert "say --yes" in said.err
    assert all(path.exists() for path in files)


def test_a_dry_run_of_cleaning_removes_nothing(study, folder, tmp_path, capsys):
    files = litter(study, folder)
    code, said = run(clean, tmp_path, capsys, "--dry-run")
    assert code == 0
    assert "nothing was removed" in said.out
    assert all(path.exists() for path in files)


def test_a_clean_study_has_nothing_to_remove(study, folder, tmp_path, capsys):
    code, said = run(clean, tmp_path, capsys, "--yes")
    assert code == 0
    assert "nothing to remove" in " ".join(said.out.split())


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_420_000_000, "1.4 GB"), (2.5e12, "2.5 TB")],
)
def test_sizes_are_written_as_people_do(number, text):
    assert size(int(number)) == text
