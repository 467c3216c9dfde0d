"""SIGTERM and a closed terminal end a launcher as Ctrl-C does."""

import signal
import threading

import pytest

from launcher.local.signals import interrupted_by_signals


@pytest.fixture(autouse=True)
def _output_stays(monkeypatch):
    """Keeps a hangup from ending the output of the tests, which may be a terminal's."""
    monkeypatch.setattr("launcher.local.signals.discard", lambda: None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_within_and_what_it_was_before_after(number):
    # the tests themselves may run under nohup
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_hangup_that_was_to_be_ignored_is_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_than_the_main_one_signals_are_left_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def within():
        with interrupted_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    assert seen == [before]
