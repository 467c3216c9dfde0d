"""status.py why and tail: what went wrong with a cell or source, and its log."""

import os
import threading
import time

from stilt.records.results import Failure, write_record
from tests.support.watched_study import hold, show, undone


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


def test_why_says_what_a_model_carried_over_and_what_was_fresh(made, tmp_path, capsys):
    study, _ = made
    cell = next(iter(study.cells))
    code, said = show(tmp_path, capsys, "why", cell)
    assert code == 0
    assert "carried over: encoder\nfresh: classifier\n" in said.out


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
    monkeypatch.setattr("launcher.watch.story.LOG_SECONDS", 0.02)

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
