"""A signal only asks; the first one counts, and is handed on."""

import signal

import pytest

from stilt.system.interrupt import Interrupted, StopRequest


@pytest.fixture
def handled():
    """What this test's own handler is told of SIGUSR1 and SIGUSR2."""
    told = []
    before = {
        number: signal.signal(number, lambda number, frame: told.append(number))
        for number in (signal.SIGUSR1, signal.SIGUSR2)
    }
    yield told
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_noted_and_its_old_handler_is_told_only_on_request(handled):
    stop = StopRequest()
    stop.listen(signal.SIGUSR1, signal.SIGUSR2)
    assert not stop
    signal.raise_signal(signal.SIGUSR1)
    # as the SIGTERM at the time limit follows the signal before it
    signal.raise_signal(signal.SIGUSR2)
    assert stop
    assert handled == []
    stop.forward()
    assert handled == [signal.SIGUSR1]


def test_without_a_signal_there_is_nothing_to_hand_on(handled):
    stop = StopRequest()
    stop.listen(signal.SIGUSR1)
    stop.forward()
    assert handled == []


def test_a_signal_that_nobody_handled_before_is_handed_to_nobody():
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    stop = StopRequest()
    stop.listen(signal.SIGUSR1)
    try:
        signal.raise_signal(signal.SIGUSR1)
        stop.forward()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert stop


def test_no_handler_of_ordinary_errors_swallows_an_interruption():
    assert not issubclass(Interrupted, Exception)
