"""Cancelling exactly what was meant."""

import subprocess
import sys
import threading
import time

import pytest

from launcher.cancel import main as cancel
from stilt.folder import StudyFolder
from stilt.records import claims
from tests.support.claims import hold
from tests.support.half_done import (
    SUBMISSION,
    hold_two_elements,
    make_half_done,
    note_submitted,
    run,
    undone_cell,
)


@pytest.fixture
def commands(commands):
    commands.say("scancel")
    return commands


@pytest.fixture
def study(tmp_path, commands):
    return make_half_done(tmp_path / "logs/mine")


@pytest.fixture
def folder(tmp_path):
    return StudyFolder(tmp_path / "logs/mine")


@pytest.fixture
def two_elements(study, folder, commands):
    hold_two_elements(study, folder, commands)


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
    assert not folder.claim(undone_cell(study, "hellaswag", "rte")).exists()
    assert folder.claim(undone_cell(study, "hellaswag", "cola")).exists()
    assert folder.claim(undone_cell(study, "none", "rte")).exists(), "its element runs already"
    assert "1 run out of elements that wait" in said.out
    assert "left alone: 1" in said.out


def test_an_element_goes_once_all_it_still_holds_is_meant(
    two_elements, study, folder, tmp_path, capsys, commands
):
    folder.claim(undone_cell(study, "none", "cola")).unlink()
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
    note_submitted(folder, "b0")
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
    item = undone_cell(study, "none", "rte")
    hold(folder, item, "local-1", pid=worker.pid)
    code, said = run(cancel, tmp_path, capsys)
    assert code == 0
    assert worker.wait(timeout=10) == 0
    assert f"process {worker.pid}" in said.out
    assert not folder.claim(item).exists()


def test_a_local_study_is_not_stopped_in_part(study, folder, tmp_path, capsys, commands, worker):
    commands.link("ps", "/bin/ps")
    hold(folder, undone_cell(study, "none", "rte"), "local-1", pid=worker.pid)
    code, said = run(cancel, tmp_path, capsys, "--target", "rte")
    assert code == 2
    assert "as a whole" in said.err
    assert worker.returncode is None


def test_a_process_of_another_machine_is_told_and_left(study, folder, tmp_path, capsys, commands):
    claim = claims.Claim(
        item=undone_cell(study, "none", "rte"), submission="local-1", bundle="b", host="elsewhere",
        pid=1, running=True, started=time.time(), updated=time.time(),
    )  # fmt: skip
    claims.take(claim, folder.claim(claim.item))
    code, said = run(cancel, tmp_path, capsys)
    assert code == 1
    assert "runs on elsewhere: cancel there" in said.out
    assert folder.claim(claim.item).exists()
