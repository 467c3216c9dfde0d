"""Bundles become arrays: sizes, order, what waits for what, and how many run at a time."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from launcher.cluster.limits import Limits, array_size, read_limits, submit_limit
from launcher.cluster.profile import Profile
from launcher.send.arrays import arrange
from launcher.send.dispatch import away_from
from stilt.cell import SYNTHESIS
from stilt.plan import Bundle
from tests.support.fake_commands import Commands


def bundle(stage, item, *needs, cost=1.0):
    return Bundle(id=f"b-{item}", stage=stage, items=(item,), needs=needs, cost=cost)


def targets(*needs, count, cost=1.0):
    return [bundle("target", f"{needs}-{i}", *needs, cost=cost) for i in range(count)]


@st.composite
def plans(draw):
    """Bundles as a plan has them: synthesis, sources (some need it), and targets."""
    found = []
    synthesis = draw(st.booleans())
    if synthesis:
        found.append(bundle("synthesis", SYNTHESIS))
    sources = [f"s{i}" for i in range(draw(st.integers(0, 4)))]
    for source in sources:
        needs = [SYNTHESIS] if synthesis and draw(st.booleans()) else []
        found.append(bundle("source", source, *needs, cost=draw(st.floats(0, 9))))
    rows = [SYNTHESIS] if synthesis else []
    waits = [[], *([source] for source in sources), ["elsewhere"]]
    waits += [[*needs, *rows] for needs in waits if rows]
    for needs in waits:
        for i in range(draw(st.integers(0, 4))):
            found.append(bundle("target", f"{needs}-{i}", *needs, cost=draw(st.floats(0, 9))))
    return found


def before(arrays):
    """For each position, every position that must have ended before it can start."""
    closed = []
    for array in arrays:
        direct = {*array.ended, *array.ok}
        closed.append(direct.union(*(closed[position] for position in direct)))
    return closed


def most_at_a_time(arrays):
    """The most elements that can run at one time, whatever the scheduler does."""
    closed = before(arrays)
    most = 0
    for count in range(1, len(arrays) + 1):
        for chosen in combinations(range(len(arrays)), count):
            if all(a not in closed[b] and b not in closed[a] for a, b in combinations(chosen, 2)):
                most = max(most, sum(arrays[i].parallel for i in chosen))
    return most


@given(plans(), st.integers(1, 4))
def test_every_bundle_is_in_exactly_one_array_and_no_array_is_too_long(bundles, size):
    arrays = arrange(bundles, array_size=size)
    found = [b.id for array in arrays for b in array.bundles]
    assert sorted(found) == sorted(b.id for b in bundles)
    assert all(1 <= len(array.bundles) <= size for array in arrays)
    assert all(len({(b.stage, b.needs) for b in array.bundles}) == 1 for array in arrays)


@given(plans(), st.integers(1, 4), st.none() | st.integers(1, 9))
def test_what_an_array_needs_is_made_by_an_array_before_it(bundles, size, parallel):
    arrays = arrange(bundles, array_size=size, parallel=parallel)
    makers = {b.items[0] for b in bundles if b.stage != "target"}
    for position, array in enumerate(arrays):
        assert all(earlier < position for earlier in array.ended)
        assert all(maker < position for maker in array.ok)
        made = [bundle.items for maker in array.ok for bundle in arrays[maker].bundles]
        assert made == [(need,) for need in array.needs if need in makers]


@given(plans(), st.integers(1, 4), st.integers(1, 9))
def test_the_limit_on_elements_at_a_time_holds_over_all_arrays(bundles, size, parallel):
    arrays = arrange(bundles, array_size=size, parallel=parallel)
    if len(arrays) <= 11:
        assert most_at_a_time(arrays) <= parallel


@given(plans(), st.integers(1, 4))
def test_without_a_limit_nothing_waits_but_for_its_source(bundles, size):
    arrays = arrange(bundles, array_size=size)
    assert all(not array.ended for array in arrays)
    assert all(array.parallel == len(array.bundles) for array in arrays)


def test_every_source_is_alone_in_its_array_and_submitted_before_targets():
    sources = [bundle("source", "s0"), bundle("source", "s1")]
    bundles = [*sources, *targets("s0", count=2), *targets(count=2)]
    arrays = arrange(bundles, array_size=10)
    assert [(a.stage, a.needs, len(a.bundles), a.ok) for a in arrays] == [
        ("source", (), 1, ()),
        ("source", (), 1, ()),
        ("target", ("s0",), 2, (0,)),
        ("target", (), 2, ()),
    ]


def test_a_source_does_not_wait_for_the_rows_that_only_some_of_its_cells_need():
    rows, source = bundle("synthesis", SYNTHESIS), bundle("source", "s0")
    both = [*targets("s0", count=2), *targets("s0", SYNTHESIS, count=1)]
    arrays = arrange([rows, source, *both], array_size=10)
    assert [(a.stage, a.needs, len(a.bundles), a.ok) for a in arrays] == [
        ("synthesis", (), 1, ()),
        ("source", (), 1, ()),
        ("target", ("s0",), 2, (1,)),
        ("target", ("s0", SYNTHESIS), 1, (1, 0)),
    ]


def test_a_thousand_elements_on_a_cluster_that_takes_ten_make_a_hundred_arrays():
    arrays = arrange(targets(count=1000), array_size=10, parallel=500)
    assert len(arrays) == 100
    assert {array.parallel for array in arrays} == {5}


def test_places_are_divided_by_work_and_none_is_wasted():
    bundles = [*targets(count=8, cost=3.0), *targets("a", count=8, cost=1.0)]
    arrays = arrange(bundles, array_size=100, parallel=8)
    # one place each, and the other six in the ratio 24 : 8
    assert [array.parallel for array in arrays] == [6, 2]


def test_with_one_place_everything_runs_in_a_row():
    sources = [bundle("source", "s0"), bundle("source", "s1")]
    bundles = [*sources, *targets("s0", count=3), *targets("s1", count=3)]
    arrays = arrange(bundles, array_size=2, parallel=1)
    closed = before(arrays)
    assert [len(earlier) for earlier in closed] == list(range(len(arrays)))


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


def test_a_broken_node_is_left_out_unless_it_is_the_last():
    both = Limits(nodes=frozenset({"node1", "node2"}))
    assert away_from(["node1"], both) == ["node1"]
    assert away_from(["node1", "node2"], both) == []
    assert away_from(["of-another-partition"], both) == []
    assert away_from(["node1"], Limits()) == []


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
