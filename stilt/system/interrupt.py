"""Stopping a run at a safe point: a signal only asks, the training loop answers between updates."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupted(BaseException):
    """The run was asked to stop and has saved its state. No ``except Exception`` may swallow it."""


class StopRequest:
    """Set by a signal, looked at between updates, where weights and optimizer agree."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def listen(self, *signals: int) -> None:
        """Takes over signals; what handled them before is kept for ``forward``."""
        for number in signals:
            self._previous[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # a second one, such as the SIGTERM at the time limit, must not hide what the first asked
        self.signal = self.signal or number

    def __bool__(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def forward(self) -> None:
        """Hands the signal to whoever handled it before, such as submitit's requeue."""
        if self.signal is None:
            return
        handler: Callable[[int, None], Any] | int | None = self._previous.get(self.signal)
        if callable(handler):
            handler(self.signal, None)
