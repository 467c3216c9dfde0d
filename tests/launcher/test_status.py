"""What status tells of studies: from their files first, then from jobs, then from logs."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from launcher.scheduler.job_states import JobState
from launcher.scheduler.reasons import died
from launcher.status import main as status
from launcher.watch.observer import Observer
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.results import Failure, SourceResult, read_record, write_record
from stilt.system.units import span
from tests.support.fake_commands import Commands
from tests.support.fake_study import fail_source, make_study

SUBMISSION = "slurm-1122203810-ab12cd"
DEAD = 2**22 + 5
"""No process has this id: Linux gives them out below 2**22."""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    return Commands(tmp_path / "fake", monkeypatch)


@pytest.fixture
def made(tmp_path, commands):
    """A study of 18 cells and three sources, all done."""
    block = {
        "sources": ["none", "hellaswag", "hellaswag-p"],
        "targets": ["rte", "cola"],
        "learning_rate": [1e-5],
        "batch_size": [8, 16, 32],
        "warmup_ratio": [0.0],
        "seed": [12],
    }
    grid = {"name": "g", "title": "G", "blocks": [block]}
    grid["model"] = {"hub": "org/encoder", "revision": "0" * 40}
    study = make_study(tmp_path / "logs/mine", grid=grid, dev_rows=20, points=4)
    return study, StudyFolder(tmp_path / "logs/mine")


def show(tmp_path, capsys, *arguments):
    code = status([*arguments, "--root", str(tmp_path / "logs")])
    return code, capsys.readouterr()


def undone(made, number=1, source="none"):
    """Cells whose results are taken away."""
    study, folder = made
    cells = [cell for cell in study.cells.values() if cell.source == source][:number]
    for cell in cells:
        folder.result(cell.id).unlink()
    return cells


def hold(folder, item, *, submission=SUBMISSION, bundle="b0", pid=DEAD, **more):
    claim = claims.Claim(
        item=item, submission=submission, bundle=bundle, host=socket.gethostname(), pid=pid, **more
    )
    claims.take(claim, folder.claim(item))
    return claim


def submitted(folder, bundles=("b0",), array="12", age=3600, **more):
    written = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    entry = {"submission": SUBMISSION, "array": array, "bundles": list(bundles), "time": written}
    folder.submissions.write_text(json.dumps(entry | more) + "\n")


def squeue(*rows):
    return "".join(
        f"{job}|{state}|1:05|{why}|node1|N/A|stilt-{SUBMISSION}\n" for job, state, why in rows
    )


def ended(job, state, code="0:0", took=7200):
    return f"{job}|{state}|{took}|None|node1|{code}|cpu=1|stilt-{SUBMISSION}|2026-11-22T20:40:45\n"


def state_of(made, item):
    study, folder = made
    return next(found for found in Observer(folder, study).look().items if found.id == item)


def test_a_study_that_is_done_says_so_and_ends_with_0(made, tmp_path, capsys):
    code, said = show(tmp_path, capsys)
    assert code == 0
    assert "18 done" in said.out
    assert "100% of the work" in said.out
    assert f"All done. Next: python analysis/summarize.py {tmp_path / 'logs/mine'}" in said.out
    assert said.err == ""


def test_diverged_and_degenerate_cells_are_done(tmp_path, capsys, commands):
    make_study(tmp_path / "logs/odd", diverged=0.5, degenerate=0.6, dev_rows=20, points=4)
    code, said = show(tmp_path, capsys, "--json")
    table = json.loads(said.out)
    assert code == 0
    assert table["count"]["done"] == table["cells"] == 218
    assert table["diverged"] > 0


def test_a_recorded_failure_is_told_with_its_class_and_message_and_ends_with_1(
    made, tmp_path, capsys
):
    study, folder = made
    [cell] = undone(made)
    record = Failure(
        study=study.digest,
        cell=cell,
        kind="oom",
        message="CUDA out of memory: 20 GiB",
        attempts=3,
        host="node7",
        job="12_0",
        finished="2026-11-22T20:00:00+00:00",
    )
    write_record(record, folder.failure(cell.id))
    code, said = show(tmp_path, capsys)
    assert code == 1
    assert "17 done" in said.out
    assert "1 failed" in said.out
    assert "✗ oom" in said.out
    assert "CUDA out of memory: 20 GiB" in said.out
    assert cell.id[:8] in said.out


def test_a_cell_is_counted_where_its_source_and_target_meet(made, tmp_path, capsys):
    undone(made, 2, source="hellaswag-p")
    _, said = show(tmp_path, capsys)
    [row] = [
        line for line in said.out.splitlines() if line.startswith("hellaswag-p ") and "/" in line
    ]
    assert row.split() == ["hellaswag-p", "1/3", "2○", "3/3", "✓", "4/6"]


def test_a_cell_that_nobody_holds_is_to_submit_and_no_failure(made, tmp_path, capsys):
    [cell] = undone(made)
    code, said = show(tmp_path, capsys)
    assert code == 0
    assert "1 to submit" in said.out
    assert state_of(made, cell.id).state == "open"


def test_a_cell_of_a_live_process_runs_and_shows_how_far_it_is(made, tmp_path, capsys):
    _, folder = made
    [cell] = undone(made)
    now = time.time()
    hold(folder, cell.id, submission="local-1", pid=os.getpid(), running=True, started=now - 60,
         updated=now, done=50, total=100)  # fmt: skip
    code, said = show(tmp_path, capsys)
    assert code == 0
    assert "1 running" in said.out
    assert "50%" in said.out
    assert "about" in said.out and "left" in said.out
    found = state_of(made, cell.id)
    assert (found.state, found.share) == ("running", 0.5)


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
        ("FAILED", "0:9", "bug", "signal 9 ended it"),
        ("FAILED", "3:0", "bug", "exit code 3"),
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


def test_a_source_that_trains_is_shown_with_its_progress(made, tmp_path, capsys, commands):
    study, folder = made
    source = study.source_named("hellaswag")
    (folder.source(source.id) / "result.json").unlink()
    hold(folder, source.id, submission="local-1", pid=os.getpid(), running=True,
         started=time.time() - 5, done=1, total=4)  # fmt: skip
    _, said = show(tmp_path, capsys)
    assert "▶ training 25%" in said.out


def test_a_diverged_source_has_failed(made, tmp_path, capsys):
    study, folder = made
    source = study.source_named("hellaswag")
    path = folder.source(source.id) / "result.json"
    record = read_record(SourceResult, path)
    write_record(record.model_copy(update={"status": "diverged", "score": None, "dev": None}), path)
    code, said = show(tmp_path, capsys)
    assert code == 1
    assert "diverged" in said.out


def test_a_study_with_a_score_that_was_changed_by_hand_is_not_done(made, tmp_path, capsys):
    study, folder = made
    cell = next(
        cell
        for cell in study.cells.values()
        if '"status":"ok"' in folder.result(cell.id).read_text()
    )
    path = folder.result(cell.id)
    table = json.loads(path.read_text())
    path.write_text(json.dumps(table | {"score": table["score"] / 2 + 0.1}))
    code, said = show(tmp_path, capsys, "--json")
    assert code == 1
    [item] = [item for item in json.loads(said.out)["items"] if item["id"] == cell.id]
    assert item["kind"] == "damaged"
    assert "do not agree" in item["why"]


def test_a_damaged_result_is_told_with_its_file(made, tmp_path, capsys):
    study, folder = made
    cell = next(iter(study.cells.values()))
    folder.result(cell.id).write_text('{"schema_version": 1, "stu')
    code, said = show(tmp_path, capsys, "--json")
    assert code == 1
    [item] = [item for item in json.loads(said.out)["items"] if item["state"] == "failed"]
    assert item["kind"] == "damaged"
    assert str(folder.result(cell.id)) in item["why"]


def test_a_changed_result_is_read_again_and_others_are_not(made, monkeypatch):
    study, folder = made
    observer = Observer(folder, study)
    observer.look()
    reads = []
    monkeypatch.setattr("launcher.watch.observer.read_ending", lambda *found: reads.append(found))
    observer.look()
    assert reads == []
    cell = next(iter(study.cells.values()))
    path = folder.result(cell.id)
    path.write_text(path.read_text() + " ")
    observer.look()
    assert [run.id for _, _, run in reads] == [cell.id]


def test_gpu_hours_are_what_slurm_gave(made, commands):
    study, folder = made
    submitted(folder, array="12", bundles=["b0", "b1"], gpus=2)
    commands.say("squeue", "")
    commands.say(
        "sacct", ended("12_0", "COMPLETED", took=3600) + ended("12_1", "FAILED", took=1800)
    )
    assert Observer(folder, study).look().gpu_seconds == 2 * 5400


def test_several_studies_get_a_line_each(made, tmp_path, capsys, commands):
    make_study(tmp_path / "logs/other", missing=0.5, dev_rows=20, points=4)
    code, said = show(tmp_path, capsys)
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    assert code == 0
    assert "100%" in lines["mine"]
    assert "218" in lines["other"]


def test_json_of_several_studies_is_a_list(made, tmp_path, capsys, commands):
    make_study(tmp_path / "logs/other", dev_rows=20, points=4)
    _, said = show(tmp_path, capsys, "--json")
    assert [table["study"] for table in json.loads(said.out)] == ["mine", "other"]


def test_an_unknown_study_gets_a_suggestion(made, tmp_path, capsys):
    code, said = show(tmp_path, capsys, "mien")
    assert code == 2
    assert "unknown study 'mien'. Did you mean 'mine'? Known: mine." in said.err


def test_no_study_at_all_says_how_to_begin_one(tmp_path, capsys):
    code, said = show(tmp_path, capsys)
    assert code == 2
    assert "no study here" in said.err
    assert "launcher/submit.py" in said.err


def test_why_shows_error_traceback_and_the_cells_part_of_the_log(made, tmp_path, capsys):
    study, folder = made
    [cell] = undone(made)
    folder.logs.mkdir()
    (folder.logs / "b.log").write_text(
        "10:00:00 [1/3] target none -> rte other {}\nnoise before\n"
        f"10:00:01 [2/3] target none -> rte {cell.id} {{}}\nthe last words\n"
        "10:00:02 [3/3] target none -> rte third {}\nnoise after\n"
    )
    record = Failure(
        study=study.digest,
        cell=cell,
        kind="bug",
        message="ValueError: no",
        traceback="Traceback:\n  line 7, in fit\n",
        attempts=1,
        host="node7",
        job=None,
        finished="2026-11-22T20:00:00+00:00",
        log="logs/b.log",
    )
    write_record(record, folder.failure(cell.id))
    code, said = show(tmp_path, capsys, "why", cell.id[:6])
    assert code == 0
    assert "bug: ValueError: no" in said.out
    assert "line 7, in fit" in said.out
    assert "the last words" in said.out
    assert "noise" not in said.out


def test_why_names_a_source_by_its_name(made, tmp_path, capsys):
    code, said = show(tmp_path, capsys, "why", "hellaswag-p")
    assert code == 0
    assert "source hellaswag-p" in said.out
    assert "✓ done" in said.out


def test_an_unknown_cell_gets_a_suggestion(made, tmp_path, capsys):
    study, _ = made
    cell = next(iter(study.cells))
    wrong = cell[:-1] + ("x" if cell[-1] != "x" else "y")
    code, said = show(tmp_path, capsys, "why", wrong)
    assert code == 2
    assert f"Did you mean '{cell}'?" in said.err


def test_an_ambiguous_start_lists_what_it_may_mean(made, tmp_path, capsys):
    study, _ = made
    starts = [cell[0] for cell in (*study.cells, *study.sources)]
    start = next(letter for letter in starts if starts.count(letter) > 1)
    code, said = show(tmp_path, capsys, "why", start)
    assert code == 2
    assert f"is the start of {starts.count(start)} ids" in said.err


def test_tail_shows_what_is_added_until_the_cell_has_ended(made, tmp_path, monkeypatch, capsys):
    _, folder = made
    [cell] = undone(made)
    held = hold(folder, cell.id, submission="local-1", pid=os.getpid(), running=True,
                started=time.time())  # fmt: skip
    folder.logs.mkdir()
    log = folder.logs / f"{held.bundle}.log"
    log.write_text("first\n")
    monkeypatch.setattr("launcher.watch.story.POLL_SECONDS", 0.02)

    def work():
        time.sleep(0.2)
        with log.open("a") as file:
            file.write("second\n")
        time.sleep(0.2)
        folder.claim(cell.id).unlink()

    worker = threading.Thread(target=work)
    worker.start()
    code, said = show(tmp_path, capsys, "tail", cell.id)
    worker.join()
    assert code == 0
    assert said.out == "first\nsecond\n"


def test_watch_ends_when_nothing_is_live_any_more(made, tmp_path, capsys):
    _, folder = made
    [cell] = undone(made)
    hold(folder, cell.id, submission="local-1", pid=os.getpid(), running=True, started=time.time())
    timer = threading.Timer(0.5, folder.claim(cell.id).unlink)
    timer.start()
    code, said = show(tmp_path, capsys, "mine", "--watch", "--every", "1")
    timer.join()
    assert code == 0
    assert "1 to submit" in said.out


def test_the_screen_fits_a_hundred_columns(tmp_path, capsys, commands, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    make_study(tmp_path / "logs/full", grid="full", missing=0.2, failed=0.05, dev_rows=8, points=2)
    code, said = show(tmp_path, capsys, "full")
    assert code == 1
    # the last lines are commands to be copied, which are never broken
    assert max(map(len, said.out.splitlines()[:-1])) <= 100


def test_status_never_loads_torch(made, tmp_path):
    code = (
        "import sys; from launcher.status import main; main(sys.argv[1:]); "
        "assert not {'torch', 'transformers', 'submitit'} & set(sys.modules), 'heavy'"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "--root", str(tmp_path / "logs")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 00 min"),
     (11100, "3 h 05 min"), (187200, "2 d 4 h"), (None, "?")],
)  # fmt: skip
def test_durations_are_written_in_two_units(seconds, text):
    assert span(seconds) == text


def test_python_s_last_word_is_more_than_slurm_s_failed():
    job = JobState(job="1", state="FAILED", live=False, exit_code="1:0")
    log = "Traceback (most recent call last):\n  ...\ntorch.OutOfMemoryError: CUDA out of memory.\n"
    assert died(job, log, begun=True, where="job 1").kind == "oom"
    assert "KeyError: 'x'" in died(job, "KeyError: 'x'\n", begun=True, where="job 1").text


def test_a_broken_study_hides_no_other(made, tmp_path, capsys, commands):
    make_study(tmp_path / "logs/broken", grid=made[0].grid, sources=False, missing=1.0)
    (tmp_path / "logs/broken/study.json").write_text("{")
    code, printed = show(tmp_path, capsys)
    assert code == 0
    assert "mine" in printed.out and "broken/study.json: cannot be read" in printed.out
    _, printed = show(tmp_path, capsys, "--json")
    assert [study["study"] for study in json.loads(printed.out)] == [made[0].name]
    assert "broken/study.json: cannot be read" in printed.err
    code, printed = show(tmp_path, capsys, "broken")
    assert code == 2 and "broken/study.json: cannot be read" in printed.err


def test_the_reason_of_a_failure_is_read_on_a_narrow_screen_too(
    tmp_path, capsys, commands, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "40")
    make_study(tmp_path / "logs/mine", failed=0.2, points=4)
    _, printed = show(tmp_path, capsys, "mine")
    table = printed.out[printed.out.index("no result") :]
    record = read_record(Failure, next((tmp_path / "logs/mine/failures").glob("*.json")))
    # a word may be broken into lines
    assert record.message[:4] in table
    assert "…" not in table
