"""Whether a process of this machine lives, and when it began."""

import os
from pathlib import Path


def lives(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits for its parent to notice does not.

    Without an init, as in many containers, it waits for ever.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, as somebody else's
    fields = _fields(pid)
    return fields is None or fields[0] not in ("Z", "X")


def birth(pid: int) -> str | None:
    """The boot that a process belongs to and its start in clock ticks; None where not on Linux."""
    fields = _fields(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields is None else f"{boot[:8]}-{fields[19]}"


def _fields(pid: int) -> list[str] | None:
    """What /proc tells of a process, from its state on; None where not on Linux."""
    try:
        # the command's name may hold spaces and brackets
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
