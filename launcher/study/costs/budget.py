"""Which runs fit a budget of hours: the same configurations of all sources, on every target."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from launcher.study.costs.counts import count_table
from launcher.study.costs.known import Known
from stilt.cell import Cell, canonical, digest_of
from stilt.errors import ConfigError
from stilt.study import Study
from stilt.system.invocation import spelled
from stilt.system.units import counted

NEARLY = 0.95
"""Share of a budget up to which comparisons are kept whole; the rest is filled by single cells."""


@dataclass(frozen=True)
class Selection:
    """Cells that fit a budget."""

    cells: tuple[str, ...]
    """Ids, those first that are wanted first."""
    seconds: float
    """Of a device, predicted: theirs and that of the sources that are trained for them."""
    left: tuple[str, ...]
    """Ids of the cells that do not fit, in the same order."""

    @property
    def order(self) -> dict[str, int]:
        """Id -> place of the cells that fit."""
        return {cell: place for place, cell in enumerate(self.cells)}


def require_hours(hours: float | None) -> None:
    """Makes sure that a budget is one.

    Raises:
        ConfigError: It is not above zero.
    """
    if hours is not None and not 0 < hours < 1e9:
        raise ConfigError(f"--hours {hours:g}: a number above 0 is expected.")


def spend(
    study: Study,
    missing: Sequence[str],
    there: Collection[str],
    found: Known,
    hours: float,
    console: Console,
) -> Selection:
    """Chooses what a budget is spent on, and shows it and what is left.

    Args:
        study: the study.
        missing: ids of the cells to be run.
        there: sources (and ``synthesis``) that are there, or that another job makes.
        found: what is known of seconds.
        hours: of devices.
        console: where it is shown.

    Raises:
        ConfigError: Nothing tells how long a run takes, or none fits.
    """
    if not found.forecast.known:
        raise ConfigError(
            f"--hours {hours:g}: nothing tells yet how long a run takes here "
            f"({found.division.place}): no calibration, and no run has ended. Measure it: "
            f"{spelled('doctor')} --measure with the same --grid (--on-cluster: on the partition)."
        )
    division, unit = found.division, found.division.unit
    seconds = {
        run.id: division.device_seconds(found.forecast.seconds(run)) for run in study.runs.values()
    }
    chosen = select(study, missing, there, seconds, 3600 * hours)
    cells, left = chosen.cells, chosen.left
    if not cells:
        least = min(
            sum(seconds[item] for item in (cell, *_makers(study, [cell], there)))
            for cell in missing
        )
        raise ConfigError(
            f"--hours {hours:g}: no cell fits; the cheapest takes about {least / 3600:.3g} {unit}, "
            f"its source included ({found.basis})."
        )
    makers = _makers(study, cells, there)
    and_sources = f" and {counted(len(makers), 'source')}" if makers else ""
    console.print(
        f"--hours {hours:g}: {counted(len(cells), 'cell')}{and_sources}, about "
        f"{chosen.seconds / 3600:.2f} {unit} ({found.basis})."
    )
    if left:
        rest = sum(seconds[item] for item in (*left, *(_makers(study, left, {*there, *makers}))))
        console.print(
            f"left: {counted(len(left), 'cell')}, about {rest / 3600:.2f} {unit}, by target and "
            "source as below; the same submit without --hours runs them."
        )
        console.print(count_table(study, {"left": set(left)}))
    return chosen


def _makers(study: Study, cells: Iterable[str], there: Collection[str]) -> set[str]:
    """What is to be made before cells can run: their sources, and what these need."""
    needs = {need for cell in cells for need in study.runs[cell].needs}
    needs |= {more for need in needs for more in study.runs[need].needs}
    return needs.difference(there)


def select(
    study: Study,
    missing: Sequence[str],
    there: Collection[str],
    seconds: Mapping[str, float],
    budget: float,
) -> Selection:
    """Chooses the cells that a budget is spent on.

    In each round every target has one more configuration, with the cells of all sources, so that
    each difference from none is of whole pairs. A round's cells are taken together where they fit,
    and where less than 5 % of the budget would be left, one by one; no more than the budget is
    spent. Configurations come in an order that is the same for all sources, targets and machines
    and else as good as random, so that the mean over the first of them estimates that over all.

    Args:
        study: the study.
        missing: ids of the cells to be run.
        there: sources (and ``synthesis``) that are there, or that another job makes.
        seconds: id -> predicted seconds of a device, of all runs that may be needed.
        budget: seconds of a device.
    """
    groups = _groups(study, missing)
    made, taken, spent = set(there), set[str](), 0.0

    def price(cells: Sequence[str]) -> tuple[float, set[str]]:
        """Seconds of cells and of what is to be made for them, and the latter."""
        needs = _makers(study, cells, made)
        return sum(seconds[item] for item in (*cells, *sorted(needs))), needs

    parts = [*groups, *([cell] for group in groups for cell in group)]
    for place, part in enumerate(parts):
        if place >= len(groups) and (part[0] in taken or spent >= NEARLY * budget):
            continue
        cost, needs = price(part)
        if spent + cost <= budget:
            spent += cost
            made |= needs
            taken.update(part)
    order = [cell for group in groups for cell in group]
    chosen = tuple(cell for cell in order if cell in taken)
    return Selection(chosen, spent, tuple(cell for cell in order if cell not in taken))


def _groups(study: Study, missing: Sequence[str]) -> list[list[str]]:
    """Cells of one target and configuration, all sources; a round of each target after the other.

    A configuration's round is its place among all of the target, so that it stays what it is when
    cells have ended.
    """
    configurations: dict[str, dict[str, None]] = defaultdict(dict)
    keys = {cell.id: _configuration(cell) for cell in study.cells.values()}
    for cell in study.cells.values():
        configurations[cell.target][keys[cell.id]] = None
    rounds = {
        target: {key: place for place, key in enumerate(sorted(found))}
        for target, found in configurations.items()
    }
    targets = {target: place for place, target in enumerate(configurations)}
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for item in missing:
        cell = study.cells[item]
        groups[rounds[cell.target][keys[item]], targets[cell.target]].append(item)
    return [groups[place] for place in sorted(groups)]


def _configuration(cell: Cell) -> str:
    """What the cells of a comparison have in common, as a number that is as good as random."""
    point = cell.hyperparameters
    content = point.model_dump(exclude_none=True) if point else {"evaluate": cell.seed}
    return digest_of(canonical(content), 16)
