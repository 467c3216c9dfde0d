"""What a submit would do, without doing it: stages, cells by source and target, cost, arrays."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.missing import outstanding
from launcher.study.resolve import ResolvedStudy
from stilt.errors import ResultError
from stilt.plan import TRAIN_TO_FORWARD, Bundle, Plan, cost, plan
from stilt.records.results import Result, read_record
from stilt.study import Study
from stilt.system.console import new_table

ASSUMED_FLOPS = 2e13
"""Effective fp32 FLOP/s of one GPU where the study has no finished cell to measure by."""


def show(
    resolved: ResolvedStudy,
    console: Console,
    *,
    executor: str,
    bundles: int | None,
    arrays: Callable[[Plan], None] | None = None,
) -> int:
    """Prints the plan of what is still to be run; returns 0.

    Args:
        resolved: the study.
        console: where to print.
        executor: its name, for the text.
        bundles: bundles to aim at.
        arrays: prints what the executor would make of the plan.
    """
    study = resolved.study
    state = outstanding(study, resolved.folder, ClaimLiveness(resolved.folder).lives)
    whole = plan(
        study,
        cells=state.missing,
        there=state.there,
        held=state.held,
        bundles=bundles or 64,
    )
    console.print(
        Text.assemble(
            "study ",
            (study.name, "bold"),
            f": {len(study.cells)} cells, {len(state.done)} done, {len(state.held)} held by live "
            f"jobs, {len(state.missing)} to run. Model: {study.grid.model.name}",
            *(
                [(f" (not found here: {resolved.problem})", "yellow")]
                if resolved.problem
                else ["."]
            ),
        )
    )
    console.print(_matrix(study, set(state.missing)))
    console.print(_stages(study, whole))
    console.print(_time(resolved, whole))
    console.print(_arrays(whole, executor))
    if arrays:
        arrays(whole)
    console.print("Dry run: nothing was written.")
    return 0


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
    for (name, needs), bundles in groups.items():
        waits = ", ".join(study.runs[need].name for need in needs)
        table.add_row(*_row(name, waits, bundles))
    table.add_row(*_row("all", "", whole.bundles), style="bold")
    return table


def _row(name: str, waits: str, bundles: Sequence[Bundle]) -> list[str]:
    runs = sum(len(bundle.items) for bundle in bundles)
    work = sum(bundle.cost for bundle in bundles)
    return [name, str(runs), str(len(bundles)), waits, f"{work / 1e6:.1f}"]


def tokens_per_second(resolved: ResolvedStudy) -> float | None:
    """Training tokens a second of this study's finished cells: None while there is none."""
    tokens = seconds = 0.0
    for path in sorted(resolved.folder.results.glob("*.json"))[:200]:
        try:
            record = read_record(Result, path)
        except ResultError:
            continue  # its cell is among those to run
        run = resolved.study.runs.get(record.cell.id) if record is not None else None
        if record and run and record.cell == run.cell and record.training is not None:
            tokens += cost(resolved.study, run)
            seconds += sum(record.timings.model_dump().values())
    return tokens / seconds if seconds else None


def _time(resolved: ResolvedStudy, whole: Plan) -> str:
    speed = tokens_per_second(resolved)
    if speed:
        return f"about {whole.cost / speed / 3600:.1f} worker-hours, at the finished cells' speed."
    parameters = resolved.study.grid.model.parameters
    if not parameters:
        return (
            "no estimate of hours: the grid's [model] gives no 'parameters'; no cell has finished."
        )
    hours = whole.cost * 2 * TRAIN_TO_FORWARD * parameters / ASSUMED_FLOPS / 3600
    return (
        f"about {hours:.1f} GPU-hours, if a GPU does {ASSUMED_FLOPS:.0e} FLOP/s in fp32 at these "
        "batch sizes (assumed; the measured speed replaces it as soon as a cell has finished)."
    )


def _arrays(whole: Plan, executor: str) -> str:
    stages = [(stage, whole.of_stage(stage)) for stage in ("synthesis", "source", "target")]
    counts = ", ".join(f"{len(found)} {stage}" for stage, found in stages if found)
    return (
        f"{executor}: {len(whole.bundles)} array elements ({counts})."
        if counts
        else "nothing to run."
    )
