"""What a submit would do, without doing it: stages, cells by source and target, cost, arrays."""

from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.outstanding import outstanding
from launcher.study.resolve import ResolvedStudy
from stilt.plan import TRAIN_TO_FORWARD, Bundle, Plan, cost, plan
from stilt.records.finished import read_ending
from stilt.study import Study
from stilt.system.console import new_table
from stilt.system.units import counted

ASSUMED_FLOPS = 2e13
"""Effective fp32 FLOP/s of one GPU where the study has no finished cell to measure by."""
MEASURED = 200
"""Finished cells at most that the speed is measured by."""


def show_plan(
    resolved: ResolvedStudy, console: Console, *, executor: str, bundles: int | None
) -> Plan:
    """Prints and returns the plan of what is still to be run.

    Args:
        resolved: the study.
        console: where to print.
        executor: its name, for the text.
        bundles: bundles to aim at; a usual number where None.
    """
    study = resolved.study
    state = outstanding(study, resolved.folder, ClaimLiveness(resolved.folder).lives)
    whole = plan(
        study, cells=state.missing, there=state.there, held=state.held, bundles=bundles or 64
    )
    lacks = (f" (not found here: {resolved.problem})", "yellow") if resolved.problem else "."
    console.print(
        Text.assemble(
            "study ",
            (study.name, "bold"),
            f": {counted(len(study.cells), 'cell')}, {len(state.done)} done, {len(state.held)} "
            f"held by live jobs, {len(state.missing)} to run. Model: {study.grid.model.name}",
            lacks,
        )
    )
    console.print(_matrix(study, set(state.missing)))
    console.print(_stages(study, whole))
    console.print(_time(resolved, state.done, whole))
    counts = Counter(bundle.stage for bundle in whole.bundles)
    said = ", ".join(f"{count} {stage}" for stage, count in counts.items())
    number = counted(len(whole.bundles), "array element")
    elements = f"{executor}: {number} ({said})."
    console.print(elements if whole.bundles else "nothing to run.")
    return whole


def _matrix(study: Study, missing: set[str]) -> Table:
    cells = [cell for cell in study.cells.values() if cell.id in missing]
    count = Counter((cell.source, cell.target) for cell in cells)
    sources = list(dict.fromkeys(cell.source for cell in study.cells.values()))
    table = new_table(title="cells to run, by target and source")
    table.add_column("target", no_wrap=True)
    # a long name may be broken into lines, a number may not
    digits = len(str(len(cells)))
    for source in [*sources, "all"]:
        table.add_column(source, justify="right", overflow="fold", min_width=digits)
    for target in dict.fromkeys(cell.target for cell in study.cells.values()):
        row = [count[source, target] for source in sources]
        table.add_row(target, *map(str, row), str(sum(row)))
    sums = [sum(n for (name, _), n in count.items() if name == source) for source in sources]
    table.add_row("all", *map(str, sums), str(len(cells)), style="bold")
    return table


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
        tokens = f"{sum(bundle.cost for bundle in bundles) / 1e6:.1f}"
        style = "bold" if name == "all" else None
        table.add_row(name, str(runs), str(len(bundles)), waits, tokens, style=style)
    return table


def _time(resolved: ResolvedStudy, done: set[str], whole: Plan) -> str:
    """Estimates how long a plan takes, by the cells that are done where there are any."""
    study = resolved.study
    tokens = seconds = 0.0
    for item in sorted(done)[:MEASURED]:
        run = study.runs[item]
        record = read_ending(study, resolved.folder, run)
        if record is not None and record.training is not None:
            tokens += cost(study, run)
            seconds += sum(record.timings.model_dump().values())
    if tokens and seconds:
        hours = whole.cost * seconds / tokens / 3600
        return f"about {hours:.1f} worker-hours, at the finished cells' speed."
    parameters = study.grid.model.parameters
    if not parameters:
        return (
            "no estimate of hours: the grid's [model] gives no 'parameters'; no cell has finished."
        )
    hours = whole.cost * 2 * TRAIN_TO_FORWARD * parameters / ASSUMED_FLOPS / 3600
    return (
        f"about {hours:.1f} GPU-hours, if a GPU does {ASSUMED_FLOPS:.0e} FLOP/s in fp32 at these "
        "batch sizes (assumed; the measured speed replaces it as soon as a cell has finished)."
    )
