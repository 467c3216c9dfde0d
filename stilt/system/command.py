"""A command, from the moment it begins to load to its exit code.

Every command imports this module before all that takes time to load.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from unicodedata import category

from stilt.errors import (
    DISK,
    NO_PATH,
    REMEDY,
    ConfigError,
    StiltError,
    disk_full,
    printable,
    shown,
)

LONGEST_ARGUMENT = 4_096
"""Characters of an argument: Linux has no longer path."""
LONGEST_PATH = 300
"""Characters of a path that leads nowhere, in a message."""


def _while_loading(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Ends a command on Ctrl-C without a traceback; ``exit_code`` does so once it has begun."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("interrupted before anything began.\n")
        raise SystemExit(130)
    sys.__excepthook__(kind, error, traceback)


def _is_command(argument: str) -> bool:
    """Whether a process began as ``stilt-submit``, ``launcher/submit.py`` or one of their like."""
    begun = Path(argument).absolute()
    ours = begun.name.startswith("stilt-") or begun.name == "synthesize.py"
    return argument != "" and (ours or begun.parent.name in ("launcher", "analysis"))


# a worker, program or notebook that imports a command's module keeps its own tracebacks
if _is_command(sys.argv[0]):
    sys.excepthook = _while_loading


def run_command(function: Callable[..., int], prog: str, argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code, see ``exit_code``.

    Args:
        function: the command; tyro makes flags of its signature and help of its docstring.
        prog: how a person begins it.
        argv: its arguments; those of this process where absent.
    """
    import tyro  # takes time to load: Ctrl-C must be taken care of before

    given = sys.argv[1:] if argv is None else argv
    return exit_code(lambda: tyro.cli(function, args=[_usable(word) for word in given], prog=prog))


def _usable(argument: str) -> str:
    """An argument that tyro may quote as it is.

    Raises:
        ConfigError: It is longer than any path, or holds what a terminal obeys.
    """
    if len(argument) > LONGEST_ARGUMENT:
        raise ConfigError(
            f"argument {shown(argument)}: {len(argument)} characters, at most {LONGEST_ARGUMENT}."
        )
    if any(category(character) == "Cc" for character in argument):
        raise ConfigError(f"argument {shown(argument)}: a control character is not allowed.")
    return argument


def exit_code(command: Callable[[], int]) -> int:
    """Runs a command line's body and returns its exit code (0 done, 1 cells failed, 2 mistake).

    A mistake is printed to stderr in one line, and so is a full disk, or a path that can lead
    nowhere. Anything else is a bug and keeps its traceback.
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
        sys.stderr.write(
            f"error: {error.filename}: permission denied. Ask its owner, "
            "or choose another folder (--root, --data-dir).\n"
        )
        return 2
    except OSError as error:
        if error.errno in NO_PATH and error.filename:
            told = StiltError(f"{printable(str(error.filename), LONGEST_PATH)}: {error.strerror}.")
            sys.stderr.write(f"error: {told}\n")
            return told.exit_code
        if error.errno not in DISK:
            raise
        sys.stderr.write(f"error: {disk_full(error)}. {REMEDY}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is finished is kept, the same command goes on.\n")
        return 130


def discard() -> None:
    """Sends to nowhere what is still printed or buffered: ``head`` may have closed the pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def while_read() -> Iterator[None]:
    """Ends what is printed within, without complaint, once its reader has enough."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still buffered would be written, and complained of, when the process exits
        discard()
