"""Parquet copies of what was read from a study, in ``summary/cache``: safe to delete at any time.

A part holds a batch of results with the name, time and size of each file, and is never changed.
A call lists the study's folder, reads the files that no part holds, and writes them as new parts.
The names carry a digest of what made them, so that newer code never reads what older code wrote.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import polars as pl
from filelock import FileLock
from pyarrow.fs import FileSelector, LocalFileSystem

from analysis.read import lineschema, records, soundness
from analysis.read.problems import Problem
from analysis.read.records import BATCH, read_results
from stilt import cell, config, grid, study, task
from stilt.cell import digest
from stilt.folder import StudyFolder
from stilt.records import results
from stilt.system.files import replacing

PARTS = 64
"""More parts than this are joined into one: opening them would take longer than reading them."""

STAMP = {"file": pl.String, "changed": pl.Int64, "bytes": pl.Int64}
"""What a file's row was read from: path below the study, time of change (ns), size."""


@contextmanager
def locked(folder: StudyFolder) -> Iterator[None]:
    """Keeps a second call on the same study waiting: it would read the same files again."""
    where = _where(folder)
    where.mkdir(parents=True, exist_ok=True)
    with FileLock(where / ".lock"):
        yield


def cached_results(folder: StudyFolder, batch: int = BATCH) -> tuple[pl.LazyFrame, list[Problem]]:
    """Every well-formed result of a study's folder, its file read once; to be used ``locked``.

    Returns:
        The columns of ``read_results`` and ``STAMP``, unchecked against the study and in no order;
        and the files that are no results.
    """
    listing, problems = _listing(folder)
    version = code_version(records, lineschema, soundness, results, cell, config)
    parts, stamps = _parts(folder, version)
    unread = listing.join(stamps, on=list(STAMP), how="anti")
    for frame, wrong in read_results(folder.path, unread["file"].to_list(), batch):
        problems += wrong
        parts.append(_write(frame.join(unread, on="file"), folder, version, parts))
    here = _scan(parts)
    if stamps.height + unread.height > listing.height:  # some rows are of files no longer there
        here = here.join(listing.lazy(), on=list(STAMP), how="semi")
    if len(parts) > PARTS:
        joined = _write(here, folder, version, parts)
        for part in parts:
            part.unlink(missing_ok=True)
        here = _scan([joined])
    return here, problems


def cached_grid(folder: StudyFolder, build: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """A frame that depends on ``study.json`` and on our code alone, built once."""
    code = (cell, config, grid, study, task, sys.modules[build.__module__])
    version = code_version(*code, text=folder.study_file.read_text(encoding="utf-8"))
    path = _where(folder) / f"grid-{version}.parquet"
    try:
        return pl.read_parquet(path)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        frame = build()
    for old in path.parent.glob("grid-*.parquet"):
        old.unlink(missing_ok=True)
    with replacing(path) as temporary:
        frame.write_parquet(temporary)
    return frame


def _where(folder: StudyFolder) -> Path:
    return folder.summary / "cache"


def code_version(*modules: ModuleType, text: str = "") -> str:
    """Digest of the code of some modules, and of a text."""
    sources = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules]
    return digest([*sources, text])


def _listing(folder: StudyFolder) -> tuple[pl.DataFrame, list[Problem]]:
    """Result files with time and size, and whatever else lies among them.

    Every file is asked for its time, though this is most of a call that finds nothing new: the
    folder's own time does not tell of a file that was edited in place.
    """
    found = LocalFileSystem().get_file_info(FileSelector(str(folder.results), allow_not_found=True))
    listing = pl.DataFrame(
        {
            "file": [info.base_name for info in found],
            "changed": [info.mtime_ns for info in found],
            "bytes": [info.size for info in found],
        },
        schema=STAMP,
    )
    # a dot begins the name of a result that is being written; what is no file has no size
    listing = listing.filter(~pl.col("file").str.starts_with(".")).with_columns(
        file=pl.concat_str(pl.lit(f"{folder.results.name}/"), "file")
    )
    result = pl.col("file").str.ends_with(".json") & pl.col("bytes").is_not_null()
    odd = listing.filter(~result)["file"]
    return listing.filter(result), [Problem(file, "foreign", "no result file") for file in odd]


def _parts(folder: StudyFolder, version: str) -> tuple[list[Path], pl.DataFrame]:
    """Parts that this code wrote, with the stamps of their rows; others are removed."""
    parts, stamps = [], [pl.DataFrame(schema=STAMP)]
    for path in sorted(_where(folder).glob("results-*.parquet")):
        if path.name.startswith(f"results-{version}-"):
            try:
                stamps.append(pl.read_parquet(path, columns=list(STAMP)))
            except pl.exceptions.PolarsError:
                path.unlink()
            else:
                parts.append(path)
        else:
            path.unlink()
    return parts, pl.concat(stamps)


def _write(
    frame: pl.DataFrame | pl.LazyFrame, folder: StudyFolder, version: str, parts: list[Path]
) -> Path:
    last = int(parts[-1].stem.rsplit("-", 1)[1]) if parts else 0
    path = _where(folder) / f"results-{version}-{last + 1:06d}.parquet"
    with replacing(path) as temporary:
        frame.lazy().sink_parquet(temporary, compression="lz4")
    return path


def _scan(parts: list[Path]) -> pl.LazyFrame:
    if parts:
        return pl.scan_parquet(parts)
    empty, _ = next(iter(read_results(Path(), [])))
    return empty.lazy().with_columns(pl.lit(0).alias("changed"), pl.lit(0).alias("bytes"))
