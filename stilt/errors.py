"""The errors a person can cause and mend, and the one place that turns them into exit codes."""

import difflib
import errno
import sys
from collections.abc import Callable, Iterable

from stilt.stdout import while_read

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What a disk that takes no more says."""
REMEDY = "Free space there, or mend that disk; the same command goes on."


class StiltError(Exception):
    """Something the person at the keyboard can mend; shown as one line, without a traceback."""

    exit_code = 2


class ConfigError(StiltError):
    """A grid, task, profile or command line says something that is not allowed."""


class DataError(StiltError):
    """A data file is missing, unreadable, or holds a row that the task cannot use."""


class ResultError(StiltError):
    """A result, source or study on disk is not what its name promises."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Says that a name is unknown, what was probably meant, and what is allowed.

    Returns:
        For example ``unknown task 'rtee'. Did you mean 'rte'? Known: cola, rte, wic.``
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {name!r}.{hint} Known: {', '.join(names) or 'none'}."


def disk_full(error: OSError) -> str:
    """Which file could not be written, and why."""
    return f"{error.filename or 'a file'}: {error.strerror}"


def exit_code(command: Callable[[], int]) -> int:
    """Runs a command line's body and returns its exit code (0 done, 1 cells failed, 2 mistake).

    A mistake is printed to stderr in one line, and so is a full disk. Anything else is a bug and
    keeps its traceback.
    """
    try:
        code = command()
        with while_read():
            sys.stdout.flush()
        return code
    except StiltError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except PermissionError as error:
        sys.stderr.write(f"error: {error.filename}: permission denied. Choose a folder you own.\n")
        return 2
    except OSError as error:
        if error.errno not in DISK:
            raise
        sys.stderr.write(f"error: {disk_full(error)}. {REMEDY}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is finished is kept, the same command goes on.\n")
        return 130
