"""What a run has cost so far: seconds, attempts, memory, energy, over all attempts at it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Spent:
    """Seconds on each part of a run, with those of the attempts that this one goes on from."""

    def __init__(
        self,
        number: int = 1,
        memory: Callable[[], int] = lambda: 0,
        energy: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Begins to count.

        Args:
            number: of this attempt, from 1, as failure records count: an attempt that was
                interrupted, and goes on from its state, leaves none.
            memory: the most that this process has used so far, in bytes.
            energy: a counter of the device's, in joules; None where it has none.
        """
        self.parts: dict[str, float] = {}
        """Seconds by part."""
        self.began = datetime.now(UTC).isoformat(timespec="seconds")
        """UTC, ISO 8601: of the first attempt."""
        self.attempt = number
        """From 1, interrupted ones among them."""
        self._failed = number - 1
        self._last = time.perf_counter()
        self._memory, self._memory_before = memory, 0
        self._energy, self._energy_then = energy, energy()
        self._energy_before: float | None = 0.0

    @property
    def peak_memory(self) -> int:
        """The most bytes that an attempt has used."""
        return max(self._memory_before, self._memory())

    @property
    def energy(self) -> float | None:
        """Joules that the device used; None where an attempt does not tell."""
        then, now, before = self._energy_then, self._energy(), self._energy_before
        return None if then is None or now is None or before is None else before + now - then

    def lap(self, part: str) -> None:
        """Adds the time since the last lap to a part."""
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now

    def state(self) -> dict[str, Any]:
        """What the next attempt is told; the time since the last lap was training."""
        now = time.perf_counter() - self._last
        return {
            "parts": self.parts | {"train": self.parts.get("train", 0.0) + now},
            "began": self.began,
            "attempt": self.attempt,
            "failed": self._failed,
            "peak_memory": self.peak_memory,
            "energy": self.energy,
        }

    def go_on(self, before: dict[str, Any]) -> None:
        """Adds what the attempts before have told; states of earlier versions tell nothing."""
        if not before:
            return
        for part, seconds in before["parts"].items():
            self.parts[part] = self.parts.get(part, 0.0) + seconds
        self.began = before["began"]
        self._memory_before = before["peak_memory"]
        self._energy_before = before["energy"]
        # the attempt before was interrupted, or is among those that have failed since
        self.attempt = before["attempt"] + max(1, self._failed - before["failed"])
