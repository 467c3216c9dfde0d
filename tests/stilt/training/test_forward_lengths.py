"""Sequences grouped by length: every one once, and never dearer than a simpler way."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.training.forward import split_by_length

LENGTHS = st.lists(st.integers(1, 120), min_size=1, max_size=64)
OVERHEAD = st.floats(0, 500)


def price(passes, lengths, overhead):
    return sum(len(part) * max(lengths[i] for i in part) + overhead for part in passes)


def every_partition(items):
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            left = [item for item in rest if item not in others]
            for partition in every_partition(left):
                yield [[first, *others], *partition]


@settings(max_examples=80)
@given(lengths=LENGTHS, overhead=OVERHEAD)
def test_every_sequence_is_in_one_pass(lengths, overhead):
    passes = split_by_length(lengths, overhead)
    assert sorted(np.concatenate(passes).tolist()) == list(range(len(lengths)))
    assert all(len(part) for part in passes)


@settings(max_examples=80)
@given(lengths=LENGTHS, overhead=OVERHEAD)
def test_the_split_is_never_dearer_than_one_pass_or_one_pass_a_length(lengths, overhead):
    cost = price(split_by_length(lengths, overhead), lengths, overhead)
    one = price([range(len(lengths))], lengths, overhead)
    each = [[i for i, n in enumerate(lengths) if n == length] for length in set(lengths)]
    assert cost <= one + 1e-6
    assert cost <= price(each, lengths, overhead) + 1e-6


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    overhead=st.floats(0, 60),
)
def test_the_split_is_the_best_of_all_partitions_of_a_small_batch(lengths, overhead):
    best = min(price(p, lengths, overhead) for p in every_partition(list(range(len(lengths)))))
    assert abs(price(split_by_length(lengths, overhead), lengths, overhead) - best) < 1e-6


def test_a_split_by_hand():
    # apart: 2 x 5 + 1 x 50 + 2 x 20 = 100; together: 3 x 50 + 20 = 170
    passes = split_by_length([5, 50, 5], 20)
    assert [part.tolist() for part in passes] == [[0, 2], [1]]
    # apart: 2 x 45 + 1 x 50 + 2 x 20 = 180; together: 3 x 50 + 20 = 170
    assert [sorted(part.tolist()) for part in split_by_length([45, 50, 45], 20)] == [[0, 1, 2]]


def test_equal_lengths_are_one_pass_and_nothing_is_no_pass():
    assert [part.tolist() for part in split_by_length([7, 7, 7], 0)] == [[0, 1, 2]]
    assert split_by_length([], 10) == []


def test_small_integer_types_do_not_overflow():
    lengths = np.array([120] * 40 + [3] * 40, dtype=np.int8)
    assert [len(part) for part in split_by_length(lengths, 10)] == [40, 40]
