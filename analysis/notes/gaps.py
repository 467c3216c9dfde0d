"""What a study does not have yet, and why, in words."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from analysis.notes.history import history
from analysis.read.collect import Collection
from analysis.stats.summary import COUNTED_STATUSES, PLACE, TRIAL, in_order
from stilt.cell import NONE
from stilt.data.oddities import kept_oddities
from stilt.folder import read_study
from stilt.records.pins import task_of_pin
from stilt.system.units import counted

EXAMPLES = 8
"""Examples of a kind; all of them stand in summary.json."""


def describe(collection: Collection) -> list[str]:
    """Lines on what is missing, failed, left out or mixed; the first one counts the cells."""
    cells = collection.cells
    counts = Counter(cells["status"])
    parts = [
        f"{counts[status]} {label}" for status, label in COUNTED_STATUSES.items() if counts[status]
    ]
    absent = cells.filter(pl.col("status") == "missing")
    return [
        f"{cells.height} cells: {', '.join(parts)}.",
        *_history(collection),
        *(["No result yet."] if not counts["ok"] and not counts["diverged"] else []),
        *([f"Missing: {places(absent, cells)}."] if absent.height else []),
        *_failed(cells),
        *_waiting(collection),
        *_left_out(collection),
        *_smaller_passes(collection),
        *_taken(collection),
        *_starts(cells),
        *_mixed(cells),
        *_unpaired(cells),
        *_odd(collection),
    ]


def _history(collection: Collection) -> Iterator[str]:
    """How a study, or each of those that are one here, came to be what it is."""
    if not collection.parts:
        yield from history(collection.study)
    for folder in collection.parts:
        yield from (f"{folder.path.name}: {line}" for line in history(read_study(folder)))


def places(some: pl.DataFrame, cells: pl.DataFrame) -> str:
    """Where some of the cells stand: ``hellaswag on rte 8 of 16, ...``, in the grid's order."""
    mine, all_ = (part.group_by(PLACE, maintain_order=True) for part in (some, cells))
    counts = mine.len("some").join(all_.len("of"), on=PLACE, maintain_order="left")
    rows = in_order(some).join(counts, on=PLACE, maintain_order="left")
    return _some(
        [
            f"{source} on {target} {count} of {total}"
            for _, target, source, count, total in rows.iter_rows()
        ]
    )


def _failed(cells: pl.DataFrame) -> Iterator[str]:
    failed = cells.filter(pl.col("status") == "failed")
    kinds = (
        failed.group_by("failure_kind", maintain_order=True)
        .agg(pl.len(), *(pl.col(x).first() for x in ("cell", "failure_message", "log")))
        .sort("len", "failure_kind", descending=[True, False])
    )
    for kind, count, cell, message, log in kinds.iter_rows():
        where = f", log {log}" if log else ""
        yield f"Failed: {count} with {kind}, such as {cell}: {message}{where}."


def _waiting(collection: Collection) -> Iterator[str]:
    """Sources that failed, and how many cells cannot start without them."""
    cells = collection.cells
    for source in collection.sources.iter_rows(named=True):
        if source["status"] not in ("failed", "diverged"):
            continue
        behind = cells.filter(
            pl.col("source_id") == source["source_id"],
            pl.col("status").is_in(["missing", "failed"]),
        ).height
        why = f" ({source['failure_kind']}: {source['failure_message']})"
        yield (
            f"Source {source['source']} {source['status']}"
            f"{why if source['status'] == 'failed' else ''}: {behind} cells need it."
        )


def _left_out(collection: Collection) -> Iterator[str]:
    yield from _unplanned(collection)
    problems = [problem for problem in collection.problems if problem.kind != "unplanned"]
    if not problems:
        return
    kinds = Counter(problem.kind for problem in problems)
    by_kind = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in sorted(kinds.items()))
    yield f"Left out: {len(problems)} file{'s' * (len(problems) > 1)} ({by_kind})."
    for problem in problems[:EXAMPLES]:
        yield f"  {problem}"
    if len(problems) > EXAMPLES:
        yield f"  and {len(problems) - EXAMPLES} more, named in summary.json."


def _unplanned(collection: Collection) -> Iterator[str]:
    """What the grid does not plan: most often what it planned in an earlier revision."""
    files = [problem.file for problem in collection.problems if problem.kind == "unplanned"]
    results = [Path(file).stem for file in files if file.startswith("results/")]
    if results:
        one = len(results) == 1
        yield (
            f"Not in the grid: {counted(len(results), 'result')} "
            f"{'is of a cell' if one else 'are of cells'} that the grid does not plan, and counted "
            f"nowhere until it does: {_some(results)}."
        )


_KINDS = {
    "empty": "empty",
    "truncated": "truncated",
    "foreign": "foreign",
    "newer": "of a newer schema",
    "schema": "of a wrong schema",
    "duplicate": "duplicated",
    "grid": "not of this grid",
    "rows": "scored on other rows, or by other baselines",
    "unreadable": "that cannot be read",
}


def _mixed(cells: pl.DataFrame) -> Iterator[str]:
    """Results that were not all made by the same code on the same kind of machine."""
    for column, what in (("code", "versions of the code"), ("device", "kinds of device")):
        counts = cells[column].drop_nulls().value_counts(sort=True)
        if counts.height > 1:
            parts = [f"{name} {count}" for name, count in counts.sort(column).iter_rows()]
            yield f"Mixed: results come from {counts.height} {what}: {_some(parts)}."


def _taken(collection: Collection) -> Iterator[str]:
    """How much was run for another study, and taken over from there."""
    for what, frame in (("cells", collection.cells), ("sources", collection.sources)):
        counts = frame["taken_from"].drop_nulls().value_counts().sort("taken_from")
        if counts.height:
            parts = [f"{number} from study {name}" for name, number in counts.iter_rows()]
            total = counts["count"].sum()
            yield f"Taken over: {total} of {frame.height} {what}, not run anew: {_some(parts)}."


def _starts(cells: pl.DataFrame) -> Iterator[str]:
    """Sources that were trained more than once, so that not all cells started from the same."""
    told = cells.drop_nulls("start").group_by("source", maintain_order=True)
    counts = told.agg(pl.col("start").n_unique().alias("n")).filter(pl.col("n") > 1)
    for source, number in counts.iter_rows():
        yield (
            f"Mixed: cells of {source} started from {number} sets of weights: it was trained more "
            "than once, on machines that do not round alike."
        )


def _smaller_passes(collection: Collection) -> Iterator[str]:
    """Runs that ran out of memory and were made with fewer examples at a time than planned."""
    for what, frame in (("cells", collection.cells), ("sources", collection.sources)):
        small = frame.filter(pl.col("chunk") < pl.col("examples"))
        if small.height:
            parts = [
                f"{cell} ({chunk} of {examples} examples)"
                for cell, chunk, examples in small.select("cell", "chunk", "examples").iter_rows()
            ]
            yield (
                f"Smaller passes: {small.height} of {frame.height} {what}, under which memory ran "
                f"out, so with other dropout masks than planned: {_some(parts)}."
            )


def _unpaired(cells: pl.DataFrame) -> Iterator[str]:
    """Cells whose hyperparameters and seed the grid does not plan for ``none``."""
    trained = cells.filter(pl.col("stage") == "target")
    none = trained.filter(pl.col("source") == NONE)
    alone = trained.join(none, on=TRIAL, how="anti", nulls_equal=True, maintain_order="left")
    if none.height and alone.height:
        yield (
            f"No pair: {places(alone, cells)}. The grid has no run of none with their "
            "hyperparameters and seed, so no difference counts them."
        )


def _odd(collection: Collection) -> Iterator[str]:
    """What is odd in the rows of the study's tasks, as it was kept when they were first seen."""
    told = set()
    kept = [kept_oddities(folder) for folder in collection.parts or (collection.folder,)]
    for name, oddities in (pair for part in kept for pair in part.items()):
        # a draw of a task's rows, as HellaSwag-p's 2,000, most often has what all of them have
        task = task_of_pin(name, collection.study.tasks)
        for oddity in oddities:
            if (line := f"Data of {task}: {oddity.text}") not in told:
                told.add(line)
                yield line


def _some(parts: list[str]) -> str:
    more = len(parts) - EXAMPLES
    return ", ".join(parts[:EXAMPLES]) + (f" and {more} more" if more > 0 else "")
