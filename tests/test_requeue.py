"""An element that leaves a broken node goes to another of its partition, where there is one."""

import pytest

from jobs.requeue import requeue_elsewhere
from tests.fake_commands import Commands


@pytest.mark.parametrize(
    ("nodes", "kept_away"),
    [("n1|hidden\nn2|hidden\n", True), ("n1|hidden\nn2|other\n", False)],
)
def test_the_node_is_excluded_if_the_partition_has_another(tmp_path, monkeypatch, nodes, kept_away):
    commands = Commands(tmp_path / "fake", monkeypatch)
    # one answer for all of scontrol's calls: the job, and the names of excluded nodes
    commands.say("scontrol", "Partition=hidden ExcNodeList=(null) n1\n")
    commands.say("sinfo", nodes)
    monkeypatch.setenv("SINFO_PARTITION", "other")
    requeue_elsewhere("12_3", "n1")
    asked = commands.called("scontrol")
    assert "scontrol requeue 12_3" in asked
    assert ("scontrol update jobid=12_3 excnodelist=n1" in asked) is kept_away
    assert "SINFO_PARTITION" not in commands.variables("sinfo")
