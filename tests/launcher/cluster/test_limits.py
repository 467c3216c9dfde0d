"""How much a cluster takes at a time, by its configuration, its database and sinfo."""

from launcher.cluster.limits import array_size, read_limits, submit_limit
from launcher.cluster.profile import Profile
from tests.support.fake_commands import Commands

LISTED = """\
a1|gpu:a100:4(S:0-1)|a100,nvme|mix|gpu*
a2|gpu:a100:4(S:0-1)|a100,nvme|drain|gpu*
v1|gpu:v100:2(S:0,1),lustre:1|v100|idle~|gpu*
c1|(null)|(null)|idle|gpu*
c2|(null)|nvme|down*|gpu*
o1|gpu:a100:8|a100|alloc|other
"""


def test_the_longest_array_is_read_from_the_cluster():
    config = "Configuration data\nMaxArraySize            = 10\nMaxJobCount             = 10000\n"
    assert array_size(config) == 10
    assert array_size("nothing of the sort") == 1001


def test_the_lowest_limit_on_queued_jobs_holds():
    associations = "nlp|300|normal\nother|50|normal\n"
    classes = "normal|\nlong|20\n"
    assert submit_limit(associations, classes, "nlp", None) == 300
    assert submit_limit(associations, classes, None, None) == 50
    assert submit_limit(associations, classes, "nlp", "long") == 20
    assert submit_limit("nlp||normal\n", classes, "nlp", None) is None
    assert submit_limit("", "", None, None) is None


def test_an_array_has_no_more_elements_than_the_scheduler_s_parameters_allow():
    parameters = "SchedulerParameters     = bf_continue,max_array_tasks=100,bf_window=60\n"
    assert array_size(f"MaxArraySize            = 1001\n{parameters}") == 100
    assert array_size(f"MaxArraySize            = 50\n{parameters}") == 50
    assert array_size("SchedulerParameters     = (null)\n") == 1001


def test_limits_of_another_cluster_in_the_same_database_do_not_count(tmp_path, monkeypatch):
    commands = Commands(tmp_path / "fake", monkeypatch)
    commands.say("scontrol", "ClusterName             = north\nMaxArraySize            = 1001\n")
    commands.say("sacctmgr")
    assert read_limits(Profile()).cluster == "north"
    [asked] = [call for call in commands.called("sacctmgr") if "associations" in call]
    assert "cluster=north" in asked.split()
    commands.say("scontrol", "MaxArraySize            = 1001\n")
    assert read_limits(Profile()).cluster is None
    assert "cluster=" not in commands.called("sacctmgr")[-2]


def test_nodes_of_the_partition_that_is_asked_for_are_those_to_run_on(tmp_path, monkeypatch):
    commands = Commands(tmp_path / "fake", monkeypatch)
    commands.say("scontrol", "MaxArraySize            = 1001\n")
    listed = [("n1", "gpu*"), ("n2", "gpu*"), ("n2", "short"), ("n3", "cpu")]
    commands.say("sinfo", "".join(f"{n}|gpu:1|(null)|idle|{p}\n" for n, p in listed))
    assert read_limits(Profile(partition="gpu")).nodes == {"n1", "n2"}
    assert read_limits(Profile(partition="short,cpu")).nodes == {"n2", "n3"}
    assert read_limits(Profile()).nodes == {"n1", "n2"}
    # sinfo refuses the two together
    assert all("--all" in call and "--partition" not in call for call in commands.called("sinfo"))


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
