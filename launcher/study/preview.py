"""What a submit would do, without doing it: stages, cells by source and target, cost, arrays."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.costs.counts import count_table
from launcher.study.costs.known import MEASURED, Known, ended_runs, known
from launcher.study.costs.planning import Means, plan_missing
from launcher.study.offers import Offers, find_offers
from launcher.study.outstanding import Outstanding, outstanding
from launcher.study.resolve import ResolvedStudy, require_synthesis
from stilt.data.load import load_splits
from stilt.data.splits import measure
from stilt.errors import NoDataError, StiltError
from stilt.folder import StudyFolder
from stilt.plan import TRAIN_TO_FORWARD, Bundle, Plan
from stilt.records.finished import read_ending
from stilt.records.results import Ended, Result
from stilt.records.validity import judge_of
from stilt.study import Study
from stilt.system.console import new_table
from stilt.system.invocation import spelled
from stilt.system.units import counted, span
from stilt.task import Size
from stilt.training.power import (
    ALPHA,
    ASSUMED,
    POWER,
    Comparison,
    Outcome,
    comparisons,
    measured,
    prospects,
    warnings,
)

ASSUMED_FLOPS = 2e13
"""Effective fp32 FLOP/s of one GPU where the study has no finished cell to measure by."""
COMPARED = 72
"""Finished pairs of a target at most by which its differences' spread is measured."""


def show_plan(
    resolved: ResolvedStudy,
    others: Sequence[StudyFolder],
    console: Console,
    *,
    executor: str,
    bundles: Callable[[int], int],
    means: Means,
) -> tuple[Plan, bool]:
    """Prints the plan of what is still to be run.

    Args:
        resolved: the study.
        others: other studies, from which results may be taken over.
        console: where to print.
        executor: its name, for the text.
        bundles: number of cells -> bundles to aim at.
        means: what it may use.

    Returns:
        The plan; whether a submit would be refused.

    Raises:
        ConfigError: See ``plan_missing``.
        DataError: See ``_sizes_here``.
    """
    study = resolved.study
    state = outstanding(study, resolved.folder, ClaimLiveness(resolved.folder).lives)
    offers = find_offers(resolved, state, others)
    taken = {offer.run.id for offer in offers.cells}
    missing = [cell for cell in state.missing if cell not in taken]
    records = [(offer.run, offer.record) for offer in offers.cells if offer.record is not None]
    ended = [*ended_runs(study, resolved.folder, state.done), *records][:MEASURED]
    sizes, absent = _sizes_here(resolved)
    for name in absent:
        said = f"task {name}: its rows are not here, so its size is a guess."
        console.print(Text(said, "yellow"))
    refusals = list(_refusals(resolved, sizes, absent))
    for refusal in refusals:
        console.print(Text(f"not as it is: {refusal}", "yellow"))
    found = known(study, resolved.cache, means.division, sizes=sizes, ended=ended)
    there = state.there | offers.there
    lacking = replace(state, missing=missing, there=there)
    whole = plan_missing(study, lacking, found, means, console, bundles, sizes)
    lacks = (f" (not found here: {resolved.problem})", "yellow") if resolved.problem else "."
    over = f"{len(taken)} to be taken over, " if taken else ""
    console.print(
        Text.assemble(
            "study ",
            (study.name, "bold"),
            f": {counted(len(study.cells), 'cell')}, {len(state.done)} done, {len(state.held)} "
            f"held by live jobs, {over}{len(missing)} to run. Model: {study.grid.model.name}",
            lacks,
        )
    )
    _show_cells(study, state, taken, missing, console)
    _show_offers(offers, console)
    for source, cells in state.hopeless.items():
        said = f"{study.runs[source].title} diverged: its {counted(len(cells), 'cell')} cannot run."
        console.print(Text(said, "yellow"))
    if not whole.bundles:
        console.print("nothing to run.")
        return whole, bool(refusals)
    console.print(_stages(study, whole))
    console.print(_time(study, found, whole))
    for line in found.said:
        console.print(Text(line, style="yellow"))
    _show_power(resolved, sizes, state.done, offers, console)
    counts = Counter(bundle.stage for bundle in whole.bundles)
    said = ", ".join(f"{count} {stage}" for stage, count in counts.items())
    number = counted(len(whole.bundles), "array element" if executor == "slurm" else "bundle")
    console.print(f"{executor}: {number} ({said}).")
    return whole, bool(refusals)


def _sizes_here(resolved: ResolvedStudy) -> tuple[dict[str, Size], dict[str, NoDataError]]:
    """Rows and tokens of tasks whose files do not tell them, by their rows on this machine.

    Returns:
        Sizes, and why there is none of the tasks whose rows are not here.

    Raises:
        DataError: Rows that are here are not what their task's file says.
    """
    found: dict[str, Size] = {}
    absent: dict[str, NoDataError] = {}
    judge = judge_of(resolved.study, resolved.folder)
    for name, task in resolved.study.tasks.items():
        if task.size is not None or task.synthesis:
            continue
        try:
            splits = load_splits(task, resolved.data_dir, hub=False, known=judge.known(name))
            found[name] = measure(task, splits)
        except NoDataError as error:
            absent[name] = error
    return found, absent


def _refusals(
    resolved: ResolvedStudy, sizes: Mapping[str, Size], absent: Mapping[str, NoDataError]
) -> Iterator[str]:
    """Why a submit would be refused, as far as that is known without the Hub."""
    study = resolved.study
    try:
        require_synthesis(resolved)
    except StiltError as error:
        yield str(error)
    for name, why in absent.items():
        if not any(origin.hub for origin in study.tasks[name].data):
            yield str(why)
    for source in study.sources.values():
        task = study.tasks[source.task]
        size = sizes.get(source.task) or task.size
        # of a task that takes a part of its rows, only that part is counted
        if size is None or task.train_size is not None:
            continue
        if (source.train_size or 0) > size.train:
            rows = counted(size.train, "training row")
            yield (
                f"source {source.name}: train_size = {source.train_size}, but {source.task} has "
                f"{rows}."
            )


def _show_power(
    resolved: ResolvedStudy,
    sizes: Mapping[str, Size],
    done: set[str],
    offers: Offers,
    console: Console,
) -> None:
    """Shows how small a mean difference from none the whole plan can show, and what it cannot."""
    study = resolved.study
    planned = comparisons(study)
    if not planned:
        console.print("power: no source is compared with none on any target.")
        return
    there = {offer.run.id: offer.record for offer in offers.cells if offer.record}
    spreads = {}
    for target in dict.fromkeys(one.target for one in planned):
        of_target = [one for one in planned if one.target == target]
        outcomes = _outcomes(resolved, of_target, done, there)
        found = measured(of_target, outcomes, study.tasks[target].metric)
        if found is not None:
            spreads[target] = found
    rows = prospects(study, resolved.folder, spreads, sizes=sizes)
    table = new_table(
        *("target", "dev", "configurations x seeds", "alone", "after Holm", "spread"),
        title="smallest difference from none that the plan can show, in points",
        right=("dev", "configurations x seeds", "alone", "after Holm"),
    )
    for row in rows:
        points = ("-" if x is None else f"{100 * x:.1f}" for x in (row.smallest, row.smallest_holm))
        seeds = f"{row.pairs / row.configurations:.1f}".removesuffix(".0")
        pairs = row.spread.pairs
        table.add_row(
            row.target,
            "?" if row.dev is None else f"{row.dev:,}",
            f"{row.configurations} x {seeds}",
            *points,
            f"measured, {counted(pairs, 'pair')}" if pairs else "assumed",
        )
    console.print(table)
    console.print(
        "of the mean over all pairs, shown with a probability of "
        f"{100 * POWER:.0f} % at p < {ALPHA:g}: by a single test, and where Holm's method over "
        f"{counted(len(planned), 'comparison')} is at its strictest; new dev examples, "
        "configurations and seeds vary, each source's checkpoint is fixed."
    )
    if any(not row.spread.pairs for row in rows):
        console.print(f"{ASSUMED}; finished pairs replace it.")
    known = ((row.target, row.configurations, row.lowest_p, row.lowest_p_holm) for row in rows)
    for line in warnings(known):
        console.print(Text(line, style="yellow"))


def _outcomes(
    resolved: ResolvedStudy,
    planned: Sequence[Comparison],
    done: set[str],
    there: Mapping[str, Ended],
) -> dict[str, Outcome]:
    """How the runs of finished pairs ended, of a target's first pairs at most."""
    study, known = resolved.study, done | there.keys()
    ended = [pair for one in planned for pair in one.pairs if {cell.id for cell in pair} <= known]
    found: dict[str, Outcome] = {}
    for cell in dict.fromkeys(cell.id for pair in ended[:COMPARED] for cell in pair):
        record = there.get(cell) or read_ending(study, resolved.folder, study.runs[cell])
        if isinstance(record, Result):
            score, dev = record.score, record.dev
            found[cell] = Outcome(
                record.majority if score is None else score,
                dev.predictions if dev else None,
                dev.gold if dev else None,
            )
    return found


def _show_cells(
    study: Study, state: Outstanding, taken: set[str], missing: Sequence[str], console: Console
) -> None:
    """Counts cells by target and source: those to run, after what there is of other kinds."""
    kinds = {"done here": state.done, "held by live jobs": state.held, "to be taken over": taken}
    kinds = {words: some for words, some in kinds.items() if some} | {"to run": set(missing)}
    heading = "cells by target and source: " + " / ".join(kinds)
    # a title would be broken into lines as wide as the table
    console.print(heading if len(kinds) > 1 else "cells to run, by target and source")
    console.print(count_table(study, kinds))


def _show_offers(offers: Offers, console: Console) -> None:
    """Shows what would be taken over, from where, and the time that this saves."""
    for message in offers.left:
        console.print(Text.assemble(("not taken over:", "yellow"), f" {message}"))
    if not offers.found:
        return
    table = new_table(
        *("from", "what", "on", "runs", "saves"),
        title="to be taken over, and the time that it took there",
        right=("runs", "saves"),
    )
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for offer in offers.found:
        what, on = offer.run.title, ""
        if offer.run.cell is not None:
            what, on = f"cells of {offer.run.source_name}", offer.run.task
        groups[str(offer.folders[0].path), what, on].append(offer.seconds)
    for names, seconds in groups.items():
        table.add_row(*names, str(len(seconds)), span(sum(seconds)))
    table.add_row("all", "", "", str(len(offers.found)), span(offers.seconds), style="bold")
    console.print(table)


def _stages(study: Study, whole: Plan) -> Table:
    table = new_table(
        *("stage", "runs", "bundles", "waits for", "million tokens"),
        title="stages, in order",
        right=("runs", "bundles", "million tokens"),
    )
    groups: dict[tuple[str, tuple[str, ...]], list[Bundle]] = defaultdict(list)
    for bundle in whole.bundles:
        run = study.runs[bundle.items[0]]
        name = "targets" if run.cell else f"{run.stage} {run.source_name or run.title}"
        groups[name, bundle.needs].append(bundle)
    for (name, needs), bundles in [*groups.items(), (("all", ()), whole.bundles)]:
        runs = sum(len(bundle.items) for bundle in bundles)
        waits = ", ".join(study.runs[need].name for need in needs)
        tokens = _millions(sum(bundle.cost for bundle in bundles))
        style = "bold" if name == "all" else None
        table.add_row(name, str(runs), str(len(bundles)), waits, tokens, style=style)
    return table


def _millions(tokens: float) -> str:
    """Millions with one decimal, or with two digits where there are few."""
    return f"{tokens / 1e6:.1f}" if tokens >= 1e6 else f"{tokens / 1e6:.2g}"


def _time(study: Study, found: Known, whole: Plan) -> str:
    """Tells how long a plan takes, by a calibration, or by cells that are done here or elsewhere.

    The start of a bundle's process is counted where it was measured.
    """
    if found.forecast.known:
        unit, forecast = found.division.unit, found.forecast
        seconds = sum(forecast.seconds(study.runs[item]) for b in whole.bundles for item in b.items)
        seconds += found.setting.start * len(whole.bundles) if found.setting else 0.0
        hours = found.division.device_seconds(seconds) / 3600
        unit = unit if found.calibration else "worker-hours"
        basis = found.basis if found.calibration else "at the finished cells' speed"
        many = 1 if found.division.gpus else found.division.workers
        side = f", {_amount(hours / many, 'hours')} with {many} side by side" if many > 1 else ""
        return f"about {_amount(hours, unit)}{side}, {basis}."
    if not found.division.gpus:
        return (
            "no estimate of hours: nothing was measured on this processor yet "
            f"({spelled('doctor')} --measure does), and no cell has finished."
        )
    parameters = study.grid.model.parameters
    if not parameters:
        return (
            "no estimate of hours: the grid's [model] gives no 'parameters'; no cell has finished."
        )
    hours = whole.cost * 2 * TRAIN_TO_FORWARD * parameters / ASSUMED_FLOPS / 3600
    return (
        f"about {_amount(hours, 'GPU-hours')}, if a GPU does {ASSUMED_FLOPS:.0e} FLOP/s in fp32 "
        "at these batch sizes (assumed; the measured speed replaces it as soon as a cell has "
        f"finished, and {spelled('doctor')} --measure tells it before)."
    )


def _amount(hours: float, unit: str) -> str:
    """Hours for people: less than one in minutes."""
    if hours >= 1:
        return f"{hours:,.1f} {unit}"
    return f"{60 * hours:.1f} {unit.replace('hours', 'minutes')}"
