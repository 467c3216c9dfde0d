"""An element that gives itself back to SLURM: with patience, and kept off a node if it can be."""

import pytest

from jobs import requeue
from tests.support.fake_commands import Commands

SHOWN = "JobId=7 Partition=gpu ExcNodeList={} Features=(null) TresPerNode=gres:gpu:1"
NODES = "node1|gpu:1|(null)|mix|gpu*\nnode2|gpu:1|(null)|{}|gpu*\nnode3|(null)|(null)|idle|gpu*\n"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    made = Commands(tmp_path, monkeypatch)
    monkeypatch.setattr(requeue, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(requeue, "UPDATE_SECONDS", 0.0)
    made.say("sinfo", NODES.format("idle"))
    scontrol(made)
    return made


def scontrol(commands, requeues="exit 0", excluded="(null)"):
    """A scontrol that knows one job, and does what a line of sh says when asked to requeue it."""
    commands.say("scontrol")
    path = commands.folder / "scontrol"
    path.write_text(
        path.read_text().replace(
            "printf",
            f'case "$1" in requeue) {requeues} ;; show) [ "$2" = job ] && echo "'
            f'{SHOWN.format(excluded)}" || echo "$3" | /usr/bin/tr , " " ;; esac\nprintf',
            1,
        )
    )


def told(commands, word):
    return [line for line in commands.called("scontrol") if line.startswith(f"scontrol {word}")]


def test_an_element_is_kept_off_its_node_besides_those_it_kept_off_before(commands):
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    scontrol(commands, excluded="node3")
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    assert told(commands, "update") == [
        "scontrol update jobid=7_0 excnodelist=node1",
        "scontrol update jobid=7_0 excnodelist=node3,node1",
    ]


@pytest.mark.parametrize("state", ["down*", "drain", "maint"])
def test_an_element_is_kept_off_no_node_where_the_others_are_not_fit_for_it(commands, state):
    commands.say("sinfo", NODES.format(state))
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    assert told(commands, "requeue")
    assert not told(commands, "update")


def test_an_element_is_requeued_where_nodes_cannot_be_listed(commands):
    (commands.folder / "sinfo").unlink()
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    assert told(commands, "requeue")
    assert not told(commands, "update")


def test_a_controller_that_is_busy_is_asked_again(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(requeue, "ANSWER_SECONDS", 0.5)
    # the first time it takes the job back and does not answer in time
    scontrol(
        commands,
        f"[ -f {tmp_path}/asked ] || {{ : > {tmp_path}/asked; exec /bin/sleep 60; }}; "
        "echo 'Job is pending execution for job 7_0' >&2; exit 1",
    )
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    assert len(told(commands, "requeue")) == 2
    assert told(commands, "update")


def test_what_the_requeue_ends_with_all_processes_of_the_element_has_been_done(commands):
    scontrol(commands, "kill -TERM $$")
    assert requeue.requeue_elsewhere("7_0", "node1") is None
    assert len(told(commands, "requeue")) == 1


def test_a_refusal_is_told_in_slurms_words(commands):
    scontrol(commands, "echo 'Access/permission denied for job 7_0' >&2; exit 1")
    problem = requeue.requeue_elsewhere("7_0", "node1")
    assert problem == "scontrol failed: Access/permission denied for job 7_0"
    assert len(told(commands, "requeue")) == requeue.TRIES
    assert not told(commands, "update")


def test_where_scontrol_is_absent_it_says_so(commands):
    (commands.folder / "scontrol").unlink()
    assert requeue.requeue_elsewhere("7_0", "node1") == "scontrol is not installed here"
