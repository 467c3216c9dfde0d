"""Runs the body of a command line and turns what happens into an exit code."""

import sys
from collections.abc import Callable

from stilt.errors import DISK, REMEDY, StiltError, disk_full
from stilt.system.stdout import while_read


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
