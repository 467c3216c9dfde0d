"""A command, from the moment it begins to load to its exit code.

Every command imports this module before all that takes time to load.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from unicodedata import category

from stilt import __version__
from stilt.errors import (
    DISK,
    NO_PATH,
    REMEDY,
    ConfigError,
    StiltError,
    disk_full,
    first_line,
    printable,
    shown,
)
from stilt.system.invocation import COMMANDS, INSTALLED, ROOT, is_checkout, is_command, spelled

LONGEST_ARGUMENT = 700
"""Characters of an argument, which tyro quotes whole in a message."""
LONGEST_PATH = 300
"""Characters of a path that leads nowhere, in a message."""


OWN = ("stilt", *COMMANDS.values())
"""Packages whose absence, or whose mistake, is a bug."""
MORE = """

Also: --version says which code this is, and where it lies;
--completion prints what a shell reads to complete these flags."""
"""What every command's help says after all else. tyro breaks no line of it; it keeps a break before
a line that begins with a dash, and puts an empty line before a paragraph that does."""
COMPLETION = Path(__file__).with_name("completion.sh")
"""What a shell reads to complete all commands; it asks each with tyro's own flag."""


def _while_loading(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Ends a command without a traceback on Ctrl-C, or where what it imports is not there.

    Once it has begun, ``exit_code`` does so on Ctrl-C.
    """
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("interrupted before anything began.\n")
        raise SystemExit(130)
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] not in OWN:
        sys.stderr.write(f"error: {first_line(error)}, in {sys.executable}. {install()}\n")
        raise SystemExit(2)
    sys.__excepthook__(kind, error, traceback)


def install() -> str:
    """Says how to get an interpreter that has all that is required."""
    if not is_checkout():
        return f"Mend it with: {sys.executable} -m pip install --force-reinstall stilt-lab"
    environment = ROOT / ".venv"
    activate = f". {environment}/bin/activate"
    if (environment / ".installed").is_file() and Path(sys.prefix) != environment:
        return f"What is needed is in {environment}: {activate}"
    return f"Install what is needed: make -C {ROOT} setup && {activate}"


# a worker, program or notebook that imports a command's module keeps its own tracebacks
if is_command(sys.argv[0]):
    sys.excepthook = _while_loading


def run_command(
    function: Callable[..., int], name: str, argv: Sequence[str] | None = None, verb: str = ""
) -> int:
    """Runs a command line and returns its exit code, see ``exit_code``.

    Args:
        function: the command; tyro makes flags of its signature and help of its docstring.
        name: the command's name, such as ``submit``.
        argv: its arguments; those of this process where absent.
        verb: word of the command line before these arguments.
    """
    # they take time to load: Ctrl-C must be taken care of before
    import inspect

    import tyro

    given = sys.argv[1:] if argv is None else argv
    told = f"{(inspect.getdoc(function) or '').partition('Args:')[0].rstrip()}{MORE}"

    def run() -> int:
        if said := _about(given):
            sys.stdout.write(said)
            return 0
        words = [_usable(word) for word in given]
        asked = any(word.startswith("--tyro-") for word in words)
        prog = INSTALLED + name if asked else f"{spelled(name)} {verb}".rstrip()
        function.__doc__ = _on_one_line_each(inspect.getdoc(function) or "")
        # "None" is what a flag is that is not given, and no word for it
        config = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
        return tyro.cli(function, args=words, prog=prog, description=told, config=config)

    return exit_code(run)


def _on_one_line_each(docstring: str) -> str:
    """A docstring whose arguments have a line each: help keeps the line breaks that it finds."""
    return re.sub(r"\n {8,}(?=\S)", " ", docstring)


def _about(given: Sequence[str]) -> str:
    """What is asked about the program itself; empty where the command is to do its work."""
    if "--completion" in given:
        return COMPLETION.read_text(encoding="utf-8")
    if "--version" in given:
        python = sys.version.split()[0]
        return f"stilt-lab {__version__} in {ROOT}, Python {python} at {sys.executable}\n"
    return ""


def _usable(argument: str) -> str:
    """An argument that tyro may quote as it is.

    Raises:
        ConfigError: It is longer than paths are, or holds what a terminal obeys.
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
        if isinstance(error, BrokenPipeError) and _unread():
            discard()
            return 1
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


def _unread() -> bool:
    """Whether nobody reads what is printed, as after ``head``."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False


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
