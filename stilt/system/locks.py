"""One process at a time: a lock on a file, gone with the process that holds it."""

import errno
import stat
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from stilt.system.files import create_text

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""Errors of a file system that knows no locks, such as Lustre mounted without them."""
SOON = 0.5
"""Seconds after which somebody who waits is told so."""


def lock_of(path: Path) -> FileLock:
    """A lock on a file, which is made so that all who may write its folder may take it."""
    create_text(path, "")
    return FileLock(path, mode=stat.S_IMODE(path.stat().st_mode))


def wait_for(lock: FileLock, told: Callable[[], None]) -> None:
    """Takes a lock, however long that takes; where there can be none, goes on without.

    Args:
        lock: to be released by the caller, also where it was not taken.
        told: is called once if another holds it.
    """
    try:
        try:
            lock.acquire(timeout=SOON)
        except Timeout:
            told()
            lock.acquire()
    except NotImplementedError:
        return
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
