"""A study's folder -> one row per cell of the grid, and the files that were left out.

The rows come from the grid, so that a cell without a result shows as ``missing`` or ``failed`` and
never shrinks a mean unseen.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyarrow import ArrowInvalid
from pyarrow.parquet import ParquetWriter, read_metadata

from analysis.read import columns, records
from analysis.read.cache import STAMP, cached_grid, cached_results, code_version, locked
from analysis.read.columns import FRAME
from analysis.read.problems import Problem, judge
from analysis.read.records import HYPERPARAMETERS, points, results_frame, utc
from analysis.read.verdicts import IDENTITY, refused
from stilt.cell import Cell, Source, digest
from stilt.folder import StudyFolder
from stilt.records.results import Failure, Result, SourceResult
from stilt.study import Study
from stilt.system.files import replacing

KEY = b"stilt"
"""Where a Parquet file of cells says what it was written from."""

SLICE = 8_192
"""Cells whose curves and predictions are in memory at once when all of them are written."""

_KNOWN = (
    "cell",
    *IDENTITY,
    "source_task",
    "source_size",
    "source_seed",
    "metric",
    "chance",
    "classes",
)
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


def collect(
    folder: StudyFolder,
    study: Study,
    columns: Sequence[str] | None = None,
    *,
    into: Path | None = None,
) -> Collection:
    """Reads a study, at any moment of its run.

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
    with locked(folder):
        grid = cached_grid(folder, lambda: grid_frame(study))
        present, problems = cached_results(folder)
        checked = ("file", "study_id", "cell", *IDENTITY, "metric", "classes", "sound")
        taken = [name for name in wanted if name in present.collect_schema()]
        # status tells a failed cell from a missing one, whether it is wanted or not
        needed = list(dict.fromkeys([*checked, *STAMP, "status", *taken]))
        results = present.select(needed).collect()
        left_out = refused(results.select(checked), grid, study.digest)
        if left_out.height:
            results = results.join(left_out, on="file", how="anti")
            present = present.join(left_out.lazy(), on="file", how="anti")
        problems += [Problem(*row) for row in left_out.iter_rows()]
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
    return _known_frame((cell for cell in study.cells.values()), study)


def _known_frame(cells: Iterable[Cell], study: Study) -> pl.DataFrame:
    rows = []
    for cell in cells:
        source = study.sources.get(cell.source_id) if cell.source_id else None
        task, point = study.tasks[cell.target], cell.hyperparameters
        rows.append(
            (
                *(cell.id, cell.stage, cell.source, cell.source_id, cell.target, cell.seed),
                *(getattr(point, name, None) for name in HYPERPARAMETERS),
                source.task if source else None,
                source.train_size if source else None,
                source.hyperparameters.seed if source else None,
                *(task.metric, task.chance, len(task.labels)),
            )
        )
    schema = {name: FRAME[name] for name in _KNOWN}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _failures(
    folder: StudyFolder, study: Study, scored: pl.Series
) -> tuple[pl.DataFrame, list[Problem]]:
    """Failure records of what has no result; ``cell`` holds a source's id where it is one's."""
    rows: list[Failure] = []
    names: list[str] = []
    problems: list[Problem] = []
    paths = sorted(folder.failures.glob("[!.]*.json")) if folder.failures.is_dir() else []
    done = set(scored) if paths else set()
    for path in paths:
        file = f"{folder.failures.name}/{path.name}"
        if path.stem in done:
            continue
        if path.stem not in study.cells and path.stem not in study.sources:
            problems.append(Problem(file, "grid", f"{path.stem} is no cell or source of this grid"))
            continue
        verdict = judge(Failure, folder.path, file)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        elif verdict.study != study.digest:
            text = f"a failure of study {verdict.study}, not of this one ({study.digest})"
            problems.append(Problem(file, "study", text))
        else:
            names.append(path.stem)
            rows.append(verdict)
    frame = pl.DataFrame(
        {
            "cell": names,
            "failure_kind": [row.kind for row in rows],
            "failure_message": [row.message for row in rows],
            "log": [row.log for row in rows],
            "host": [row.host for row in rows],
            "job": [row.job for row in rows],
            "attempt": [row.attempts for row in rows],
            "finished": [row.finished for row in rows],
        },
        schema={
            name: pl.String if name == "finished" else FRAME[name]
            for name in ("cell", *_FAILURE, *_AFTER_FAILURE)
        },
    )
    return frame.with_columns(utc("finished")), problems


def _sources(
    folder: StudyFolder, study: Study, failures: pl.DataFrame
) -> tuple[pl.DataFrame, list[Problem]]:
    """One row per source, as if it were a cell whose target is its own task."""
    found: list[tuple[str, Result]] = []
    problems: list[Problem] = []
    for source in study.sources.values():
        path = folder.source(source.id) / "result.json"
        if not path.exists():
            continue
        file = str(path.relative_to(folder.path))
        verdict = judge(SourceResult, folder.path, file)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        elif verdict.study != study.digest or verdict.source != source:
            text = f"not source {source.id} of study {study.digest}"
            problems.append(Problem(file, "study", text))
        else:
            shared = {name: getattr(verdict, name) for name in SourceResult.model_fields}
            del shared["source"], shared["checkpoint"]
            found.append((file, Result(**shared, cell=_as_cell(source))))
    grid = _known_frame(map(_as_cell, study.sources.values()), study)
    grid = grid.with_columns(stage=pl.lit("source"))
    return _assemble(grid, results_frame(found), failures, study, list(FRAME)), problems


def _as_cell(source: Source) -> Cell:
    return Cell(
        id=source.id,
        source=source.name,
        source_id=source.id,
        target=source.task,
        hyperparameters=source.hyperparameters,
        seed=source.hyperparameters.seed,
    )


def _assemble(
    grid: pl.DataFrame,
    results: pl.DataFrame,
    failures: pl.DataFrame,
    study: Study,
    wanted: Sequence[str],
) -> pl.DataFrame:
    """Every row of the grid with its result, or with its failure, or with neither."""
    both = [name for name in _AFTER_FAILURE if name in results.columns]
    curves = [name for name in ("loss", "gradient_norm") if name in results.columns]
    return (
        grid.join(
            results.select(pl.exclude([name for name in _KNOWN if name != "cell"])),
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
            *(pl.coalesce(name, f"{name}_failed").alias(name) for name in both),
            *map(points, curves),
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
    return str(found.get(KEY, b""), "utf-8")


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
        writer.add_key_value_metadata({KEY: key})
        for some in grid.iter_slices(SLICE):
            results = present.filter(pl.col("cell").is_in(some["cell"].implode())).collect()
            # curves take several times as much memory while their text becomes points
            for few in some.iter_slices(SLICE // 8):
                cells = _assemble(few, results, failures, study, list(FRAME))
                writer.write_table(cells.to_arrow())
