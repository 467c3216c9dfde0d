"""SLURM's ids and times are read in every spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilt.slurm.words import expand, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", ["12"]),
        ("12_4", ["12_4"]),
        ("12_[5-7]", ["12_5", "12_6", "12_7"]),
        ("12_[5-9%2]", ["12_5", "12_6", "12_7", "12_8", "12_9"]),
        ("12_[0,3-4,9%1]", ["12_0", "12_3", "12_4", "12_9"]),
        ("12_[0-6:3]", ["12_0", "12_3", "12_6"]),
        ("12_[0,1,...]", ["12_0", "12_1"]),
    ],
)
def test_ranges_of_elements_are_expanded(text, expected):
    assert expand(text) == expected


@given(st.sets(st.integers(0, 3000), min_size=1, max_size=30))
def test_expanding_a_list_gives_every_index_once(indices):
    text = ",".join(map(str, sorted(indices)))
    assert expand(f"7_[{text}%4]") == [f"7_{index}" for index in sorted(indices)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("59", 59), ("1:05", 65), ("2:00:00", 7200), ("1-02:03:04", 93784), ("UNLIMITED", None)],
)
def test_slurms_times_are_read(text, expected):
    assert seconds(text) == expected
