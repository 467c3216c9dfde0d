"""Parts of a table: cut in two by groups, and drawn for a size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.data.load import cut, sample
from stilt.data.render import Example
from stilt.errors import DataError

GROUPED = st.lists(st.integers(0, 30), min_size=1, max_size=60)


@settings(max_examples=40)
@given(groups=GROUPED, share=st.floats(0.05, 0.95), order=st.randoms(use_true_random=False))
def test_a_cut_keeps_groups_together_whatever_the_order_or_the_neighbours(groups, share, order):
    table = [{"g": f"group {group}", "n": n} for n, group in enumerate(groups)]
    train, dev = cut(table, "g", share, "rows")
    assert not {row["g"] for row in train} & {row["g"] for row in dev}
    assert sorted(row["n"] for row in train + dev) == list(range(len(table)))
    for part in (train, dev):
        assert [row["n"] for row in part] == sorted(row["n"] for row in part)
    moved = list(table)
    order.shuffle(moved)
    half = moved[: len(moved) // 2 + 1]
    assert {row["n"] for row in cut(half, "g", share, "rows")[1]} == {
        row["n"] for row in dev if row in half
    }


def test_a_cuts_share_is_about_right_and_grows_by_adding_groups():
    table = [{"g": i} for i in range(5_000)]
    sizes = [cut(table, "g", share, "rows")[1] for share in (0.1, 0.2, 0.5)]
    # four standard deviations of a binomial draw
    for share, dev in zip((0.1, 0.2, 0.5), sizes, strict=True):
        assert abs(len(dev) - 5_000 * share) < 4 * (5_000 * share * (1 - share)) ** 0.5
    assert {r["g"] for r in sizes[0]} < {r["g"] for r in sizes[1]} < {r["g"] for r in sizes[2]}


def test_a_cut_by_an_absent_column_is_refused_with_the_row():
    with pytest.raises(DataError, match=r"rows, row 2: field 'g' is missing; the cut needs it\."):
        cut([{"g": 1}, {"h": 2}], "g", 0.2, "rows")


def numbered(count):
    return [Example(((str(i), None),), i % 2) for i in range(count)]


@settings(max_examples=40)
@given(count=st.integers(1, 200), data=st.data())
def test_small_draws_nest_in_large_ones_and_keep_the_files_order(count, data):
    small = data.draw(st.integers(1, count))
    large = data.draw(st.integers(small, count))
    places = [
        [int(example.pairs[0][0]) for example in sample(numbered(count), size)]
        for size in (small, large, None)
    ]
    assert [len(part) for part in places] == [small, large, count]
    assert set(places[0]) <= set(places[1]) <= set(places[2])
    assert all(part == sorted(part) for part in places)


def test_the_papers_subsets_of_2000_and_10000_nest_and_are_no_first_lines():
    everything = numbered(39_905)
    small, large = sample(everything, 2_000), sample(everything, 10_000)
    assert set(small) < set(large)
    assert small == sample(everything, 2_000)
    assert small != everything[:2_000]
    assert int(small[-1].pairs[0][0]) > 39_000


def test_more_examples_than_there_are_cannot_be_drawn():
    message = r"rows: train_size or dev_size = 11, but there are 10 rows\."
    with pytest.raises(DataError, match=message):
        sample(numbered(10), 11)
