"""Sizes, durations and times of day, as people write them."""

import pytest

from stilt.system.units import size


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_420_000_000, "1.4 GB"), (2.5e12, "2.5 TB")],
)
def test_sizes_are_written_as_people_do(number, text):
    assert size(int(number)) == text
