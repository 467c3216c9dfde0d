"""The lines of submissions.jsonl: one schema for all executors, and those of earlier versions."""

import json
import os
import socket

import pytest

from launcher.scheduler.ledger import (
    append_lines,
    new_line,
    read_ledger,
    without_job,
)
from launcher.scheduler.liveness import ClaimLiveness, query_jobs
from stilt.records.claims import new_claim, take
from tests.support.slurm_answers import ID, line, note

# as the versions before 2026-11 wrote them: all arrays of a submit in one line, then its jobs
INTENT = {
    "submission": ID,
    "intent": True,
    "time": "2026-11-22T20:38:10+00:00",
    "host": "login1",
    "pid": 4711,
    "arrays": [
        {"token": "s0", "stage": "source", "needs": [], "bundles": ["s0"]},
        {"token": "b0", "stage": "target", "needs": ["5f"], "bundles": ["b0", "b1", "b2", "b3"]},
    ],
    "minutes": 240,
    "timeouts": 20,
    "workers": 2,
    "gpus": 1,
    "command": "submit.py --grid full",
    "snapshot": "code/12ab",
    "cluster": "north",
}
JOB = {
    "submission": ID,
    "array": "12",
    "stage": "source",
    "bundles": ["s0"],
    "needs": [],
    "token": "s0",
    "time": "2026-11-22T20:38:12+00:00",
    "command": "submit.py --grid full",
    "snapshot": "code/12ab",
    "gpus": 1,
    "cluster": "north",
}


def smaller(count):
    """The line of an array that was refused, with the first of its bundles."""
    array = INTENT["arrays"][1]
    return INTENT | {"arrays": [array | {"bundles": array["bundles"][:count]}]}


def test_lines_cut_off_and_fields_of_later_versions_do_no_harm(folder):
    folder.submissions.write_text(json.dumps(line(colour="red")) + '\n[1]\n{"submission": "slu')
    [only] = read_ledger(folder).lines
    assert only.elements() == {"12_0": "b0", "12_1": "b1", "12_2": "b2"}


def test_no_ledger_is_an_empty_one(folder):
    assert read_ledger(folder).lines == []


def test_a_line_of_this_process_is_read_back_as_it_was_written(folder):
    written = new_line("local-1", ["b0", "b1"], "submit.py --grid demo")
    append_lines(folder, written)
    [found] = read_ledger(folder).lines
    assert found == written
    assert (found.host, found.pid) == (socket.gethostname(), os.getpid())
    assert found.age() < 60
    [text] = folder.submissions.read_text().splitlines()
    assert set(json.loads(text)) == {"submission", "time", "host", "pid", "command", "bundles"}


def test_where_only_slurm_s_lines_count_a_local_one_is_passed_over(folder):
    append_lines(folder, new_line("local-1", ["b0"], "submit.py"))
    [local] = read_ledger(folder).lines
    assert not local.on_slurm
    assert local.elements() == {}
    assert without_job([local]) == []
    # nobody is asked: there is no squeue here that could answer
    assert query_jobs([local]).squeue_problem is None


def test_an_earlier_version_s_line_of_several_arrays_is_read_as_a_line_for_each(folder):
    note(folder, INTENT)
    source, target = read_ledger(folder).lines
    assert (source.token, source.stage, source.bundles) == ("s0", "source", ("s0",))
    assert (target.token, target.needs) == ("b0", ("5f",))
    for found in (source, target):
        assert (found.host, found.pid, found.array) == ("login1", 4711, None)
        assert (found.minutes, found.timeouts, found.workers) == (240, 20, 2)
        assert (found.command, found.cluster) == ("submit.py --grid full", "north")


def test_an_earlier_version_s_array_without_a_job_is_told_from_one_with(folder):
    note(folder, INTENT, JOB)
    assert [found.token for found in without_job(read_ledger(folder).lines)] == ["b0"]
    note(folder, INTENT, JOB, JOB | {"token": "b0", "array": "13", "bundles": ["b0"]})
    assert without_job(read_ledger(folder).lines) == []


def test_of_an_array_that_was_tried_again_with_fewer_bundles_the_latest_line_counts(folder):
    note(folder, INTENT, JOB, smaller(2), smaller(1))
    [left] = without_job(read_ledger(folder).lines)
    assert left.bundles == ("b0",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [((), None), ((None, None), None), ((None, "north"), "north"), (("north", "south"), "north")],
)
def test_a_study_belongs_to_the_first_cluster_that_its_ledger_names(folder, names, expected):
    note(folder, *(line(cluster=name) for name in names))
    assert ClaimLiveness(folder).cluster == expected


DAMAGE = {
    "a byte that is not UTF-8": b"\xff",
    "brackets without end": b"[" * 100_000,
    "a number of 5,000 digits": b'{"pid": ' + b"9" * 5000 + b"}",
    "NUL": b"\0\0\0",
    "a wrong type": b'{"submission": 3, "time": []}',
    "a process that cannot be": json.dumps(line(pid=-1)).encode(),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_line_is_told_and_hides_no_other(folder, what):
    whole = json.dumps(line()).encode()
    folder.submissions.write_bytes(whole + b"\n" + DAMAGE[what] + b"\n" + whole + b"\n")
    found = read_ledger(folder)
    assert [li.array for li in found.lines] == ["12", "12"]
    assert found.damaged == [f"{folder.submissions}, line 2: damaged, and passed over"]


@pytest.mark.parametrize("name", ["slurm-1122203810-abc123", "slurm-1122203810-abc123+nlp.alice"])
def test_jobs_of_a_submit_whose_lines_are_lost_are_asked_for_all_the_same(folder, name):
    text = json.dumps(line(submission=name)).encode()
    folder.submissions.write_bytes(text.replace(b'"array"', b'"arr\xffay"') + b"\n")
    found = read_ledger(folder)
    assert [(li.submission, li.bundles) for li in found.lines] == [(name, ())]
    assert len(found.damaged) == 1
    # nothing is left of the line itself: the claim knows
    folder.submissions.write_bytes(b"\xff\n")
    claim = new_claim("c", name, "b0")
    take(claim, folder.claim("c"))
    assert [li.submission for li in read_ledger(folder).lines] == [name]
    folder.submissions.unlink()
    folder.submissions.mkdir()
    found = read_ledger(folder)
    assert [li.submission for li in found.lines] == [name]
    assert found.damaged == [
        f"{folder.submissions}: cannot be read (Is a directory); jobs are found by claims alone"
    ]


def test_a_time_without_a_zone_is_of_utc(folder):
    note(folder, line(time="2026-11-22T20:38:10"), line(time="2026-11-22T20:38:10+00:00"))
    one, other = read_ledger(folder).lines
    assert one.time == other.time
