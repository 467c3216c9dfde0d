"""One process at a time; a lock goes with the process that holds it."""

import errno
import signal
import subprocess
import sys

import pytest
from filelock import Timeout

from stilt.system.locks import lock_of, wait_for

HOLD = """
import sys, time
from pathlib import Path
from stilt.system.locks import lock_of
lock = lock_of(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_is_waited_for_and_is_gone_with_the_process_that_was_killed(tmp_path):
    path = tmp_path / "folder/lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Timeout):
            lock_of(path).acquire(timeout=0.1)
        told = []

        def waits():
            told.append("waits")
            holder.send_signal(signal.SIGKILL)

        lock = lock_of(path)
        wait_for(lock, waits)
        assert lock.is_locked
        assert told == ["waits"]
        lock.release()


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(errno.ENOLCK, "no locks")])
def test_where_there_are_no_locks_one_goes_on_without(tmp_path, monkeypatch, error):
    lock = lock_of(tmp_path / "lock")

    def refuse(timeout=None):
        raise error

    monkeypatch.setattr(lock, "acquire", refuse)
    wait_for(lock, lambda: pytest.fail("nobody is waited for"))
    lock.release()


def test_an_error_of_another_kind_is_told(tmp_path, monkeypatch):
    lock = lock_of(tmp_path / "lock")

    def refuse(timeout=None):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(lock, "acquire", refuse)
    with pytest.raises(OSError, match="broken"):
        wait_for(lock, lambda: None)
