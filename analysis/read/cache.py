"""Parquet copies of what was read from a study, in ``summary/cache``: safe to delete at any time.

A part holds a batch of results with the name, time and size of each file, and is never changed.
A call lists the study's folder, reads the files that no part holds, and writes them as new parts.
The names carry a digest of what made them, so that newer code never reads what older code wrote.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from errno import ENOSPC
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from shutil import disk_usage
from types import ModuleType
from typing import Literal

import polars as pl
from pyarrow.fs import FileSelector, LocalFileSystem

from analysis.read import columns, problems, records
from analysis.read.columns import Schema
from analysis.read.problems import Problem
from analysis.read.records import read_results
from stilt import cell, config, grid, study, task
from stilt.cell import digest
from stilt.folder import StudyFolder
from stilt.records import answers, baselines, measures, results, validity
from stilt.system.files import replacing
from stilt.system.locks import lock_of

BATCH = 2048
"""Files in a part: at 10 kB a result, some 50 MB in the process that reads them."""

MANY = 4 * BATCH
"""So many files take longer to read than other processes take to start."""

PROCESSES = 8
"""Most processes that read at once: a login node has other users."""

PARTS = 64
"""More parts than this are joined into one: opening them would take longer than reading them."""

ROOM = 2**20
"""Bytes: a disk with less is taken for full where a file could not be written to it."""

STAMP: Schema = {"file": pl.String, "changed": pl.Int64, "bytes": pl.Int64}
"""What a file's row was read from: path below the study, time of change (ns), size."""


@contextmanager
def locked(folder: StudyFolder) -> Iterator[None]:
    """Keeps a second call on the same study waiting: it would read the same files again."""
    with lock_of(_where(folder) / ".lock"):
        yield


def cached_results(folder: StudyFolder, batch: int = BATCH) -> tuple[pl.LazyFrame, list[Problem]]:
    """Every well-formed result of a study's folder, its file read once; to be used ``locked``.

    Returns:
        ``COLUMNS`` of results and ``STAMP``, unchecked against the study and in no order; and the
        files that are no results.
    """
    listing, left_out = _listing(folder)
    version = code_version(
        columns, problems, records, results, validity, baselines, measures, answers, cell, config
    )
    parts, stamps = _parts(folder, version)
    unread = listing.join(stamps, on=list(STAMP), how="anti", maintain_order="left")
    last = int(parts[-1].stem.rsplit("-", 1)[1]) if parts else 0
    names = (_where(folder) / f"results-{version}-{last + i:06d}.parquet" for i in count(1))
    new = [(folder.path, some, next(names)) for some in unread.iter_slices(batch)]
    for wrong in _read_parts(new, unread.height):
        left_out += wrong
    parts += [path for _, _, path in new if path.exists()]
    here = _scan(parts)
    if stamps.height + unread.height > listing.height:  # some rows are of files no longer there
        here = here.join(listing.lazy(), on=list(STAMP), how="semi", maintain_order="left")
    if len(parts) > PARTS:
        joined = next(names)
        write_frame(here, joined)
        for part in parts:
            part.unlink(missing_ok=True)
        here = _scan([joined])
    return here, left_out


def _read_part(root: Path, stamps: pl.DataFrame, path: Path) -> list[Problem]:
    """Reads some files into a part, unless none is a result; returns those that are none."""
    frame, wrong = read_results(root, stamps["file"])
    if frame.height:
        write_frame(frame.join(stamps, on="file", maintain_order="left"), path)
    return wrong


def _read_parts(parts: list[tuple[Path, pl.DataFrame, Path]], files: int) -> list[list[Problem]]:
    """Calls ``_read_part`` for each part; for many files, in several processes."""
    processes = min(len(os.sched_getaffinity(0)), PROCESSES, len(parts))
    if files < MANY or processes == 1:
        return [_read_part(*part) for part in parts]
    # not fork, after which polars may wait forever; Ctrl-C is for this process alone to answer
    with ProcessPoolExecutor(
        processes, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        return list(pool.map(_read_part, *zip(*parts, strict=True)))


def cached_grid(folder: StudyFolder, build: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """A frame that depends on ``study.json`` and on our code alone, built once."""
    code = (columns, records, cell, config, grid, study, task, sys.modules[build.__module__])
    version = code_version(*code, text=folder.study_file.read_text(encoding="utf-8"))
    path = _where(folder) / f"grid-{version}.parquet"
    try:
        return pl.read_parquet(path)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        frame = build()
    for old in path.parent.glob("grid-*.parquet"):
        old.unlink(missing_ok=True)
    write_frame(frame, path)
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
    left_out = [Problem(file, "foreign", "no result file") for file in odd]
    if folder.results.is_dir():
        with os.scandir(folder.results) as entries:
            # pyarrow passes over them
            lost = [e.name for e in entries if e.is_symlink() and not Path(e.path).exists()]
        said = "a link that leads to no file"
        left_out += [Problem(f"{folder.results.name}/{n}", "unreadable", said) for n in lost]
    return listing.filter(result), left_out


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


def write_frame(
    frame: pl.DataFrame | pl.LazyFrame, path: Path, compression: Literal["lz4", "zstd"] = "lz4"
) -> None:
    """Writes a frame whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    with replacing(path) as temporary:
        try:
            frame.lazy().sink_parquet(temporary, compression=compression)
        except pl.exceptions.ComputeError as error:
            # where the disk is full polars says so, or that the file is out of specification
            if disk_usage(path.parent).free > ROOM:
                raise
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(path)) from error


def _scan(parts: list[Path]) -> pl.LazyFrame:
    return pl.scan_parquet(parts) if parts else pl.LazyFrame(schema=records.COLUMNS | STAMP)
