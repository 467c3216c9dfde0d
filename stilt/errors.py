"""The errors that a person can cause and mend."""

import difflib
import errno
import os
from collections.abc import Iterable

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What a disk that takes no more says."""
DISK_WORDS = (*map(os.strerror, DISK), "PytorchStreamWriter failed", "] . unexpected pos ")
"""What libraries that raise errors of their own, such as safetensors and torch, say of it."""
REMEDY = "Free space there, or mend that disk; the same command goes on."

WIDEST = 80
"""Characters of a value that a message quotes."""
LONGEST_LINE = 1000
"""Characters of a line of a message."""
LONGEST = 20_000
"""Characters of a whole message."""


def shown(value: object, most: int = WIDEST) -> str:
    """A value as messages quote it: in Python's notation, on one line, cut to ``most`` characters.

    Of what a person typed or a file holds nothing else belongs into a message: it may be endless,
    and a terminal obeys control characters.
    """
    try:
        text = repr(value)
    except ValueError:
        text = "a number of thousands of digits"
    except RecursionError:
        text = "a value that is nested too deep"
    return printable(text, most)


def printable(text: str, most: int = WIDEST) -> str:
    """Text of a file or library as messages have it: one line, nothing unprintable, cut."""
    text = escaped(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[object], most: int = 20) -> str:
    """Names as messages list them, each printable; of more than ``most`` there is the number."""
    parts = [printable(str(name)) for name in names]
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return f"{', '.join(parts[:most])}{more}"


def escaped(text: str, keep: str = "") -> str:
    """Text whose characters that do not print (and are not to be kept) are told by their codes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


class StiltError(Exception):
    """Something the person at the keyboard can mend; shown as one line, without a traceback."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        """Keeps a message that a terminal can be given, whatever it quotes."""
        lines = escaped(message, keep="\n").split("\n")
        super().__init__(_shortened("\n".join(_shortened(x, LONGEST_LINE) for x in lines), LONGEST))


def _shortened(text: str, most: int) -> str:
    """Text without its middle where it is too long: the end of a message says what to do."""
    end = most // 4
    return text if len(text) <= most else f"{text[: most - end - 3]} … {text[-end:]}"


class ConfigError(StiltError):
    """A grid, task, profile or command line says something that is not allowed."""


class ModelError(ConfigError):
    """A model's files, weights or tokenizer are not what they should be, or cannot be used."""


class DataError(StiltError):
    """A data file is missing, unreadable, or holds a row that the task cannot use."""


class NoDataError(DataError):
    """No place that a task names has its rows."""


class ResultError(StiltError):
    """A result, source or study on disk is not what its name promises."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Says that a name is unknown, what was probably meant, and what is allowed.

    Returns:
        For example ``unknown task 'rtee'. Did you mean 'rte'? Known: cola, rte, wic.``
    """
    names = sorted(one for one in known if one != name)
    # whoever writes the beginning of a name means the first of those that have it
    begun = [one for one in names if name and one.startswith(name)]
    close = begun or difflib.get_close_matches(name[:WIDEST], names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {shown(name)}.{hint} Known: {listed(names, 100) or 'none'}."


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of a library's message, printable and cut to ``most`` characters."""
    return printable((str(error).strip().splitlines() or [repr(error)])[0], most)


def disk_trouble(error: BaseException) -> bool:
    """Whether an error says that a disk takes no more, or gives nothing back."""
    if isinstance(error, OSError):
        return error.errno in DISK
    return any(words in str(error) for words in DISK_WORDS)


def disk_full(error: OSError) -> str:
    """Which file could not be written, and why."""
    return f"{error.filename or 'a file'}: {error.strerror}"


NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
"""What the system says of a path that can lead to no file, or to no folder."""
