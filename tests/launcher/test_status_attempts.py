"""Of an item's failure record, its dead claim and its job's end, the newest is what is told."""

import time
from datetime import UTC, datetime

import pytest

from stilt.records.results import Failure, write_record
from tests.support.watched_study import SUBMISSION, ended, hold, show, state_of, submitted, undone

HOUR = 3600.0


def failed(made, cell, *, ago, kind="bug", job=None, message="ValueError: old"):
    """A failure record, written some seconds ago."""
    study, folder = made
    finished = datetime.fromtimestamp(time.time() - ago, UTC).isoformat(timespec="seconds")
    record = Failure(
        study=study.digest,
        cell=cell,
        kind=kind,
        message=message,
        traceback="Traceback:\n  line 7, in old\n",
        attempts=1,
        host="node7",
        job=job,
        finished=finished,
        log="logs/old.log",
    )
    write_record(record, folder.failure(cell.id))
    folder.logs.mkdir(exist_ok=True)
    (folder.logs / "old.log").write_text("the old words\n")


def begin(folder, cell, ago, **more):
    moment = time.time() - ago
    return hold(folder, cell.id, taken=moment - 5, running=True, started=moment, updated=moment,
                **more)  # fmt: skip


def test_a_later_attempt_that_was_cancelled_is_told_not_the_failure_before(
    made, commands, tmp_path, capsys
):
    _, folder = made
    [cell] = undone(made)
    failed(made, cell, ago=2 * HOUR, job="11_0")
    submitted(folder)
    begin(folder, cell, HOUR, job="12")
    commands.say("squeue", "")
    commands.say("sacct", ended("12", "CANCELLED by 0"))
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("open", "cancelled")
    code, said = show(tmp_path, capsys, "why", cell.id)
    assert code == 0
    assert "cancelled: job 12 died with no result: CANCELLED" in said.out
    assert "An earlier attempt failed: bug: ValueError: old" in said.out
    assert "the old words" not in said.out


def test_a_later_worker_that_was_killed_is_told_not_the_failure_before(made):
    _, folder = made
    [cell] = undone(made)
    failed(made, cell, ago=2 * HOUR)
    begin(folder, cell, HOUR, submission="local-1")
    found = state_of(made, cell.id)
    assert found.state == "failed"
    assert "its worker" in found.why
    assert "died with no result" in found.why


@pytest.mark.parametrize("job", ["12", "12_0"])
def test_a_worker_killed_between_its_failure_record_and_its_claim_has_failed_as_recorded(
    made, commands, job
):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    begin(folder, cell, HOUR, job="12_0")
    failed(made, cell, ago=HOUR - 60, job=job, message="ValueError: new")
    commands.say("squeue", "")
    commands.say("sacct", ended("12_0", "CANCELLED by 0"))
    found = state_of(made, cell.id)
    assert (found.state, found.kind, found.why) == ("failed", "bug", "ValueError: new")


def test_of_a_local_run_the_record_of_its_own_attempt_counts(made):
    _, folder = made
    [cell] = undone(made)
    begin(folder, cell, HOUR, submission="local-1")
    failed(made, cell, ago=HOUR - 60, message="ValueError: new")
    found = state_of(made, cell.id)
    assert (found.state, found.kind, found.why) == ("failed", "bug", "ValueError: new")


def test_a_requeued_attempt_that_was_cancelled_is_told_not_the_node_that_broke_before(
    made, commands
):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    begin(folder, cell, 2 * HOUR, job="12")
    # the record of a broken node leaves the claim to the next attempt
    failed(made, cell, ago=HOUR, kind="node", job="12", message="CUDA error")
    commands.say("squeue", f"12|CANCELLED|0:00|None||N/A|stilt-{SUBMISSION}\n")
    found = state_of(made, cell.id)
    assert (found.state, found.kind) == ("open", "cancelled")


def test_a_clock_that_is_late_on_the_node_changes_nothing_where_jobs_are_known(made, commands):
    _, folder = made
    [cell] = undone(made)
    submitted(folder)
    begin(folder, cell, HOUR, job="12")
    failed(made, cell, ago=-HOUR, job="11_3")
    commands.say("squeue", "")
    commands.say("sacct", ended("12", "OUT_OF_MEMORY", "0:125"))
    assert state_of(made, cell.id).kind == "oom"
