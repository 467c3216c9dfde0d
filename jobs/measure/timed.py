"""What a measuring process has timed, as the lines that it writes, and what is fitted to it."""

from collections.abc import Sequence
from statistics import median
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.optimize import nnls

from stilt.config import Frozen
from stilt.training.speed.calibration import Rates, TaskWork, Work


class Timed(Frozen):
    """Updates, or passes of evaluation, that were timed together."""

    kind: Literal["train", "evaluate"]
    updates: int = Field(ge=0)
    """0 of an evaluation."""
    work: Work
    seconds: float = Field(gt=0)


class Timings(Frozen):
    """Everything that one worker has measured."""

    device: str
    host: str
    versions: dict[str, str]
    start: float
    """Seconds since the process's own start until it was ready to build a model."""
    load: float
    """Seconds to make a model ready for a run: the median."""
    memory: int
    """Bytes used at most."""
    capacity: int
    """Bytes of the device, or of the processor's machine."""
    chunk: int | None
    """Examples of a pass that fit memory, where a whole batch did not."""
    tasks: dict[str, TaskWork]
    timed: tuple[Timed, ...]


def fit(timed: Sequence[Timed]) -> Rates:
    """Fits seconds to work, by least squares over seconds a token, no rate below zero.

    Source: Lawson and Hanson 1974, non-negative least squares.
    """
    if not timed:
        return Rates(fixed=0, passes=0, positions=0, squares=0)
    parts = np.array([_parts(one) for one in timed])
    seconds = np.array([one.seconds for one in timed])
    # every token counts alike, in long batches and in short ones
    weight = 1 / np.maximum(parts[:, 2], 1)
    columns = parts * weight[:, None]
    # of one size, so that none is lost in rounding
    size = np.maximum(np.abs(columns).max(axis=0), 1e-30)
    found, _ = nnls(columns / size, seconds * weight)
    names = ("fixed", "passes", "positions", "squares")
    return Rates(**dict(zip(names, map(float, found / size), strict=True)))


def error(timed: Sequence[Timed], train: Rates, evaluate: Rates) -> float:
    """Median relative error of fitted rates over what was timed."""
    rates = {"train": train, "evaluate": evaluate}
    return median(
        abs(rates[one.kind].seconds(one.updates, one.work) / one.seconds - 1) for one in timed
    )


def _parts(one: Timed) -> tuple[float, float, float, float]:
    work = one.work
    return float(one.updates), work.passes, work.positions, work.squares
