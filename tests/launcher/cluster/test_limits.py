"""The nodes that a profile's jobs fit."""

from launcher.cluster.limits import read_limits
from launcher.cluster.profile import Profile

LISTED = """\
a1|gpu:a100:4(S:0-1)|a100,nvme|mix|gpu*
a2|gpu:a100:4(S:0-1)|a100,nvme|drain|gpu*
v1|gpu:v100:2(S:0,1),lustre:1|v100|idle~|gpu*
c1|(null)|(null)|idle|gpu*
c2|(null)|nvme|down*|gpu*
o1|gpu:a100:8|a100|alloc|other
"""


def test_a_profile_is_asked_for_what_it_wants_and_excludes(commands, monkeypatch):
    monkeypatch.delenv("SBATCH_PARTITION", raising=False)
    commands.say("sinfo", LISTED)
    commands.say("scontrol", "v1\n")
    assert read_limits(Profile()).nodes == {"a1", "v1"}
    assert read_limits(Profile(gpus=0)).nodes == {"a1", "v1", "c1"}
    assert read_limits(Profile(exclude="v[1-9]")).nodes == {"a1"}
    assert read_limits(Profile(gres="gpu:a100:1", partition="other")).nodes == {"o1"}


def test_no_node_is_known_where_the_cluster_does_not_tell(commands):
    commands.say("scontrol", "")
    assert read_limits(Profile()).nodes == set()
