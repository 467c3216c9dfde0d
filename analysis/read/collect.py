"""A study's folder -> one row per cell of the grid, and the files that were left out.

The rows come from the grid, so that a cell without a result shows as ``missing`` or ``failed`` and
never shrinks a mean unseen.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyarrow import ArrowInvalid
from pyarrow.parquet import ParquetWriter, read_metadata

from analysis.read import columns, records
from analysis.read.cache import STAMP, cached_grid, cached_results, code_version, locked
from analysis.read.columns import FRAME, IDENTITY
from analysis.read.problems import MEASURED, Problem, judged, not_of_study, read
from analysis.read.records import COLUMNS, Row, frame_of, frame_of_records, identify, result_row
from stilt.cell import Cell, Run, Source, digest
from stilt.folder import StudyFolder
from stilt.records.results import Failure, SourceResult
from stilt.records.validity import judge_of
from stilt.study import Study
from stilt.system.files import replacing

WRITTEN_FROM = b"stilt"
"""Where a Parquet file of cells says what it was written from."""

SLICE = 8_192
"""Cells whose curves and predictions are in memory at once when all of them are written."""

_KNOWN = (
    *("cell", *IDENTITY, "source_task", "source_size", "source_seed"),
    *("kind", "metric", "chance", "classes", "examples"),
)
"""Columns that the grid fills."""
_FAILURE = ("failure_kind", "failure_message", "log")
_AFTER_FAILURE = ("host", "job", "attempt", "finished")


@dataclass(frozen=True)
class Collection:
    """What a study has to show at one moment."""

    study: Study
    folder: StudyFolder
    cells: pl.DataFrame
    """``FRAME``: one row per cell of the grid, in the grid's order."""
    sources: pl.DataFrame
    """``FRAME`` with stage ``source``: one row per source, its own dev score on its own task."""
    problems: tuple[Problem, ...]
    """Files that were left out."""
    parts: tuple[StudyFolder, ...] = ()
    """Of a pool, the folders of its studies."""
    arguments: str = ""
    """Of a pool, what summarize is told of it; else the study's name will do."""


def collect(
    folder: StudyFolder,
    study: Study,
    columns: Sequence[str] | None = None,
    *,
    into: Path | None = None,
) -> Collection:
    """Reads a study, at any moment of its run.

    Many new files are read by several processes, so a script that calls this needs the usual
    ``if __name__ == "__main__"``.

    Args:
        folder: where it lies; ``summary/cache`` in it is written.
        study: what ``read_study`` gave for this folder.
        columns: those of ``FRAME`` that are wanted; all if None. ``NARROW``, those without
            curves and predictions, take a tenth of the memory.
        into: Parquet file that gets every column of the same cells, in the same order, without
            their being in memory together; left alone where it holds just these.

    Returns:
        The frames with the wanted columns, in ``FRAME``'s order.
    """
    wanted = [name for name in FRAME if columns is None or name in columns]
    with locked(folder), ThreadPoolExecutor(1) as beside:
        # where many results are new, other processes read them: this one lists the grid meanwhile
        listed = beside.submit(cached_grid, folder, lambda: grid_frame(study))
        present, problems = cached_results(folder)
        grid = listed.result()
        # the first of these are checked; status tells a failed cell from a missing one
        always = ("cell", *IDENTITY, *MEASURED, *STAMP, "status")
        taken = [name for name in wanted if name in COLUMNS]
        results = present.select(list(dict.fromkeys([*always, *taken]))).collect()
        if wrong := not_of_study(results, grid, judge_of(study, folder)):
            own = ~pl.col("file").is_in([problem.file for problem in wrong])
            results, present = results.filter(own), present.filter(own)
            problems += wrong
        failures, wrong = _failures(folder, study, results["cell"])
        problems += wrong
        if into is not None:
            key = _key(results, failures, study)
            if _key_of(into) != key:
                _write_all(grid, present, failures, study, into, key)
    sources, wrong = _sources(folder, study, failures)
    problems += wrong
    return Collection(
        study=study,
        folder=folder,
        cells=_assemble(grid, results, failures, study, wanted),
        sources=sources.select(wanted),
        problems=tuple(sorted(problems, key=lambda problem: problem.file)),
    )


def grid_frame(study: Study) -> pl.DataFrame:
    """What is known of every cell before it runs, in the grid's order."""
    return _known_frame(study.cells.values(), study)


def source_frame(study: Study) -> pl.DataFrame:
    """What is known of every source before it is trained."""
    return _known_frame(study.sources.values(), study)


def _known_frame(items: Iterable[Cell | Source], study: Study) -> pl.DataFrame:
    rows = []
    for item in items:
        row = identify(item)
        source, task = study.sources.get(row["source_id"]), study.tasks[row["target"]]
        point = item.hyperparameters
        row |= {
            "source_task": source.task if source else None,
            "source_size": source.train_size if source else None,
            "source_seed": source.hyperparameters.seed if source else None,
            "kind": task.kind,
            "metric": task.metric,
            "chance": task.chance,
            "classes": task.outputs,
            "examples": None if point is None else study.examples(row["target"], point),
        }
        rows.append(row)
    return frame_of(rows, {name: FRAME[name] for name in _KNOWN})


def _failures(
    folder: StudyFolder, study: Study, scored: pl.Series
) -> tuple[pl.DataFrame, list[Problem]]:
    """Failure records of what has no result; ``cell`` holds a source's id where it is one's."""
    rows: list[Row] = []
    problems: list[Problem] = []
    paths = sorted(folder.failures.glob("[!.]*.json")) if folder.failures.is_dir() else []
    done = set(scored) if paths else set()
    for path in paths:
        file = f"{folder.failures.name}/{path.name}"
        if path.stem in done:
            continue
        if path.stem not in study.cells and path.stem not in study.sources:
            problems.append(Problem(file, "unplanned", f"{path.stem} is not in this grid"))
            continue
        verdict = read(Failure, folder.path, file)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        else:
            row = {"file": file, "cell": path.stem, "attempt": verdict.attempts}
            row |= {"failure_kind": verdict.kind, "failure_message": verdict.message}
            rows.append(verdict.model_dump(include={"log", "host", "job", "finished"}) | row)
    names = ("cell", *_FAILURE, *_AFTER_FAILURE)
    frame, large = frame_of_records(rows, {name: FRAME[name] for name in names})
    return frame, problems + large


def _sources(
    folder: StudyFolder, study: Study, failures: pl.DataFrame
) -> tuple[pl.DataFrame, list[Problem]]:
    """One row per source; its target is its own task."""
    rows: list[Row] = []
    problems: list[Problem] = []
    for source in study.sources.values():
        # not the study's own, which would list every cell
        run = Run(source.id, "source", source.task, source=source)
        path = folder.record(run)
        if not os.path.lexists(path):
            continue
        verdict = judged(SourceResult, judge_of(study, folder), run)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        else:
            rows.append(result_row(str(path.relative_to(folder.path)), verdict))
    results, large = frame_of_records(rows, COLUMNS)
    return _assemble(source_frame(study), results, failures, study, list(FRAME)), problems + large


def _assemble(
    grid: pl.DataFrame,
    results: pl.DataFrame,
    failures: pl.DataFrame,
    study: Study,
    wanted: Sequence[str],
) -> pl.DataFrame:
    """Every row of the grid with its result, or with its failure, or with neither."""
    both = [name for name in _AFTER_FAILURE if name in results.columns]
    return (
        grid.join(
            results.select(pl.exclude([name for name in _KNOWN if name not in ("cell", "chance")])),
            on="cell",
            how="left",
            maintain_order="left",
        )
        .join(failures, on="cell", how="left", suffix="_failed", maintain_order="left")
        .with_columns(
            pl.lit(study.name).alias("study"),
            pl.coalesce(
                "status",
                pl.when(pl.col("failure_kind").is_not_null()).then(pl.lit("failed")),
                pl.lit("missing"),
            ).alias("status"),
            # of F1 the rows decide it, which a result knows
            pl.coalesce("chance", "chance_right").alias("chance"),
            *(pl.coalesce(name, f"{name}_failed").alias(name) for name in both),
        )
        .select(pl.col(name).cast(FRAME[name]) for name in wanted)
    )


def _key(results: pl.DataFrame, failures: pl.DataFrame, study: Study) -> str:
    """Digest of all that decides what ``_write_all`` writes."""
    rows = [int(frame.hash_rows().sum()) for frame in (results.select(*STAMP), failures)]
    heights = [results.height, failures.height]
    code = code_version(columns, records, sys.modules[__name__])
    return digest([*rows, *heights, study.digest, code, pl.__version__])


def _key_of(path: Path) -> str | None:
    try:
        found = read_metadata(path).metadata or {}
    except (OSError, ArrowInvalid):
        return None
    return str(found.get(WRITTEN_FROM, b""), "utf-8")


def _write_all(
    grid: pl.DataFrame,
    present: pl.LazyFrame,
    failures: pl.DataFrame,
    study: Study,
    path: Path,
    key: str,
) -> None:
    """Writes every column of every cell, some of the cells at a time."""
    schema = pl.DataFrame(schema=FRAME).to_arrow().schema
    with (
        replacing(path) as temporary,
        ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        writer.add_key_value_metadata({WRITTEN_FROM: key})
        for some in grid.iter_slices(SLICE):
            results = present.filter(pl.col("cell").is_in(some["cell"].implode())).collect()
            cells = _assemble(some, results, failures, study, list(FRAME))
            writer.write_table(cells.to_arrow())
