"""A pool is stopped in one way, whatever asks for it: Ctrl-C, SIGTERM, or a closed terminal."""

from stilt.system.command import discard

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raises KeyboardInterrupt on SIGTERM, and where the terminal is closed, as on Ctrl-C.

    Python gives signals to a program's main thread alone; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {signal.SIGTERM: _as_interrupt, signal.SIGHUP: _as_hangup}
    # under nohup, say, it was asked that a closed terminal shall end nothing
    wanted = [n for n in handlers if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handlers[number]) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _as_hangup(number: int, frame: object) -> None:
    # it comes from the shell and from the kernel: the second is no second Ctrl-C
    signal.signal(number, signal.SIG_IGN)
    # what is printed on a terminal that is gone, which says of itself that it is none, is an error
    if stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode):
        discard()
    raise KeyboardInterrupt
