"""What the end of a worker process says of the run that it was at, where it left no word itself."""

import signal

from stilt.records.results import FailureKind
from stilt.system.memory import KILLED, MemoryWatch

DISK_FULL = 74
"""Exit code of a worker that could write no more (sysexits.h: EX_IOERR)."""
_UNFLUSHED = 120
"""Exit code of a Python that cannot write what it has printed."""


def why_ended(code: int, pid: int, watch: MemoryWatch) -> tuple[FailureKind, str]:
    """Class and text of a worker's end.

    Args:
        code: its exit code, negative for a signal.
        pid: its process.
        watch: has looked at memory while it ran.
    """
    if code in KILLED:
        shortage = watch.shortage(pid)
        if shortage is not None:
            return "oom", f"the worker was killed by signal 9: {shortage}"
        return "killed", "the worker was killed by signal 9; nothing says that memory ran out"
    if code in (DISK_FULL, _UNFLUSHED):
        return "disk", "the worker could not write"
    if code < 0:
        return "bug", f"the worker ended with signal {-code} ({signal.Signals(-code).name})"
    return "bug", f"the worker ended with exit code {code}"
