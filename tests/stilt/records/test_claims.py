"""Claims: one holder at a time, stale ones dropped once, newer ones left alone."""

import json
import multiprocessing
import os
import socket
import sys
import time

import pytest

from stilt.records import claims
from stilt.records.claims import (
    Claim,
    ClaimUpdater,
    drop_stale,
    lives_here,
    new_claim,
    process_lives,
    read,
    take,
)

FORK = multiprocessing.get_context("fork")


def race(target, arguments):
    """Runs one process for each set of arguments, all released at once; returns what they say."""
    start, said = FORK.Event(), FORK.Queue()
    processes = [FORK.Process(target=target, args=(*one, start, said)) for one in arguments]
    for process in processes:
        process.start()
    start.set()
    answers = [said.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    return answers


def taking(path, name, start, said):
    start.wait()
    said.put((name, take(new_claim("cell", name, "bundle"), path)))


def dropping(path, name, seen, start, said):
    start.wait()
    dropped = drop_stale(path, seen)
    taken = dropped and take(new_claim("cell", name, "bundle"), path)
    said.put((name, dropped, taken))


def claiming(said, end):
    said.put(new_claim("cell", "s", "b"))
    end.wait()


def test_a_claim_is_read_as_it_was_taken(tmp_path):
    path = tmp_path / "claims/cell.json"
    assert claims.read(path) is None
    claim = new_claim("cell", "submission", "bundle")
    assert (claim.host, claim.pid) == (socket.gethostname(), os.getpid())
    assert time.time() - claim.taken < 60
    assert take(claim, path)
    assert claims.read(path) == claim


def test_a_second_claim_fails_and_leaves_the_first(tmp_path):
    path = tmp_path / "cell.json"
    assert take(new_claim("cell", "first", "bundle"), path)
    assert not take(new_claim("cell", "second", "bundle"), path)
    assert claims.read(path).submission == "first"


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_processes_that_race_for_a_claim_exactly_one_wins(tmp_path, attempt):
    path = tmp_path / "cell.json"
    answers = race(taking, [(path, f"submission {i}") for i in range(2)])
    winners = [name for name, won in answers if won]
    assert len(winners) == 1
    assert claims.read(path).submission == winners[0]


@pytest.mark.parametrize("attempt", range(5))
def test_of_processes_that_drop_one_stale_claim_exactly_one_goes_on_to_hold_it(tmp_path, attempt):
    path = tmp_path / "cell.json"
    stale = new_claim("cell", "gone", "bundle")
    assert take(stale, path)
    answers = race(dropping, [(path, f"submission {i}", stale) for i in range(4)])
    liveness = [name for name, _, taken in answers if taken]
    assert len(liveness) == 1
    assert sum(dropped for _, dropped, _ in answers) == 1
    assert claims.read(path).submission == liveness[0]
    assert [found.name for found in tmp_path.iterdir()] == ["cell.json"]


def test_a_newer_claim_survives_someone_who_saw_the_stale_one(tmp_path):
    path = tmp_path / "cell.json"
    stale, newer = new_claim("cell", "gone", "b"), new_claim("cell", "newer", "b")
    take(stale, path)
    assert drop_stale(path, stale)
    assert take(newer, path)
    assert not drop_stale(path, stale)
    assert claims.read(path) == newer
    assert not drop_stale(path, None)
    assert claims.read(path) == newer
    assert [found.name for found in tmp_path.iterdir()] == ["cell.json"]


def test_a_claim_that_is_gone_already_was_dropped_by_another(tmp_path):
    assert not drop_stale(tmp_path / "cell.json", new_claim("cell", "gone", "b"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"item": 1}', "\xff"])
def test_a_damaged_claim_is_none_and_can_be_dropped(tmp_path, content):
    path = tmp_path / "cell.json"
    path.write_bytes(content.encode("latin-1"))
    assert claims.read(path) is None
    assert drop_stale(path, None)
    assert take(new_claim("cell", "new", "b"), path)


def test_progress_marks_a_claim_as_running_and_notes_what_is_done(tmp_path):
    path = tmp_path / "cell.json"
    claim = new_claim("cell", "submission", "bundle")
    take(claim, path)
    progress = ClaimUpdater(claim, path, job="12_3", every=0)
    found = claims.read(path)
    assert (found.running, found.job, found.done, found.total) == (True, "12_3", 0, 0)
    assert found.started is not None
    progress(5, 20)
    found = claims.read(path)
    assert (found.done, found.total, found.submission) == (5, 20, "submission")
    assert found.updated >= found.started


def test_progress_is_written_at_the_first_step_then_seldom_and_at_the_end(tmp_path):
    path = tmp_path / "cell.json"
    progress = ClaimUpdater(new_claim("cell", "s", "b"), path, job=None, every=3_600)
    assert claims.read(path).done == 0
    progress(1, 20)
    assert claims.read(path).done == 1
    progress(5, 20)
    assert claims.read(path).done == 1
    progress(20, 20)
    assert claims.read(path).done == 20


def test_a_claims_process_lives_until_it_ends():
    mine = new_claim("cell", "s", "b")
    assert process_lives(mine) is True
    said, end = FORK.Queue(), FORK.Event()
    child = FORK.Process(target=claiming, args=(said, end))
    child.start()
    theirs = said.get(timeout=30)
    assert theirs.pid == child.pid != mine.pid
    assert process_lives(theirs) is True
    end.set()
    child.join(timeout=30)
    assert process_lives(theirs) is False
    assert process_lives(mine.model_copy(update={"host": "elsewhere"})) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="told from /proc")
def test_a_process_that_got_the_number_of_a_dead_one_is_another():
    mine = new_claim("cell", "s", "b")
    assert mine.birth is not None
    assert process_lives(mine.model_copy(update={"birth": "00000000-1"})) is False
    assert process_lives(mine.model_copy(update={"birth": None})) is True


def test_a_claim_is_one_line_of_json(tmp_path):
    path = tmp_path / "cell.json"
    take(new_claim("cell", "s", "b"), path)
    (line,) = path.read_text().splitlines()
    assert Claim.model_validate(json.loads(line)).item == "cell"


def test_a_worker_that_took_over_from_a_dead_launcher_keeps_its_claim(tmp_path):
    path = tmp_path / "cell.json"
    launcher = new_claim("cell", "s", "b").model_copy(update={"pid": 2**22 - 1, "birth": "gone"})
    take(launcher, path)
    ClaimUpdater(launcher, path, job=None)
    assert not drop_stale(path, launcher)
    assert claims.read(path).pid == new_claim("cell", "s", "b").pid


def test_a_claim_of_this_machine_lives_as_long_as_its_process():
    claim = new_claim("cell", "s", "b")
    assert lives_here(claim)
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join(timeout=30)
    assert not lives_here(claim.model_copy(update={"pid": process.pid}))


def test_a_claim_of_another_machine_lives_for_a_day_after_its_last_sign():
    claim = new_claim("cell", "s", "b").model_copy(update={"host": "elsewhere"})
    now = time.time()
    assert lives_here(claim), "claimed just now, and not begun"
    assert not lives_here(claim.model_copy(update={"taken": now - 90_000}))
    assert lives_here(claim.model_copy(update={"updated": now - 3_600}))
    assert lives_here(claim.model_copy(update={"started": now - 3_600}))
    assert not lives_here(claim.model_copy(update={"started": now, "updated": now - 90_000}))


def test_a_damaged_claim_holds_nothing_and_can_be_taken(tmp_path):
    spoil = {
        "bytes": lambda path: path.write_bytes(b"\xff"),
        "deep": lambda path: path.write_text("[" * 100_000),
        "huge": lambda path: path.write_text('{"pid": ' + "9" * 5000 + "}"),
        "every process": lambda path: path.write_text(
            new_claim("x", "local-1", "b").model_copy(update={"pid": -1}).model_dump_json()
        ),
        "folder": lambda path: path.mkdir(),
        "loop": lambda path: path.symlink_to(path),
    }
    for name, make in spoil.items():
        path = tmp_path / f"{name}.json"
        make(path)
        assert read(path) is None, name
        assert drop_stale(path, None), name
        assert take(new_claim("x", "local-1", "b"), path), name


def test_a_claim_that_may_not_be_read_is_somebodys(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    take(new_claim("x", "local-1", "b"), path)

    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", closed)
    hidden = read(path)
    assert hidden is not None and hidden.item == "x"
    assert lives_here(hidden)
    os.utime(path, (0, 0))
    old = read(path)
    assert old is not None and not lives_here(old)
