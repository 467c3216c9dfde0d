"""Which claims of a study are held: by a job that lives or may live, or by a process."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from launcher.scheduler.liveness import ClaimLiveness
from stilt.records.claims import take
from tests.support.slurm_answers import ID, claim, line, note, sacct, squeue


def test_an_array_of_one_is_a_plain_job(commands, folder):
    note(folder, line(bundles=["b0"]))
    commands.say("squeue", squeue(("12", "RUNNING", "None")))
    assert ClaimLiveness(folder).lives(claim("b0"))
    assert ClaimLiveness(folder).job(claim("b0")).job == "12"


def test_elements_cancelled_before_they_were_told_apart_are_dead_at_once(commands, folder):
    note(folder, line(age=10))
    commands.say("squeue", squeue(("12", "CANCELLED", "Dependency"), ("12_0", "RUNNING", "None")))
    alive = ClaimLiveness(folder).lives
    assert [alive(claim(bundle)) for bundle in ("b0", "b1", "b2")] == [True, False, False]


@pytest.mark.parametrize(
    ("row", "alive"),
    [
        (("12_1", "PENDING", "Dependency"), True),
        (("12_1", "RUNNING", "None"), True),
        (("12_1", "REQUEUED", "BeginTime"), True),
        (("12_1", "COMPLETED", "None"), False),
        (("12_1", "NODE_FAIL", "None"), False),
        (("12_0", "RUNNING", "None"), False),
    ],
)
def test_a_claim_lives_as_long_as_the_element_of_its_bundle(commands, folder, row, alive):
    note(folder, line())
    commands.say("squeue", squeue(row))
    assert ClaimLiveness(folder).lives(claim("b1")) is alive


@pytest.mark.parametrize(
    ("here", "at_home", "alive"), [("north", True, False), ("south", False, True), ("", None, True)]
)
def test_a_job_that_squeue_does_not_know_is_dead_only_on_the_study_s_own_cluster(
    commands, folder, here, at_home, alive
):
    note(folder, line(cluster="north"))
    commands.say("squeue", "")
    commands.say("scontrol", f"ClusterName             = {here}\n", code=0 if here else 1)
    liveness = ClaimLiveness(folder)
    assert liveness.lives(claim("b1")) is alive
    assert liveness.at_home is at_home
    # the name alone tells: nothing else is asked for a study whose ledger names no cluster
    note(folder, line())
    assert ClaimLiveness(folder).at_home is True
    assert not ClaimLiveness(folder).lives(claim("b1"))


def test_a_job_that_an_earlier_version_sent_to_a_second_cluster_is_never_taken_for_dead(
    commands, folder
):
    note(folder, line(cluster="north"), line(submission="slurm-2", cluster="south"))
    commands.say("squeue", "")
    commands.say("scontrol", "ClusterName             = north\n")
    liveness = ClaimLiveness(folder)
    assert liveness.at_home
    assert not liveness.lives(claim("b1"))
    assert liveness.lives(claim("b1").model_copy(update={"submission": "slurm-2"}))


def test_a_job_of_the_same_number_is_not_the_claim_s(commands, folder):
    note(folder, line())
    commands.say("squeue", "12_1|RUNNING|1:05||node1|N/A|stilt-slurm-other\n")
    assert ClaimLiveness(folder).job(claim("b1")) is None


def test_a_running_claim_lives_by_the_element_that_the_worker_wrote(commands, folder):
    note(folder, line())
    commands.say("squeue", squeue(("44_7", "RUNNING", "None")))
    assert ClaimLiveness(folder).lives(claim("b1", running=True, job="44_7"))


def test_where_nobody_can_be_asked_a_claim_is_taken_to_live(commands, folder):
    note(folder, line(age=1e6))
    assert ClaimLiveness(folder).lives(claim("b1"))


def test_sacct_alone_cannot_say_that_a_waiting_job_is_gone(commands, folder):
    # sacct 22.05 lists no element that has not started
    note(folder, line(age=1e6))
    commands.say("sacct", sacct(("12_0", "COMPLETED", 7, "0:0")))
    assert ClaimLiveness(folder).lives(claim("b1"))
    assert not ClaimLiveness(folder).lives(claim("b0"))


def test_a_claim_unknown_to_slurm_lives_for_two_minutes_after_its_submission(commands, folder):
    commands.say("squeue", "")
    note(folder, line(age=60))
    assert ClaimLiveness(folder).lives(claim("b1"))
    note(folder, line(age=180))
    assert not ClaimLiveness(folder).lives(claim("b1"))


def test_an_intent_holds_its_claims_for_two_minutes(commands, folder):
    commands.say("squeue", "")
    intent = {"submission": ID, "intent": True}
    note(folder, intent | {"time": (datetime.now(UTC) - timedelta(seconds=30)).isoformat()})
    assert ClaimLiveness(folder).lives(claim("b1"))
    note(folder, intent | {"time": (datetime.now(UTC) - timedelta(seconds=130)).isoformat()})
    assert not ClaimLiveness(folder).lives(claim("b1"))


def test_a_job_that_nobody_noted_is_found_by_its_name(commands, folder):
    old = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    note(folder, {"submission": ID, "intent": True, "time": old})
    commands.say("squeue", squeue(("77_0", "PENDING", "Priority")))
    assert ClaimLiveness(folder).lives(claim("b1"))


def test_a_launcher_still_at_work_holds_its_claims(commands, folder):
    commands.say("squeue", "")
    note(folder, {"submission": ID, "intent": True, "time": "2026-01-01T00:00:00+00:00"})
    assert ClaimLiveness(folder).lives(claim("b1", pid=os.getpid()))


def test_a_claim_older_than_any_line_of_its_submission_goes_by_its_file(commands, folder):
    commands.say("squeue", "")
    mine = claim("b1")
    take(mine, folder.claim("cell"))
    assert ClaimLiveness(folder).lives(mine)
    past = time.time() - 600
    os.utime(folder.claim("cell"), (past, past))
    assert not ClaimLiveness(folder).lives(mine)


def test_a_local_claim_lives_by_its_process(commands, folder):
    assert ClaimLiveness(folder).lives(claim(submission="local-1", pid=os.getpid()))
    assert not ClaimLiveness(folder).lives(claim(submission="local-1"))
    assert commands.called("squeue") == []


def test_slurm_is_asked_once_for_all_claims_of_one_look(commands, folder):
    note(folder, line())
    commands.say("squeue", squeue(("12_1", "RUNNING", "None")))
    alive = ClaimLiveness(folder).lives
    assert [alive(claim(bundle)) for bundle in ("b0", "b1", "b2")] == [False, True, False]
    assert len(commands.called("squeue")) == 1


@pytest.mark.parametrize(("renewed", "alive"), [(0, True), (100_000, False)])
def test_what_waits_in_another_machine_s_pool_lives_as_long_as_that_runs_something(
    folder, renewed, alive
):
    long_ago, now = time.time() - 90_000, time.time()
    of_pool = {"submission": "local-1", "host": "elsewhere", "taken": long_ago}
    waiting = claim(item="waits", **of_pool)
    runs = claim(item="runs", running=True, updated=now - renewed, **of_pool)
    for one in (waiting, runs):
        assert take(one, folder.claim(one.item))
    lives = ClaimLiveness(folder).lives
    assert [lives(waiting), lives(runs)] == [alive, alive]
    # another pool's sign of life says nothing of this one
    other = claim(item="other", submission="local-2", host="elsewhere", taken=long_ago)
    assert not ClaimLiveness(folder).lives(other)
