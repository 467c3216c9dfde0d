"""A plan of what is missing: all of it, or what fits a budget, packed by predicted seconds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from launcher.study.costs.budget import spend
from launcher.study.costs.known import Division, Known
from launcher.study.outstanding import Outstanding
from stilt.plan import Plan, plan
from stilt.study import Study
from stilt.task import Size


@dataclass(frozen=True)
class Means:
    """What a submit may use."""

    division: Division
    """Where its workers run."""
    hours: float | None = None
    """Of devices, to be spent at most; None for all that is missing."""
    most_seconds: float | None = None
    """Predicted seconds of a bundle at most, see ``stilt.plan.plan``."""


def share_of(
    aim: int, whole: int, *, at_least: int = 1, most: int | None = None
) -> Callable[[int], int]:
    """Tells how many bundles a part of a study makes, by its number of cells.

    Args:
        aim: bundles to aim at for the whole study.
        whole: cells of the whole study.
        at_least: bundles that are wanted however little is left.
        most: bundles that may be queued; as many as cells where absent.
    """
    return lambda cells: min(max(at_least, math.ceil(aim * cells / whole)), most or whole)


def plan_missing(
    study: Study,
    state: Outstanding,
    found: Known,
    means: Means,
    console: Console,
    bundles: Callable[[int], int],
    sizes: Mapping[str, Size] | None = None,
) -> Plan:
    """Plans missing cells, or those of them that fit a budget, which it then shows.

    Args:
        study: the study.
        state: what is missing, what is there, and what live jobs hold.
        found: what is known of seconds; without a calibration, bundles are packed by work.
        means: what may be used.
        console: where a budget is shown.
        bundles: number of cells -> bundles to aim at.
        sizes: rows and tokens of tasks.

    Raises:
        ConfigError: There is a budget, and nothing tells how long a run takes, or none fits it.
    """
    missing: Sequence[str] = state.missing
    order = None
    if means.hours is not None and missing:
        chosen = spend(study, missing, state.there | state.held, found, means.hours, console)
        missing, order = chosen.cells, chosen.order
    return plan(
        study,
        cells=missing,
        there=state.there,
        held=state.held,
        sizes=sizes,
        bundles=bundles(len(missing)),
        seconds=found.predict,
        most_seconds=means.most_seconds if found.predict else None,
        order=order,
    )
