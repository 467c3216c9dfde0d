"""A study belongs to the cluster that it was first sent to."""

import json

import pytest

from launcher.cancel import main as cancel
from launcher.clean import main as clean
from launcher.status import main as status
from launcher.submit import main
from stilt.folder import read_study
from tests.support.submitted import arguments, everything, folder, sent_items

BELONGS = (
    "error: logs/own: this study belongs to cluster north, where it was first sent, and SLURM here "
    "is cluster south. Submit there, or begin a study of another name here: --study NAME.\n"
)


@pytest.fixture
def at_north(own, fake, monkeypatch):
    """A study whose three sources went to cluster north; what squeue does not list has ended."""
    fake.tell("limit", "3")
    assert main(arguments(own, "--bundles", "8")) == 0
    (fake.folder / "limit").unlink()
    monkeypatch.setattr("launcher.scheduler.liveness.INTENT_SECONDS", 0)
    # the launcher that claimed them was this process, which still lives
    monkeypatch.setattr("stilt.records.claims.process_lives", lambda claim: False)
    return fake


@pytest.fixture
def from_south(at_north):
    """The same, seen from another cluster with the same home."""
    at_north.tell("cluster", "south")
    return at_north


def files():
    """Every file of the study, and what is in it."""
    paths = [path for path in folder().path.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_submit_from_another_cluster_is_refused_in_one_line_and_changes_nothing(
    own, from_south, capsys, more
):
    before = files()
    capsys.readouterr()
    assert main(arguments(own, *more)) == 2
    said = capsys.readouterr()
    assert said.err == BELONGS
    assert said.out == ""
    assert files() == before
    assert len(from_south.scripts) == 3


def test_another_name_begins_a_study_on_another_cluster(own, from_south):
    assert main(arguments(own, "--study", "mine")) == 0
    assert len(from_south.scripts) > 3


def test_a_line_without_a_name_says_nothing(own, from_south):
    lines = [json.loads(line) for line in folder().submissions.read_text().splitlines()]
    for line in lines:
        del line["cluster"]
    folder().submissions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(arguments(own)) == 0


def test_a_ledger_that_names_two_clusters_belongs_to_the_first(own, from_south, capsys):
    with folder().submissions.open("a") as file:
        file.write(folder().submissions.read_text().replace("north", "south"))
    assert main(arguments(own)) == 2
    assert capsys.readouterr().err == BELONGS
    from_south.tell("cluster", "north")
    assert main(arguments(own)) == 0


def test_the_study_s_own_cluster_goes_on_and_tells_which_of_its_jobs_are_gone(own, at_north):
    at_north.end(at_north.scripts[0].job)
    assert main(arguments(own, "--bundles", "8")) == 0
    assert [count for count in sent_items().values() if count > 1] == [2]


def test_jobs_of_another_cluster_are_told_and_neither_cancelled_nor_cleaned(from_south, capsys):
    before = files()
    capsys.readouterr()
    status(["own"])
    told = capsys.readouterr().out
    assert "! its jobs are on cluster north, and SLURM here is cluster south\n" in told
    assert "3 its job is on cluster north\n" in told
    assert status(["own", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert sum(item["state"] == "pending" for item in items) == 3
    status(["why", "hard0"])
    assert "It waits: its job is on cluster north\n" in capsys.readouterr().out
    # the fake has no scancel: a call would be told as a problem
    assert cancel(["own"]) == 1
    assert capsys.readouterr().out == (
        "left alone: 3 runs held by jobs on cluster north, and SLURM here is cluster south: cancel "
        "them there\n"
    )
    assert cancel(["own", "--source", "none"]) == 0
    assert "nothing to cancel" in capsys.readouterr().out
    assert clean(["own", "--yes"]) == 2
    assert capsys.readouterr().err == (
        "error: own: 3 runs held by jobs on cluster north, and SLURM here is cluster south: cancel "
        "them there.\n"
    )
    assert files() == before


def test_what_runs_on_another_cluster_is_shown_by_its_own_word(from_south, capsys):
    source = read_study(folder()).source_named("hard0").id
    path = folder().claim(source)
    claim = json.loads(path.read_text()) | {"running": True, "done": 1, "total": 4}
    path.write_text(json.dumps(claim))
    capsys.readouterr()
    status(["why", "hard0"])
    told = capsys.readouterr().out
    assert "running  ·  25%" in told
    assert "its job is on cluster north\n" in told


def test_a_controller_that_does_not_answer_is_not_another_cluster(own, at_north, capsys):
    # squeue lists nothing and scontrol is silent: whose squeue that is cannot be told
    for script in at_north.scripts:
        at_north.end(script.job)
    at_north.tell("mute", "slurm_load_ctl_conf error: Unable to contact slurm controller")
    before = files()
    capsys.readouterr()
    silent = "scontrol failed: slurm_load_ctl_conf error: Unable to contact slurm controller"
    # what may be held is not sent again, and no failure is made up
    assert main(arguments(own, "--bundles", "8")) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: SLURM does not answer here: {silent}. Nothing was sent")
    assert len(at_north.scripts) == 3
    status(["own"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"! {silent}; what runs and what waits is told from files alone" in told
    assert "pending: 3 SLURM does not answer" in told
    assert cancel(["own"]) == 1
    unsure = (
        f"3 runs that jobs may hold, and SLURM does not answer ({silent}): try again when it does"
    )
    assert " ".join(capsys.readouterr().out.split()) == f"left alone: {unsure}"
    assert clean(["own", "--yes"]) == 2
    cleaned = capsys.readouterr().err
    assert cleaned == f"error: own: {unsure}.\n"
    assert "cluster north" not in told + said.err + said.out + cleaned
    assert files() == before


def test_a_squeue_that_does_not_answer_holds_what_it_may_and_lets_the_rest_go(
    own, at_north, capsys
):
    (at_north.bin / "squeue").write_text(
        "#!/bin/sh\necho slurm_load_jobs error: Unable to contact slurm controller >&2\nexit 1\n"
    )
    capsys.readouterr()
    assert main(arguments(own, "--bundles", "8")) == 0
    told = capsys.readouterr().out
    silent = "squeue failed: slurm_load_jobs error: Unable to contact slurm controller"
    assert f"SLURM does not answer: {silent}; what its jobs may hold is left to them.\n" in told
    assert sent_items() == everything()
    assert not folder().failures.is_dir()
    status(["own"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"! {silent}; what runs and what waits is told from files alone" in told
    assert "pending: 51 SLURM does not answer" in told
    assert "! its jobs are" not in told


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_slurm_that_does_not_answer_lets_a_first_submit_look_but_not_send(
    own, fake, capsys, more
):
    fake.tell("mute", "scontrol: error: Munge encode failed: no munged")
    assert main(arguments(own, *more)) == (0 if more else 2)
    said = capsys.readouterr()
    assert "scontrol failed: scontrol: error: Munge encode failed: no munged" in said.out + said.err
    assert not fake.scripts
    assert not folder().path.exists()


def test_jobs_that_squeue_lists_by_name_are_the_study_s_whatever_scontrol_says(at_north, capsys):
    at_north.tell("mute")
    status(["own"])
    told = capsys.readouterr().out
    assert "3 Priority" in told
    assert "! its jobs are" not in told


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SLURM_CLUSTERS": "north,south"}, "Export the name of one."),
        ({"SLURM_CLUSTERS": "all"}, "Export the name of one."),
        ({"SBATCH_CLUSTERS": "south"}, "Export SLURM_CLUSTERS=south instead"),
        ({"SLURM_CLUSTERS": "north", "SBATCH_CLUSTERS": "south"}, "Export SLURM_CLUSTERS=south"),
    ],
)
def test_variables_that_send_jobs_where_nobody_looks_are_refused(
    own, fake, monkeypatch, capsys, variables, message
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(arguments(own)) == 2
    assert message in capsys.readouterr().err
    assert not fake.scripts


def test_one_cluster_named_for_all_commands_is_taken(own, fake, monkeypatch):
    monkeypatch.setenv("SLURM_CLUSTERS", "south")
    monkeypatch.setenv("SBATCH_CLUSTERS", "south")
    assert main(arguments(own)) == 0
    assert fake.scripts[0].variables["SLURM_CLUSTERS"] == "south"
