"""Sizes, durations and times of day in words."""

import pytest

from stilt.system.units import span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 00 min"),
     (11100, "3 h 05 min"), (187200, "2 d 4 h"), (None, "?")],
)  # fmt: skip
def test_durations_are_written_in_two_units(seconds, text):
    assert span(seconds) == text
