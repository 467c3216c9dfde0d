"""Why a process was killed: for want of memory only where something says so."""

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

FULL = 0.95
"""Share of a limit from which on the kernel may have had no choice but to kill."""
SLACK_SECONDS = 5
"""By which the kernel's clock may differ from this one: numbers of processes are used again."""
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit codes of a process that signal 9 ended: as its parent sees it, and as a shell tells it."""


@dataclass(frozen=True)
class Look:
    """What the system tells of memory at one moment."""

    kills: int | None
    """Processes of this group that were killed for want of memory; of the machine, where no group
    counts them; None where nobody does."""
    use: float | None
    """Share of the memory that may be used which is in use."""


class MemoryWatch:
    """Looks at memory while some processes run; asked when one of them was killed."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Takes a first look; ``root`` is where ``proc`` and ``sys`` lie."""
        self.root = root
        # the kernel's log counts seconds in the same way
        self._since = time.monotonic()
        self._last = self._now()
        self._before = self._last

    def look(self) -> None:
        """Looks again: called every second or so, while all of the processes are taken to run."""
        self._before, self._last = self._last, self._now()

    def shortage(self, pid: int) -> str | None:
        """What says that a process was killed for want of memory; None where nothing does.

        Args:
            pid: a process that signal 9 has ended since the look before the last one.
        """
        now = self._now()
        if now.kills is not None and self._before.kills is not None:
            count = now.kills - self._before.kills
            if count > 0:
                return f"the kernel counts {count} more killed for want of memory"
        told = re.findall(
            rf"^\[\s*(\d+)\.\d+\].*Killed process {pid}\b", _kernel_words(), re.MULTILINE
        )
        if any(int(second) >= self._since - SLACK_SECONDS for second in told):
            return "the kernel's log says that it was killed for want of memory"
        use = max(self._before.use or 0.0, self._last.use or 0.0)
        if use >= FULL:
            return f"{100 * use:.0f} % of the memory was in use"
        return None

    def _now(self) -> Look:
        group = self._group
        if group is None:
            kills = _number(self.root / "proc/vmstat", "oom_kill")
            return Look(kills, self._of_machine())
        kills = _number(group.events, "oom_kill")
        shares = [share for share in (group.use(), self._of_machine()) if share is not None]
        return Look(kills, max(shares, default=None))

    @cached_property
    def _group(self) -> "_Group | None":
        """This process's group of processes with a memory limit; None where there is none."""
        try:
            lines = (self.root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        places = self.root / "sys/fs/cgroup"
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                found = _Group(1, places / "memory" / path.lstrip("/"))
            elif controllers == "":
                found = _Group(2, places / path.lstrip("/"))
            else:
                continue
            if found.events.is_file():
                return found
        return None

    def _of_machine(self) -> float | None:
        total = _number(self.root / "proc/meminfo", "MemTotal:")
        free = _number(self.root / "proc/meminfo", "MemAvailable:")
        return 1 - free / total if total and free is not None else None


@dataclass(frozen=True)
class _Group:
    """A control group, of either version."""

    version: Literal[1, 2]
    folder: Path

    @property
    def events(self) -> Path:
        """The file that counts kills."""
        return self.folder / ("memory.events" if self.version == 2 else "memory.oom_control")

    def use(self) -> float | None:
        """Share of its limit that it uses, without cached files, which it can give up."""
        names = {1: ("usage_in_bytes", "limit_in_bytes"), 2: ("current", "max")}[self.version]
        used, limit = (_number(self.folder / f"memory.{name}") for name in names)
        kinds = ("inactive_file", "active_file")
        cached = (
            _number(self.folder / "memory.stat", f"total_{kind}" if self.version == 1 else kind)
            for kind in kinds
        )
        return (
            None
            if used is None or not limit
            else (used - sum(map(int, filter(None, cached)))) / limit
        )


def _number(path: Path, name: str = "") -> int | None:
    """The number behind a name in a file of the kernel, or its only one; None where there is none.

    No limit is none: ``max``, or in the older version a number larger than any memory.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{re.escape(name)}\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def _kernel_words() -> str:
    """The kernel's log; empty where it may not be read."""
    try:
        said = subprocess.run(["dmesg"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.decode(errors="replace")
