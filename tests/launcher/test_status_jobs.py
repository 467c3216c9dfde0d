"""What status tells of a cell whose job or worker ended, waits or is asked for in vain."""

import json
import time

import pytest

from launcher.scheduler.job_states import JobState
from launcher.scheduler.reasons import died
from launcher.watch.observer import Observer
from tests.support.fake_study import fail_source
from tests.support.watched_study import DEAD, ended, hold, show, squeue, state_of, submitted, undone


def test_a_cell_whose_worker_was_killed_has_failed_and_says_that_it_has_no_result(
    made, tmp_path, capsys
):
    _, folder = made
    [cell] = undone(made)
    hold(folder, cell.id, submission="local-1", running=True, started=time.time())
    folder.logs.mkdir()
    (folder.logs / "b0.log").write_text("step 3\nMemoryError: cannot take 8 GB\n")
    code, _ = show(tmp_path, capsys)
    assert code == 1
    found = state_of(made, cell.id)
    assert found.state == "failed"
    assert f"its worker (process {DEAD}" in found.why
    assert "died with no result" in found.why
    assert "MemoryError: cannot take 8 GB" in found.why


def test_a_cell_that_waited_for_a_launcher_which_is_gone_is_to_submit_and_says_why(made):
    _, folder = made
    [cell] = undone(made)
    hold(folder, cell.id, submission="local-1")
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("open", "launcher")
    assert "ended before this one began" in found.why


@pytest.mark.parametrize(
    ("word", "code", "kind", "text"),
    [
        ("OUT_OF_MEMORY", "0:125", "oom", "more memory than it had asked for"),
        ("TIMEOUT", "0:0", "timeout", "time limit"),
        ("NODE_FAIL", "1:0", "node", "its node failed"),
        ("FAILED", "0:9", "killed", "signal 9 killed it; nothing says that memory ran out"),
        ("FAILED", "3:0", "bug", "exit code 3"),
        ("FAILED", "0:53", "folder", "could not open the folder of its log, /"),
        ("COMPLETED", "0:0", "bug", "wrote nothing"),
        ("RUNNING", "0:0", "node", "SLURM lost the job"),
    ],
)
def test_a_job_that_died_with_no_result_says_why(made, commands, word, code, kind, text):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id, running=True, job="12", started=time.time())
    commands.say("squeue", "")
    commands.say("sacct", ended("12", word, code))
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("failed", kind)
    assert "job 12 died with no result" in found.why
    assert text in found.why
    assert ("2 h 00 min on node1" in found.why) == (word != "")


def test_a_folder_that_the_node_cannot_open_is_named_with_what_to_do(
    made, commands, tmp_path, capsys
):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id)
    # without sacct, squeue's reason is all there is
    commands.say("squeue", squeue(("12", "FAILED", "JobLaunchFailure")))
    found = state_of(made, cell.id)
    assert found.kind == "folder"
    assert f"could not open the folder of its log, {folder.slurm.resolve()}: is it on" in found.why
    _, said = show(tmp_path, capsys, "why", cell.id)
    assert "What to do: let all nodes see it: a --root and a Python environment" in said.out
    assert said.out.endswith("It has left no log.\n")
    _, said = show(tmp_path, capsys)
    assert "status.py why" not in said.out


def test_a_python_that_the_node_does_not_see_is_told_from_the_log(made, commands):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id)
    commands.say("squeue", "")
    commands.say("sacct", ended("12", "FAILED", "2:0"))
    folder.slurm.mkdir()
    (folder.slurm / "12_0_log.out").write_text(
        "slurmstepd: error: execve(): /home/me/.venv/bin/python: No such file or directory\n"
        "srun: error: node2: task 0: Exited with exit code 2\n"
    )
    found = state_of(made, cell.id)
    assert found.kind == "folder"
    assert "its node does not see the Python environment" in found.why


@pytest.mark.parametrize("word", ["CANCELLED by 0", "PREEMPTED"])
def test_a_job_taken_away_says_nothing_against_its_cell(made, commands, word):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id, running=True, job="12", started=time.time())
    commands.say("squeue", "")
    commands.say("sacct", ended("12", word))
    found = state_of(made, cell.id)
    assert found.state == "open"
    assert word.split()[0] in found.why


def test_without_sacct_the_end_of_a_forgotten_job_is_told_from_its_log(made, commands):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id, running=True, job="12", started=time.time())
    commands.say("squeue", "")
    folder.slurm.mkdir()
    (folder.slurm / "12_0_log.out").write_text(
        "step 5\nslurmstepd: error: *** JOB 5 ON node1 CANCELLED AT 2026-11-22T20:42:15 DUE TO "
        "TIME LIMIT ***\n"
    )
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("failed", "timeout")


def test_with_neither_sacct_nor_log_it_says_what_is_known(made, commands):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id, running=True, job="12", started=time.time())
    commands.say("squeue", "")
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("failed", "lost")
    assert "forgotten by SLURM" in found.why


def test_the_screen_says_who_could_not_be_asked(made, commands, tmp_path, capsys):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id)
    commands.say(
        "squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1
    )
    _, said = show(tmp_path, capsys)
    text = " ".join(said.out.split())
    assert "Unable to contact slurm controller" in text
    assert "sacct is not installed here" in text
    assert "1 pending" in text


def test_pending_cells_say_what_they_wait_for(made, commands, tmp_path, capsys):
    _, folder = made
    first, second, third = undone(made, 3)
    submitted(folder, bundles=["b0", "b1"])
    hold(folder, first.id)
    hold(folder, second.id)
    hold(folder, third.id, bundle="b1")
    commands.say("squeue", squeue(("12_0", "PENDING", "Priority"), ("12_1", "RUNNING", "None")))
    _, said = show(tmp_path, capsys)
    assert "3 pending" in said.out
    assert "2 Priority" in said.out
    assert "1 in a running job, not begun" in said.out


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("launch failed requeued held", "launch failed requeued held, until: scontrol release 12"),
        ("JobHeldUser", "JobHeldUser, until: scontrol release 12"),
        ("JobHeldAdmin", "JobHeldAdmin"),
    ],
)
def test_a_held_job_says_who_ends_the_wait(made, commands, reason, told):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id)
    commands.say("squeue", squeue(("12_0", "PENDING", reason)))
    commands.say("sacct", "")
    found = state_of(made, cell.id)
    assert (found.state, found.why) == ("pending", told)


def test_a_requeued_cell_waits_although_its_claim_says_running(made, commands):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    hold(folder, cell.id, running=True, job="12_0", started=time.time())
    commands.say("squeue", squeue(("12_0", "PENDING", "BeginTime")))
    found = state_of(made, cell.id)
    assert (found.state, found.why) == ("pending", "BeginTime")


def test_cells_of_a_failed_source_have_failed_because_of_it(made, commands, tmp_path, capsys):
    study, folder = made
    source = study.source_named("hellaswag")
    fail_source(folder, study, source)
    submitted(folder)
    for cell in study.cells.values():
        if cell.source == "hellaswag":
            hold(folder, cell.id)
    commands.say("squeue", squeue(("12_0", "PENDING", "DependencyNeverSatisfied")))
    code, said = show(tmp_path, capsys, "--json")
    table = json.loads(said.out)
    assert code == 1
    assert table["count"]["failed"] == 6
    kinds = {item["kind"] for item in table["items"] if item["stage"] == "target"}
    assert kinds == {"", "source"}
    whys = [item["why"] for item in table["items"] if item["kind"] == "source"]
    assert all(why.startswith("its source hellaswag failed") for why in whys)


def test_a_cancelled_dependant_whose_source_died_silently_is_told_as_such(made, commands):
    study, folder = made
    source = study.source_named("hellaswag")
    (folder.source(source.id) / "result.json").unlink()
    [cell] = undone(made, source="hellaswag")
    submitted(folder, bundles=["b0", "b1"])
    hold(folder, source.id, running=True, started=time.time())
    hold(folder, cell.id, bundle="b1")
    commands.say("squeue", squeue(("12_1", "CANCELLED", "DependencyNeverSatisfied")))
    commands.say("sacct", ended("12_0", "OUT_OF_MEMORY", "0:125"))
    assert state_of(made, source.id).kind == "oom"
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("failed", "source")
    assert "OUT_OF_MEMORY" in found.why


def test_a_cell_that_slurm_dropped_although_its_source_is_there_is_to_submit(made, commands):
    _, folder = made
    [cell] = undone(made, source="hellaswag")
    submitted(folder, bundles=["b1"])
    hold(folder, cell.id, bundle="b1")
    commands.say("squeue", squeue(("12", "CANCELLED", "DependencyNeverSatisfied")))
    found = state_of(made, cell.id)
    assert found.state == "open"
    assert found.why == "its job was dropped, and the source is there: submit again"


def test_what_memory_made_smaller_is_named(made, tmp_path, capsys):
    study, folder = made
    first, second, *_ = study.cells.values()
    sizes = [cell.hyperparameters.batch_size for cell in (first, second)]
    for cell, chunk in ((first, sizes[0] // 2), (second, sizes[1])):
        record = json.loads(folder.result(cell.id).read_text())
        record["training"]["chunk"] = chunk
        folder.result(cell.id).write_text(json.dumps(record) + "\n")
    _, shown = show(tmp_path, capsys)
    said = " ".join(shown.out.split())
    assert "made in smaller passes after out of memory, so with other dropout masks: 1" in said
    assert f"({first.id[:8]})" in said
    assert state_of(made, first.id).smaller_passes
    assert not state_of(made, second.id).smaller_passes


def test_gpu_hours_are_what_slurm_gave(made, commands):
    study, folder = made
    submitted(folder, array="12", bundles=["b0", "b1"], gpus=2)
    commands.say("squeue", "")
    commands.say(
        "sacct", ended("12_0", "COMPLETED", took=3600) + ended("12_1", "FAILED", took=1800)
    )
    assert Observer(folder, study).look().gpu_seconds == 2 * 5400


def test_python_s_last_word_is_more_than_slurm_s_failed():
    job = JobState(job="1", state="FAILED", live=False, exit_code="1:0")
    log = "Traceback (most recent call last):\n  ...\ntorch.OutOfMemoryError: CUDA out of memory.\n"
    assert died(job, log, begun=True, where="job 1").kind == "oom"
    assert "KeyError: 'x'" in died(job, "KeyError: 'x'\n", begun=True, where="job 1").text


def test_a_worker_that_was_asked_to_stop_has_not_failed():
    log = "17:00:01 [1/2] 0a1b none -> rte\nasked to stop; the state is saved\n"
    stopped = died(None, log, begun=True, where="its worker")
    assert (stopped.kind, stopped.text.partition(": ")[2]) == (
        "cancelled",
        "it was asked to stop, and saved its state",
    )
    # of a later attempt nothing is said
    again = died(None, f"{log}17:05:00 [1/2] 0a1b none -> rte\n", begun=True, where="its worker")
    assert again.text == "its worker died with no result: nobody says how: its log names no error"
