"""What squeue and sacct say about jobs, in the shapes that SLURM 22.05 gives, and who lives."""

import json
import os
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cluster.limits import read_limits
from launcher.cluster.profile import Profile
from launcher.scheduler.job_states import LOST
from launcher.scheduler.ledger import Submission, read_submissions
from launcher.scheduler.liveness import ClaimLiveness, lives, query_jobs, states
from launcher.scheduler.stopping import cancel_jobs
from launcher.send.takeover import named_arrays
from stilt.folder import StudyFolder
from stilt.records.claims import Claim, take
from stilt.slurm.words import ENDED, LIVE, NEVER_STARTS, expand, gpu_number, seconds, state_word
from tests.support import slurm_cluster
from tests.support.fake_commands import Commands

ID = "slurm-1122203810-ab12cd"
NAME = f"stilt-{ID}"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    return Commands(tmp_path / "fake", monkeypatch)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study").mkdir()
    return StudyFolder(tmp_path / "study")


def line(array="12", bundles=("b0", "b1", "b2"), age=600.0, **more):
    time_ = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "submission": ID,
        "array": array,
        "bundles": list(bundles),
        "time": time_.isoformat(),
    } | more


def note(folder, *lines):
    folder.submissions.write_text("".join(json.dumps(entry) + "\n" for entry in lines))


def submissions(*lines):
    return [Submission.model_validate(entry) for entry in lines or [line()]]


def squeue(*rows):
    """Rows of (id, state, reason) as squeue prints them."""
    return "".join(
        f"{job}|{state}|1:05|{why}|node1|gres:gpu:1|{NAME}\n" for job, state, why in rows
    )


def sacct(*rows, submitted="2026-11-22T20:40:45"):
    """Rows of (id, state, seconds, exit code) as sacct prints them."""
    return "".join(
        f"{job}|{state}|{took}|JobArrayTaskLimit|node1|{code}|billing=1,cpu=1,node=1|{NAME}|"
        f"{submitted}\n"
        for job, state, took, code in rows
    )


def claim(bundle="b1", *, running=False, job=None, submission=ID, **more):
    values = {"item": "cell", "host": socket.gethostname(), "pid": 2**22 + 5} | more
    return Claim(submission=submission, bundle=bundle, running=running, job=job, **values)


def test_every_element_of_an_array_gets_a_state(commands):
    commands.say(
        "squeue", squeue(("12_0", "RUNNING", "None"), ("12_[1-2%2]", "PENDING", "Priority"))
    )
    commands.say("sacct", "")
    found = states(submissions())
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
    states(submissions())
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
    states(submissions(line(age=86_400 * 40), line(array="13")))
    [asked] = commands.called("sacct")
    start = next(word for word in asked.split() if word.startswith("--starttime="))
    begin = datetime.fromisoformat(start.partition("=")[2]).astimezone()
    assert begin < datetime.now(UTC) - timedelta(days=40)


def test_jobs_in_partitions_that_are_hidden_are_asked_for_too(commands):
    for name in ("squeue", "scancel", "scontrol", "sinfo"):
        commands.say(name, "12|b0\n")
    query_jobs(submissions())
    named_arrays(ID)
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
    query_jobs(submissions())
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
    query_jobs(submissions())
    assert "--clusters=north" in commands.called("sacct")[0]


def test_a_revoked_copy_of_a_job_does_not_hide_the_one_that_runs(commands):
    commands.say("squeue", squeue(("12_0", "RUNNING", "None"), ("12_0", "REVOKED", "None")))
    assert states(submissions())["12_0"].live


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_state_is_not_live(commands, state):
    commands.say("squeue", "")
    commands.say("sacct", sacct(("12_0", state, 7, "1:0")))
    found = states(submissions())["12_0"]
    assert (found.state, found.live, found.elapsed, found.exit_code) == (state, False, 7, "1:0")


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_state_from_which_a_job_can_go_on_is_live(commands, state):
    commands.say("squeue", squeue(("12_0", state, "None")))
    assert states(submissions())["12_0"].live


def test_who_cancelled_is_no_part_of_the_state(commands):
    commands.say("sacct", sacct(("12_0", "CANCELLED by 1000", 7, "0:15")))
    assert states(submissions())["12_0"].state == "CANCELLED"


def test_a_state_cut_off_by_a_narrow_column_is_read_in_full(commands):
    commands.say("sacct", sacct(("12_0", "OUT_OF_ME+", 7, "0:125")))
    assert states(submissions())["12_0"].state == "OUT_OF_MEMORY"
    assert state_word("CANCELLED+") == "CANCELLED"


def test_a_requeued_element_is_what_squeue_says_and_its_attempts_add_up(commands):
    earlier = sacct(("12_0", "REQUEUED", 12, "0:0"), submitted="2026-11-22T20:40:45")
    latest = sacct(("12_0", "RUNNING", 60, "0:0"), submitted="2026-11-22T20:40:59")
    commands.say("sacct", latest + earlier)
    commands.say("squeue", squeue(("12_0", "RUNNING", "None")))
    found = states(submissions())["12_0"]
    assert (found.state, found.elapsed, found.spent) == ("RUNNING", 65, 12 + 65)


def test_the_latest_record_of_an_element_counts_without_squeue_too(commands):
    earlier = sacct(("12_0", "REQUEUED", 12, "0:0"), submitted="2026-11-22T20:40:45")
    latest = sacct(("12_0", "TIMEOUT", 60, "0:0"), submitted="2026-11-22T20:40:59")
    commands.say("sacct", latest + earlier)
    found = states(submissions())["12_0"]
    assert (found.state, found.spent, found.live) == ("TIMEOUT", 72, False)


def test_why_it_once_waited_is_not_why_it_ended(commands):
    commands.say("sacct", sacct(("12_0", "FAILED", 7, "1:0")))
    assert states(submissions())["12_0"].reason == ""


def test_a_job_that_the_controller_has_lost_is_dead_although_sacct_has_it_running(commands):
    commands.say("squeue", "")
    commands.say("sacct", sacct(("12_0", "RUNNING", 7, "0:0")))
    found = states(submissions())["12_0"]
    assert (found.state, found.live) == (LOST, False)


def test_a_running_job_is_live_while_the_controller_is_down(commands):
    commands.say(
        "squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1
    )
    commands.say("sacct", sacct(("12_0", "RUNNING", 7, "0:0")))
    assert states(submissions())["12_0"].live


def test_a_job_that_can_never_start_is_not_live(commands):
    commands.say("squeue", squeue(("12_0", "PENDING", "DependencyNeverSatisfied")))
    assert not states(submissions())["12_0"].live


def test_without_sacct_squeue_is_enough(commands):
    commands.say("squeue", squeue(("12_0", "RUNNING", "None")))
    seen = query_jobs(submissions())
    assert seen.jobs["12_0"].live
    assert seen.squeue is None
    assert seen.sacct == "sacct is not installed here"


def test_a_database_that_is_down_is_told_in_its_own_words(commands):
    commands.say("squeue", "")
    commands.say(
        "sacct",
        errors="sacct: error: Sending PersistInit msg: Connection refused\n"
        "sacct: error: Problem talking to the database: Connection refused\n",
        code=1,
    )
    seen = query_jobs(submissions())
    assert seen.answers
    assert "Problem talking to the database" in seen.sacct


def test_nobody_to_ask_is_not_the_same_as_no_jobs(commands):
    assert states(submissions()) is None
    commands.say("squeue", "")
    assert states(submissions()) == {}


def test_forgotten_ids_are_an_answer(commands):
    commands.say("squeue", errors="slurm_load_jobs error: Invalid job id specified\n", code=1)
    assert states(submissions()) == {}


def test_a_scheduler_that_hangs_is_down(commands, monkeypatch):
    monkeypatch.setattr("stilt.slurm.commands.SECONDS", 0.2)
    commands.hang("squeue")
    assert "did not answer" in query_jobs(submissions()).squeue


def test_nothing_is_asked_for_local_submissions(commands):
    commands.say("squeue", "")
    assert query_jobs(submissions(line() | {"submission": "local-1"})).jobs == {}
    assert commands.called("squeue") == []


def test_an_array_of_one_is_a_plain_job(commands, folder):
    note(folder, line(bundles=["b0"]))
    commands.say("squeue", squeue(("12", "RUNNING", "None")))
    assert ClaimLiveness(folder).lives(claim("b0"))
    assert ClaimLiveness(folder).job(claim("b0")).job == "12"


def test_elements_cancelled_before_they_were_told_apart_are_dead_at_once(commands, folder):
    note(folder, line(age=10))
    commands.say("squeue", squeue(("12", "CANCELLED", "Dependency"), ("12_0", "RUNNING", "None")))
    alive = lives(folder)
    assert [alive(claim(bundle)) for bundle in ("b0", "b1", "b2")] == [True, False, False]


def test_lines_cut_off_and_fields_of_later_versions_do_no_harm(folder):
    folder.submissions.write_text(json.dumps(line(colour="red")) + '\n{"submission": "slu')
    [only] = read_submissions(folder)
    assert only.elements() == {"12_0": ("b0",), "12_1": ("b1",), "12_2": ("b2",)}


def test_an_element_may_hold_several_bundles(folder):
    note(folder, line(bundles=[["b0", "b1"], "b2"]))
    assert read_submissions(folder)[0].elements() == {"12_0": ("b0", "b1"), "12_1": ("b2",)}


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
    assert lives(folder)(claim("b1")) is alive


def test_a_job_of_another_cluster_lives_and_is_not_one_of_the_same_number_here(commands, folder):
    note(folder, line(cluster="north"))
    commands.say("scontrol", "ClusterName             = south\n")
    commands.say("squeue", "12_1|RUNNING|1:05||node1|N/A|stilt-slurm-other\n")
    liveness = ClaimLiveness(folder)
    assert liveness.lives(claim("b1"))
    assert liveness.job(claim("b1")) is None
    assert liveness.elsewhere(claim("b1")) == "north"


def test_a_job_of_this_cluster_that_squeue_does_not_know_is_dead(commands, folder):
    note(folder, line(cluster="north"))
    commands.say("squeue", "")
    commands.say("scontrol", "ClusterName             = north\n")
    assert not lives(folder)(claim("b1"))
    # a controller that does not say its name may be another's
    commands.say("scontrol", code=1)
    assert lives(folder)(claim("b1"))


def test_a_running_claim_lives_by_the_element_that_the_worker_wrote(commands, folder):
    note(folder, line())
    commands.say("squeue", squeue(("44_7", "RUNNING", "None")))
    assert lives(folder)(claim("b1", running=True, job="44_7"))


def test_where_nobody_can_be_asked_a_claim_is_taken_to_live(commands, folder):
    note(folder, line(age=1e6))
    assert lives(folder)(claim("b1"))


def test_sacct_alone_cannot_say_that_a_waiting_job_is_gone(commands, folder):
    # sacct 22.05 lists no element that has not started
    note(folder, line(age=1e6))
    commands.say("sacct", sacct(("12_0", "COMPLETED", 7, "0:0")))
    assert lives(folder)(claim("b1"))
    assert not lives(folder)(claim("b0"))


def test_a_claim_unknown_to_slurm_lives_for_two_minutes_after_its_submission(commands, folder):
    commands.say("squeue", "")
    note(folder, line(age=60))
    assert lives(folder)(claim("b1"))
    note(folder, line(age=180))
    assert not lives(folder)(claim("b1"))


def test_an_intent_holds_its_claims_for_two_minutes(commands, folder):
    commands.say("squeue", "")
    intent = {"submission": ID, "intent": True}
    note(folder, intent | {"time": (datetime.now(UTC) - timedelta(seconds=30)).isoformat()})
    assert lives(folder)(claim("b1"))
    note(folder, intent | {"time": (datetime.now(UTC) - timedelta(seconds=130)).isoformat()})
    assert not lives(folder)(claim("b1"))


def test_a_job_that_nobody_noted_is_found_by_its_name(commands, folder):
    old = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    note(folder, {"submission": ID, "intent": True, "time": old})
    commands.say("squeue", squeue(("77_0", "PENDING", "Priority")))
    assert lives(folder)(claim("b1"))


def test_a_launcher_still_at_work_holds_its_claims(commands, folder):
    commands.say("squeue", "")
    note(folder, {"submission": ID, "intent": True, "time": "2026-01-01T00:00:00+00:00"})
    assert lives(folder)(claim("b1", pid=os.getpid()))


def test_a_claim_older_than_any_line_of_its_submission_goes_by_its_file(commands, folder):
    commands.say("squeue", "")
    mine = claim("b1")
    take(mine, folder.claim("cell"))
    assert lives(folder)(mine)
    past = time.time() - 600
    os.utime(folder.claim("cell"), (past, past))
    assert not lives(folder)(mine)


def test_a_local_claim_lives_by_its_process(commands, folder):
    assert lives(folder)(claim(submission="local-1", pid=os.getpid()))
    assert not lives(folder)(claim(submission="local-1"))
    assert commands.called("squeue") == []


def test_slurm_is_asked_once_for_all_claims_of_one_look(commands, folder):
    note(folder, line())
    commands.say("squeue", squeue(("12_1", "RUNNING", "None")))
    alive = lives(folder)
    assert [alive(claim(bundle)) for bundle in ("b0", "b1", "b2")] == [False, True, False]
    assert len(commands.called("squeue")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", ["12"]),
        ("12_4", ["12_4"]),
        ("12_[5-7]", ["12_5", "12_6", "12_7"]),
        ("12_[5-9%2]", ["12_5", "12_6", "12_7", "12_8", "12_9"]),
        ("12_[0,3-4,9%1]", ["12_0", "12_3", "12_4", "12_9"]),
        ("12_[0-6:3]", ["12_0", "12_3", "12_6"]),
        ("12_[0,1,...]", ["12_0", "12_1"]),
    ],
)
def test_ranges_of_elements_are_expanded(text, expected):
    assert expand(text) == expected


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=30))
def test_expanding_a_list_gives_every_index_once(indices):
    text = ",".join(map(str, sorted(indices)))
    assert expand(f"7_[{text}%4]") == [f"7_{index}" for index in sorted(indices)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("59", 59), ("1:05", 65), ("2:00:00", 7200), ("1-02:03:04", 93784), ("UNLIMITED", None)],
)
def test_slurms_times_are_read(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("billing=1,cpu=4,gres/gpu=2,mem=8G", 2),
        ("cpu=4,gres/gpu=2,gres/gpu:a100=2", 2),
        ("gres:gpu:1", 1),
        ("gres/gpu:a100:4", 4),
        ("gpu", 1),
        ("N/A", 0),
        ("billing=1,cpu=1,node=1", 0),
    ],
)
def test_gpus_are_counted_in_every_spelling(text, expected):
    assert gpu_number(text) == expected


@pytest.fixture(scope="module")
def cluster():
    try:
        with slurm_cluster.cluster(slurm_cluster.Settings(min_job_age=300)):
            yield
    except slurm_cluster.ClusterError as error:
        if "Not installed" in str(error):
            pytest.skip(str(error))
        raise


def sbatch(*options, script="sleep 300"):
    command = ["sbatch", "--parsable", f"--job-name={NAME}", "--output=/dev/null", *options]
    run = subprocess.run([*command, f"--wrap={script}"], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def until(condition, limit=60.0):
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)
    return found


@pytest.mark.slurm
@pytest.mark.slow
def test_a_real_slurm_tells_of_running_failed_waiting_and_cancelled_jobs(cluster, folder):
    script = "case $SLURM_ARRAY_TASK_ID in 1) exit 3;; esac; sleep 300"
    array = sbatch("--array=0-2%2", script=script)
    after = sbatch("--array=0-1", f"--dependency=afterok:{array}", "--kill-on-invalid-dep=yes")
    note(folder, line(array=array), line(array=after, bundles=["c0", "c1"]))

    def seen():
        found = query_jobs(read_submissions(folder)).jobs
        words = {job: state.state for job, state in found.items()}
        return found if words.get(f"{array}_1") == "FAILED" else None

    found = until(seen)
    assert found[f"{array}_0"].live
    assert found[f"{array}_1"].exit_code in ("", "3:0")
    assert lives(folder)(claim("b0"))
    assert not lives(folder)(claim("b1"))
    assert lives(folder)(claim("c1"))
    slurm_cluster.stop_slurmdbd()
    try:
        looked = query_jobs(read_submissions(folder))
        assert "onnection refused" in looked.sacct
        assert looked.jobs[f"{array}_1"].state == "FAILED"
    finally:
        slurm_cluster.start_slurmdbd()
    subprocess.run(["scancel", array], check=True)
    until(lambda: not lives(folder)(claim("b0")))
    until(lambda: not lives(folder)(claim("c1")))
    assert query_jobs(read_submissions(folder)).jobs[f"{array}_0"].state == "CANCELLED"
    until(lambda: query_jobs(read_submissions(folder)).jobs[f"{after}_0"].reason == NEVER_STARTS)


@pytest.mark.slurm
@pytest.mark.slow
def test_a_real_requeue_stays_live(cluster, folder):
    array = sbatch("--array=0-1", "--requeue")
    note(folder, line(array=array, bundles=["b0", "b1"]))
    first = f"{array}_0"

    def state():
        return query_jobs(read_submissions(folder)).jobs.get(first)

    until(lambda: (now := state()) and now.state == "RUNNING" and (now.elapsed or 0) >= 2)
    subprocess.run(["scontrol", "requeue", first], check=True)
    until(lambda: (now := state()) and now.state == "PENDING")
    assert lives(folder)(claim("b0"))
    subprocess.run(["scancel", array], check=True)
