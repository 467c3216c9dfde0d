"""Bundles become arrays: sizes, order, what waits for what, and how many run at a time."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from launcher.send.arrays import arrange
from stilt.cell import SYNTHESIS
from stilt.plan import Bundle


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
        direct = {*array.after_any, *array.after_ok}
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
        assert all(earlier < position for earlier in array.after_any)
        assert all(maker < position for maker in array.after_ok)
        made = [bundle.items for maker in array.after_ok for bundle in arrays[maker].bundles]
        assert made == [(need,) for need in array.needs if need in makers]


@given(plans(), st.integers(1, 4), st.integers(1, 9))
def test_the_limit_on_elements_at_a_time_holds_over_all_arrays(bundles, size, parallel):
    arrays = arrange(bundles, array_size=size, parallel=parallel)
    if len(arrays) <= 11:
        assert most_at_a_time(arrays) <= parallel


@given(plans(), st.integers(1, 4))
def test_without_a_limit_nothing_waits_but_for_its_source(bundles, size):
    arrays = arrange(bundles, array_size=size)
    assert all(not array.after_any for array in arrays)
    assert all(array.parallel == len(array.bundles) for array in arrays)


def test_every_source_is_alone_in_its_array_and_submitted_before_targets():
    sources = [bundle("source", "s0"), bundle("source", "s1")]
    bundles = [*sources, *targets("s0", count=2), *targets(count=2)]
    arrays = arrange(bundles, array_size=10)
    assert [(a.stage, a.needs, len(a.bundles), a.after_ok) for a in arrays] == [
        ("source", (), 1, ()),
        ("source", (), 1, ()),
        ("target", ("s0",), 2, (0,)),
        ("target", (), 2, ()),
    ]


def test_a_source_does_not_wait_for_the_rows_that_only_some_of_its_cells_need():
    rows, source = bundle("synthesis", SYNTHESIS), bundle("source", "s0")
    both = [*targets("s0", count=2), *targets("s0", SYNTHESIS, count=1)]
    arrays = arrange([rows, source, *both], array_size=10)
    assert [(a.stage, a.needs, len(a.bundles), a.after_ok) for a in arrays] == [
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
