"""The errors a person can cause and mend, and the one place that turns them into exit codes."""

import difflib
import sys
from collections.abc import Callable, Iterable


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


def exit_code(command: Callable[[], int]) -> int:
    """Runs a command line's body and returns its exit code (0 done, 1 cells failed, 2 mistake).

    A mistake is printed to stderr in one line. Anything else is a bug and keeps its traceback.
    """
    try:
        return command()
    except StiltError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except PermissionError as error:
        sys.stderr.write(f"error: {error.filename}: permission denied. Choose a folder you own.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is finished is kept, the same command goes on.\n")
        return 130
