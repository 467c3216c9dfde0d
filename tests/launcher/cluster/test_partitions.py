"""What no node of a partition could ever run is refused before it waits for ever."""

import pytest

from launcher.cluster.partitions import misfit, require_fitting_nodes
from launcher.cluster.profile import Profile
from stilt.errors import ConfigError
from stilt.slurm.nodes import read_nodes

LISTED = """\
a1|gpu:a100:4(S:0-1)|(null)|mix|gpu*|64|515000|2-00:00:00|up
a2|gpu:a100:8(S:0-1)|(null)|down*|gpu*|128|1031000|2-00:00:00|up
c1|(null)|(null)|idle|cpu|256|191000|infinite|up
d1|gpu:1|(null)|idle|debug|8|31000|30:00|up
o1|license?|(null)|idle|odd|8|31000|30:00|up
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("PARTITION", "TIMELIMIT", "QOS", "MEM_PER_NODE"):
        monkeypatch.delenv(f"SBATCH_{name}", raising=False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"time": 2880}, None),
        ({"time": 2881}, "'time' = 2881 minutes, and partition gpu allows 2 d 0 h at most."),
        ({"time": 31, "partition": "debug"}, "partition debug allows 30 min at most"),
        ({"time": 31, "partition": "debug,gpu"}, None),
        ({"time": 5000, "partition": "debug,gpu"}, "partition debug, gpu allows 2 d 0 h"),
        ({"time": 50_000, "partition": "cpu", "gpus": 0}, None),
        ({"partition": "gpuu"}, "unknown partition 'gpuu'. Did you mean 'gpu'?"),
        # a node that is down may come back
        ({"cpus": 128}, None),
        ({"cpus": 129}, "'cpus' = 129, and the nodes of partition gpu have 128 CPUs at most."),
        ({"memory": "1000G"}, None),
        (
            {"memory": "1031001"},
            "'memory' = 1031001M, and the nodes of partition gpu have 1031000M",
        ),
        ({"memory": "2T"}, "'memory' = 2097152M"),
        ({"memory": "0"}, None),
        ({"gres": "gpu:a100:8"}, None),
        ({"gres": "gpu:9"}, "'gres' = gpu:9, and the nodes of partition gpu have gpu:a100:4 or"),
        ({"gres": "gpu:h100:1"}, "'gres' = gpu:h100:1, and the nodes of partition gpu have gpu:a1"),
        ({"partition": "cpu"}, "'gres' = gpu:1, and the nodes of partition cpu have none of it."),
        (
            {"partition": "cpu,debug", "cpus": 100, "time": 20},
            "no node of partition cpu, debug has",
        ),
        # what is not understood says nothing
        ({"partition": "odd", "time": 20}, None),
    ],
)
def test_a_profile_is_held_against_the_nodes_of_its_partition(commands, fields, said):
    why = misfit(Profile(**fields), read_nodes(LISTED))
    assert why is None if said is None else said in str(why)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PARTITION", "debug", "partition debug allows 30 min"),
        ("MEM_PER_NODE", "2000G", "'memory' = 2048000M"),
        # the profile's own time hides it from sbatch
        ("TIMELIMIT", "9-00", None),
    ],
)
def test_variables_of_sbatch_count_as_far_as_sbatch_will_see_them(
    commands, monkeypatch, name, value, said
):
    monkeypatch.setenv(f"SBATCH_{name}", value)
    why = misfit(Profile(), read_nodes(LISTED))
    assert why is None if said is None else said in str(why)


def test_a_field_wins_over_its_variable(commands, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "debug")
    monkeypatch.setenv("SBATCH_MEM_PER_NODE", "2000G")
    assert misfit(Profile(partition="gpu", memory="8G"), read_nodes(LISTED)) is None


@pytest.mark.parametrize(
    ("qos", "variable", "fits"),
    [(None, None, True), ("long", None, True), ("normal", None, False), (None, "normal", False)],
)
def test_a_quality_of_service_may_overrule_the_partition_s_time(
    commands, monkeypatch, qos, variable, fits
):
    commands.say("sacctmgr", "normal|\nlong|DenyOnLimit,PartitionTimeLimit\n")
    if variable:
        monkeypatch.setenv("SBATCH_QOS", variable)
    assert (misfit(Profile(time=9000, qos=qos), read_nodes(LISTED)) is None) is fits


@pytest.mark.parametrize("listed", ["", "nonsense\n", "a1|gpu:1|(null)|idle|gpu*\n"])
def test_where_sinfo_does_not_tell_nothing_is_refused(commands, listed):
    commands.say("sinfo", listed)
    require_fitting_nodes(Profile(time=9000, cpus=999, partition="x"))


def test_a_sinfo_that_fails_refuses_nothing(commands):
    commands.say("sinfo", LISTED, errors="sinfo: error", code=1)
    require_fitting_nodes(Profile())


def test_what_would_wait_for_ever_is_refused_in_one_line(commands):
    commands.say("sinfo", LISTED)
    with pytest.raises(
        ConfigError, match=r"^no job of this would ever start: 'time' = 9000 "
    ) as no:
        require_fitting_nodes(Profile(time=9000))
    assert "(--time 2880)" in str(no.value)
    assert "\n" not in str(no.value)
