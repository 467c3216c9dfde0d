"""Rates fitted to timed passes: those that made the seconds, and none below zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.measure.timed import Timed, error, fit
from stilt.training.speed.calibration import Rates, Work

RATE = st.floats(1e-3, 1.0)


def timed(rates, updates, passes, length, count):
    work = Work(passes=passes, positions=length * count, squares=length * length * count)
    kind = "train" if updates else "evaluate"
    return Timed(kind=kind, updates=updates, work=work, seconds=rates.seconds(updates, work))


@given(st.tuples(RATE, RATE, RATE, RATE))
def test_the_rates_that_made_the_seconds_are_found(drawn):
    rates = Rates(
        fixed=drawn[0], passes=drawn[1] / 10, positions=drawn[2] / 1e3, squares=drawn[3] / 1e6
    )
    some = [
        timed(rates, 1, passes, length, count)
        for passes in (1, 3, 4)
        for length in (20, 60, 120)
        for count in (8, 32)
    ]
    found = fit(some)
    for one in some:
        assert found.seconds(1, one.work) == pytest.approx(one.seconds, rel=1e-4)
    assert error(some, found, found) < 1e-4


@given(
    st.lists(
        st.tuples(st.floats(0.01, 10), st.integers(1, 9), st.integers(4, 256), st.integers(1, 64)),
        min_size=1,
        max_size=12,
    )
)
def test_no_rate_is_below_zero_whatever_was_measured(drawn):
    some = [
        Timed(
            kind="train",
            updates=1,
            work=Work(passes=p, positions=n * count, squares=n * n * count),
            seconds=seconds,
        )
        for seconds, p, n, count in drawn
    ]
    found = fit(some)
    assert min(found.fixed, found.passes, found.positions, found.squares) >= 0


def test_nothing_timed_costs_nothing():
    assert fit([]) == Rates(fixed=0, passes=0, positions=0, squares=0)
