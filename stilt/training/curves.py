"""What is recorded while a model trains: losses, gradient norms, tokens."""

import math
from dataclasses import dataclass, field
from typing import Any

from stilt.records.results import CurvePoint, Tokens, Training
from stilt.schedule import Schedule

CURVE_POINTS = 100


class Diverged(Exception):  # noqa: N818 - a result, not an error
    """The loss is no longer finite; what was recorded so far is kept."""


@dataclass
class Curves:
    """What is recorded while training: one loss and one gradient norm per update."""

    chunk: int
    """Examples that one pass held at most."""
    loss: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    epochs: list[CurvePoint] = field(default_factory=list)
    real: int = 0
    computed: int = 0

    def summary(self, schedule: Schedule, carried: Any, fresh: Any) -> Training:
        """The record's form: thinned curves and the losses that tell a failed run."""
        window = max(1, len(self.loss) // 10)
        # what is left over at the end is shorter than a window: one lucky batch is no sign
        last = _mean(self.loss[-window:])
        starts = range(0, len(self.loss) - window + 1, window)
        means = [*(_mean(self.loss[i : i + window]) for i in starts), last]
        finite = [value for value in means if value is not None]
        return Training(
            updates=len(self.loss),
            chunk=self.chunk,
            warmup_updates=schedule.warmup,
            final_loss=last,
            lowest_loss=min(finite, default=None),
            loss=_thin(self.loss),
            gradient_norm=_thin(self.norm),
            tokens=Tokens(real=self.real, computed=self.computed),
            carried=tuple(carried),
            fresh=tuple(fresh),
        )


def _mean(values: list[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None


def _thin(values: list[float]) -> tuple[tuple[int, float | None], ...]:
    step = max(1, math.ceil(len(values) / CURVE_POINTS))
    return tuple(
        (min(i + step, len(values)), _mean(values[i : i + step]))
        for i in range(0, len(values), step)
    )
