"""What a run has cost goes on over interruptions; failures and interruptions count as attempts."""

import pytest

from stilt.training import spent as module
from stilt.training.spent import Spent


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when it is told to."""
    moment = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: moment[0])

    def wait(seconds):
        moment[0] += seconds

    return wait


def test_the_seconds_before_an_interruption_count(clock):
    first = Spent(1, lambda: 7000)
    clock(2)
    first.lap("load")
    clock(30)
    state = first.state()
    # what comes after the state was saved is lost with the attempt
    clock(5)
    second = Spent(1, lambda: 5000)
    clock(3)
    second.lap("load")
    second.go_on(state)
    clock(10)
    second.lap("train")
    assert second.parts == {"load": 5, "train": 40}
    assert (second.attempt, second.peak_memory, second.began) == (2, 7000, first.began)


@pytest.mark.parametrize(
    ("failed_before", "failed_since", "attempt"),
    [
        (0, 0, 2),  # interrupted, and goes on
        (0, 1, 2),  # the attempt that wrote the state failed afterwards
        (0, 2, 3),  # and so did the next one, before it wrote a state
        (1, 0, 3),
    ],
)
def test_attempts_are_those_that_failed_and_those_that_were_interrupted(
    failed_before, failed_since, attempt
):
    first = Spent(1 + failed_before)
    second = Spent(1 + failed_before + failed_since)
    second.go_on(first.state())
    assert second.attempt == attempt


def test_a_state_of_an_earlier_version_tells_nothing():
    spent = Spent(2)
    spent.go_on({})
    assert (spent.attempt, spent.parts) == (2, {})


def test_energy_is_what_the_counter_went_up_by_over_all_attempts():
    counter = [1000.0]
    first = Spent(1, energy=lambda: counter[0])
    counter[0] = 1500.0
    state = first.state()
    counter[0] = 9000.0
    second = Spent(1, energy=lambda: counter[0])
    second.go_on(state)
    counter[0] = 9100.0
    assert second.energy == 600


@pytest.mark.parametrize("readings", [(None, None), (None, 5.0), (5.0, None)])
def test_energy_is_not_told_where_an_attempt_did_not_tell_it(readings):
    first = Spent(1, energy=lambda: readings[0])
    second = Spent(1, energy=lambda: readings[1])
    second.go_on(first.state())
    assert second.energy is None
