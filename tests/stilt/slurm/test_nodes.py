"""Which nodes are left for a job that keeps away from some: only those that it certainly fits."""

import pytest

from stilt.slurm.nodes import fitting

LISTED = """\
a1|gpu:a100:4(S:0-1)|a100,nvme|mix|gpu*
a2|gpu:a100:4(S:0-1)|a100,nvme|drain|gpu*
v1|gpu:v100:2(S:0,1),lustre:1|v100|idle~|gpu*
c1|(null)|(null)|idle|gpu*
c2|(null)|nvme|down*|gpu*
o1|gpu:a100:8|a100|alloc|other
"""


@pytest.mark.parametrize(
    ("wanted", "nodes"),
    [
        ({}, {"a1", "v1", "c1"}),
        ({"gres": "gpu"}, {"a1", "v1"}),
        ({"gres": "gpu:3"}, {"a1"}),
        ({"gres": "gpu:v100:1"}, {"v1"}),
        ({"gres": "gres:gpu:1"}, {"a1", "v1"}),
        ({"gres": "gres/gpu:a100=1"}, {"a1"}),
        ({"gres": "gpu:a100:8"}, set()),
        ({"gres": "gpu:1", "partition": "other"}, {"o1"}),
        ({"gres": "gpu:1", "partition": "gpu,other"}, {"a1", "v1", "o1"}),
        ({"constraint": "nvme&a100"}, {"a1"}),
        ({"constraint": "v100|a100"}, {"a1", "v1"}),
        # more than a list of features is not understood, so no node certainly fits
        ({"constraint": "[v100*2|a100*2]"}, set()),
        ({"gres": "gpu:a100:1,shard?"}, set()),
    ],
)
def test_a_node_is_left_where_it_is_up_and_has_what_is_wanted(wanted, nodes):
    asked = {"gres": None, "constraint": None, "partition": None} | wanted
    assert fitting(LISTED, **asked) == nodes
