"""Jobs keep away from nodes that broke, as long as another is left."""

import pytest

from launcher.cluster.limits import Limits
from launcher.send.dispatch import away_from
from launcher.submit import main
from stilt.folder import read_study
from stilt.records.failures import record_failure
from tests.support.submitted import arguments, everything, folder, sent_items

NODES = "node1|gpu:1|(null)|idle|gpu*\nnode2|gpu:1|(null)|{}|gpu*\n"


def break_node(name):
    """Writes that a GPU of a node broke under a cell; what was in the queue is gone."""
    study = read_study(folder())
    record_failure(
        study, folder(), next(iter(study.cells)), "node", "CUDA error", job="101_0", host=name
    )


def test_a_node_that_broke_is_excluded_where_another_is_left(own, fake, monkeypatch):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    fake.tell("nodes", NODES.format("mix"))
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {"node1"}


@pytest.mark.parametrize("other", ["drain", "idle"])
def test_the_only_fitting_node_is_used_also_after_it_broke(own, fake, other):
    fake.tell("refuse", "not yet")
    main(arguments(own))
    (fake.folder / "refuse").unlink()
    break_node("node1")
    # down by sinfo, or said to fit and refused by sbatch all the same
    fake.tell("nodes", NODES.format(other))
    fake.tell("only", "node1")
    assert main(arguments(own)) == 0
    assert {script.flag("exclude") for script in fake.scripts} == {None}
    assert sent_items() == everything()


def test_a_broken_node_is_left_out_unless_it_is_the_last():
    both = Limits(nodes=frozenset({"node1", "node2"}))
    assert away_from(["node1"], both) == ["node1"]
    assert away_from(["node1", "node2"], both) == []
    assert away_from(["of-another-partition"], both) == []
    assert away_from(["node1"], Limits()) == []
