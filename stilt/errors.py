"""The errors that a person can cause and mend."""

import difflib
import errno
from collections.abc import Iterable

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What a disk that takes no more says."""
REMEDY = "Free space there, or mend that disk; the same command goes on."


class StiltError(Exception):
    """Something the person at the keyboard can mend; shown as one line, without a traceback."""

    exit_code = 2


class ConfigError(StiltError):
    """A grid, task, profile or command line says something that is not allowed."""


class ModelError(ConfigError):
    """A model's files, weights or tokenizer are not what they should be, or cannot be used."""


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


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of a library's message, cut to ``most`` characters."""
    return (str(error).strip().splitlines() or [repr(error)])[0][:most]


def disk_full(error: OSError) -> str:
    """Which file could not be written, and why."""
    return f"{error.filename or 'a file'}: {error.strerror}"
