"""Sizes, durations and times of day, as people write them."""

from datetime import datetime

import pytest

from stilt.system.units import clock, counted, size, span


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_420_000_000, "1.4 GB"), (2.5e12, "2.5 TB")],
)
def test_sizes_are_written_as_people_do(number, text):
    assert size(int(number)) == text


def test_a_time_of_day_has_its_date_where_it_is_another_day():
    noon = datetime(2026, 11, 22, 12, 5).astimezone()
    now = noon.timestamp()
    assert clock(now - 3600, now) == "11:05"
    assert clock(now - 86_400, now) == "21 Nov 12:05"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 00 min"),
     (11100, "3 h 05 min"), (187200, "2 d 4 h"), (None, "?")],
)  # fmt: skip
def test_durations_are_written_in_two_units(seconds, text):
    assert span(seconds) == text


def test_a_number_of_things_has_the_right_form():
    assert [counted(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert counted(2, "study", "studies") == "2 studies"
