"""What status shows of studies: screens, JSON and exit codes."""

import json
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from launcher.watch.observer import Observer
from stilt.records.results import Failure, SourceResult, read_record, write_record
from tests.support.fake_study import make_study
from tests.support.watched_study import hold, show, state_of, undone


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
    assert "field 'score' = " in item["why"]


def cut(path):
    path.write_text('{"schema_version": 1, "stu')


def link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing")


@pytest.mark.parametrize("damage", [cut, link_to_nothing])
def test_a_damaged_result_is_told_with_its_file(made, tmp_path, capsys, damage):
    study, folder = made
    cell = next(iter(study.cells.values()))
    damage(folder.result(cell.id))
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


@pytest.mark.parametrize("screen", [True, False])
def test_watch_ends_when_nothing_is_live_any_more(made, tmp_path, capsys, monkeypatch, screen):
    if screen:
        monkeypatch.setenv("FORCE_COLOR", "1")
    _, folder = made
    [cell] = undone(made)
    hold(folder, cell.id, submission="local-1", pid=os.getpid(), running=True, started=time.time())
    timer = threading.Timer(0.5, folder.claim(cell.id).unlink)
    timer.start()
    code, said = show(tmp_path, capsys, "mine", "--watch", "--every", "1")
    timer.join()
    assert code == 0
    assert "to submit" in said.out
    # what goes to a file gets a line for each look
    assert bool(re.search(r"^\d\d:\d\d:\d\d mine: .*1 running", said.out, re.M)) != screen


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
