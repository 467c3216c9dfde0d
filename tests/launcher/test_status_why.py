"""status.py why and tail: what went wrong with a cell or source, and its log."""

import json
import os
import threading
import time

from stilt.folder import StudyFolder
from stilt.records.results import Failure, write_record
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import change
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


def two_studies(tmp_path, **changes):
    """Two studies of the same cells; the second one's results are the first's, or others."""
    study = make_study(tmp_path / "logs/one", grid=TINY)
    make_study(tmp_path / "logs/two", grid=TINY, **changes)
    return study, StudyFolder(tmp_path / "logs/one"), StudyFolder(tmp_path / "logs/two")


def test_why_tells_a_run_of_two_studies_once_where_it_is_the_same(tmp_path, commands, capsys):
    study, one, two = two_studies(tmp_path)
    cell = next(iter(study.cells))
    two.result(cell).write_bytes(one.result(cell).read_bytes())
    code, said = show(tmp_path, capsys, "why", cell)
    assert code == 0
    assert f"{cell} of study one; the same run is in two\n" in said.out
    code, said = show(tmp_path, capsys, "why", f"two/{cell}")
    assert code == 0
    assert f"{cell} of study two\n" in said.out


def test_why_tells_of_the_study_that_has_run_it(tmp_path, commands, capsys):
    study, one, _ = two_studies(tmp_path)
    cell = next(iter(study.cells))
    one.result(cell).unlink()
    code, said = show(tmp_path, capsys, "why", cell)
    assert code == 0
    assert f"{cell} of study two; the same run is in one\n" in said.out


def test_why_lists_the_studies_where_a_run_has_several_stories(tmp_path, commands, capsys):
    study, _, two = two_studies(tmp_path)
    cell = next(iter(study.cells))
    change(two.result(cell), lambda table: table["provenance"].update(host="elsewhere"))
    code, said = show(tmp_path, capsys, "why", cell[:8])
    assert code == 0
    assert f"{cell} is in 2 studies, each with a story of its own:" in said.out
    for name in ("one", "two"):
        assert f"python launcher/status.py why {tmp_path / 'logs' / name}/{cell}\n" in said.out


def test_tail_follows_the_bundle_that_runs_what_its_worker_s_death_has_left(
    tmp_path, commands, monkeypatch, capsys
):
    study = make_study(tmp_path / "logs/tiny", grid=TINY, missing=1.0)
    folder, cell = StudyFolder(tmp_path / "logs/tiny"), next(iter(study.cells))
    held = hold(folder, cell, submission="local-2", pid=os.getpid(), running=True)
    folder.bundles.mkdir(exist_ok=True)
    folder.logs.mkdir(exist_ok=True)
    given = {held.bundle: "local-2", "rest": "local-2", "earlier": "local-1"}
    for age, (bundle, submission) in enumerate(given.items()):
        table = {"bundle": {"items": [cell]}, "settings": {"submission": submission}}
        path = folder.bundles / f"{bundle}.json"
        path.write_text(json.dumps(table))
        os.utime(path, (1000 + age, 1000 + age))
        folder.bundle_log(bundle).write_text(f"log of {bundle}\n")
    monkeypatch.setattr("launcher.watch.story.LOG_SECONDS", 0.02)
    ends = threading.Timer(0.3, folder.claim(cell).unlink)
    ends.start()
    code, said = show(tmp_path, capsys, "tail", cell)
    ends.join()
    assert code == 0, said.err
    assert said.out == "log of rest\n"
