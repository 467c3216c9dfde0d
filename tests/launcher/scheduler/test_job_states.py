"""What squeue and sacct say about jobs, in the shapes that SLURM 22.05 gives."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from launcher.cluster.limits import read_limits
from launcher.cluster.profile import Profile
from launcher.scheduler.job_states import LOST
from launcher.scheduler.liveness import query_jobs
from launcher.scheduler.stopping import cancel_jobs
from launcher.send.takeover import named_arrays
from stilt.slurm.words import LIVE
from tests.support.slurm_answers import NAME, line, lines, sacct, squeue


def test_every_element_of_an_array_gets_a_state(commands):
    commands.say(
        "squeue", squeue(("12_0", "RUNNING", "None"), ("12_[1-2%2]", "PENDING", "Priority"))
    )
    commands.say("sacct", "")
    found = query_jobs(lines()).jobs
    assert {job: state.state for job, state in found.items()} == {
        "12_0": "RUNNING",
        "12_1": "PENDING",
        "12_2": "PENDING",
    }
    assert found["12_0"].elapsed == 65
    assert found["12_0"].gpus == 1
    assert found["12_2"].reason == "Priority"


def test_squeue_is_asked_for_elements_one_by_one_and_for_ended_ones_and_by_name(commands):
    commands.say("squeue", "")
    commands.say("sacct", "")
    query_jobs(lines())
    [asked] = commands.called("squeue")
    assert "--array" in asked
    assert "--states=all" in asked
    assert f"--name={NAME}" in asked
    [asked] = commands.called("sacct")
    assert "--parsable2" in asked
    assert "--starttime=" in asked
    assert "--duplicates" in asked


def test_sacct_is_asked_from_before_the_first_submission(commands):
    commands.say("squeue", "")
    commands.say("sacct", "")
    query_jobs(lines(line(age=86_400 * 40), line(array="13")))
    [asked] = commands.called("sacct")
    start = next(word for word in asked.split() if word.startswith("--starttime="))
    begin = datetime.fromisoformat(start.partition("=")[2]).astimezone()
    assert begin < datetime.now(UTC) - timedelta(days=40)


def test_jobs_in_partitions_that_are_hidden_are_asked_for_too(commands):
    for name in ("squeue", "scancel", "scontrol", "sinfo"):
        commands.say(name, "12|b0\n")
    query_jobs(lines())
    named_arrays(NAME)
    cancel_jobs(["12_0"], wait=1)
    read_limits(Profile())
    asked = commands.called("squeue")
    assert len(asked) == 4
    assert all("--all" in call for call in [*asked, *commands.called("sinfo")])


def test_what_a_user_set_for_her_own_looks_bends_no_answer(commands, monkeypatch):
    programs = ("squeue", "sacct", "scancel", "sinfo", "scontrol", "sacctmgr")
    own = ["SLURM_TIME_FORMAT", *(f"{name.upper()}_PARTITION" for name in programs)]
    kept = {"SLURM_CONF", "SLURM_CLUSTERS"}
    for name in (*own, *kept):
        monkeypatch.setenv(name, "short")
    for name in programs:
        commands.say(name)
    query_jobs(lines())
    cancel_jobs(["12_0"], wait=0)
    read_limits(Profile())
    for name in programs:
        assert not commands.variables(name) & set(own)
        assert commands.variables(name) >= kept
    assert os.environ["SQUEUE_PARTITION"] == "short"


def test_sacct_is_told_of_the_cluster_that_the_others_read_from_the_environment(
    commands, monkeypatch
):
    monkeypatch.setenv("SLURM_CLUSTERS", "north")
    commands.say("sacct")
    query_jobs(lines())
    assert "--clusters=north" in commands.called("sacct")[0]


def test_a_revoked_copy_of_a_job_does_not_hide_the_one_that_runs(commands):
    commands.say("squeue", squeue(("12_0", "RUNNING", "None"), ("12_0", "REVOKED", "None")))
    assert query_jobs(lines()).jobs["12_0"].live


ENDED = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED"),
    *("BOOT_FAIL", "DEADLINE", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL", "EXPIRED"),
)


@pytest.mark.parametrize("state", ENDED)
def test_an_ended_state_is_not_live(commands, state):
    commands.say("squeue", "")
    commands.say("sacct", sacct(("12_0", state, 7, "1:0")))
    found = query_jobs(lines()).jobs["12_0"]
    assert (found.state, found.live, found.elapsed, found.exit_code) == (state, False, 7, "1:0")


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_state_from_which_a_job_can_go_on_is_live(commands, state):
    commands.say("squeue", squeue(("12_0", state, "None")))
    assert query_jobs(lines()).jobs["12_0"].live


def test_who_cancelled_is_no_part_of_the_state(commands):
    commands.say("sacct", sacct(("12_0", "CANCELLED by 1000", 7, "0:15")))
    assert query_jobs(lines()).jobs["12_0"].state == "CANCELLED"


def test_a_requeued_element_is_what_squeue_says_and_its_attempts_add_up(commands):
    earlier = sacct(("12_0", "REQUEUED", 12, "0:0"), submitted="2026-11-22T20:40:45")
    latest = sacct(("12_0", "RUNNING", 60, "0:0"), submitted="2026-11-22T20:40:59")
    commands.say("sacct", latest + earlier)
    commands.say("squeue", squeue(("12_0", "RUNNING", "None")))
    found = query_jobs(lines()).jobs["12_0"]
    assert (found.state, found.elapsed, found.spent) == ("RUNNING", 65, 12 + 65)


def test_the_latest_record_of_an_element_counts_without_squeue_too(commands):
    earlier = sacct(("12_0", "REQUEUED", 12, "0:0"), submitted="2026-11-22T20:40:45")
    latest = sacct(("12_0", "TIMEOUT", 60, "0:0"), submitted="2026-11-22T20:40:59")
    commands.say("sacct", latest + earlier)
    found = query_jobs(lines()).jobs["12_0"]
    assert (found.state, found.spent, found.live) == ("TIMEOUT", 72, False)


def test_why_it_once_waited_is_not_why_it_ended(commands):
    commands.say("sacct", sacct(("12_0", "FAILED", 7, "1:0")))
    assert query_jobs(lines()).jobs["12_0"].reason == ""


def test_a_job_that_the_controller_has_lost_is_dead_although_sacct_has_it_running(commands):
    commands.say("squeue", "")
    commands.say("sacct", sacct(("12_0", "RUNNING", 7, "0:0")))
    found = query_jobs(lines()).jobs["12_0"]
    assert (found.state, found.live) == (LOST, False)


def test_a_running_job_is_live_while_the_controller_is_down(commands):
    commands.say(
        "squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1
    )
    commands.say("sacct", sacct(("12_0", "RUNNING", 7, "0:0")))
    assert query_jobs(lines()).jobs["12_0"].live


def test_a_job_that_can_never_start_is_not_live(commands):
    commands.say("squeue", squeue(("12_0", "PENDING", "DependencyNeverSatisfied")))
    assert not query_jobs(lines()).jobs["12_0"].live


def test_without_sacct_squeue_is_enough(commands):
    commands.say("squeue", squeue(("12_0", "RUNNING", "None")))
    seen = query_jobs(lines())
    assert seen.jobs["12_0"].live
    assert seen.squeue_problem is None
    assert seen.sacct_problem == "sacct is not installed here"


def test_a_database_that_is_down_is_told_in_its_own_words(commands):
    commands.say("squeue", "")
    commands.say(
        "sacct",
        errors="sacct: error: Sending PersistInit msg: Connection refused\n"
        "sacct: error: Problem talking to the database: Connection refused\n",
        code=1,
    )
    seen = query_jobs(lines())
    assert seen.squeue_problem is None
    assert "Problem talking to the database" in seen.sacct_problem


def test_nobody_to_ask_is_not_the_same_as_no_jobs(commands):
    seen = query_jobs(lines())
    assert seen.squeue_problem == "squeue is not installed here"
    assert seen.sacct_problem == "sacct is not installed here"
    commands.say("squeue", "")
    seen = query_jobs(lines())
    assert (seen.jobs, seen.squeue_problem) == ({}, None)


def test_a_scheduler_that_hangs_is_down(commands, monkeypatch):
    monkeypatch.setattr("stilt.slurm.commands.SECONDS", 0.2)
    commands.hang("squeue")
    assert "did not answer" in query_jobs(lines()).squeue_problem


def test_nothing_is_asked_for_local_submissions(commands):
    commands.say("squeue", "")
    assert query_jobs(lines(line() | {"submission": "local-1"})).jobs == {}
    assert commands.called("squeue") == []
