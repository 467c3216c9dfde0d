"""What a study has cost: hours, GPU-hours and energy, by its records and by SLURM's accounting."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from analysis.read.collect import Collection
from analysis.read.copied import ACCOUNTING
from stilt.config import Frozen, parse, read_json
from stilt.errors import ConfigError
from stilt.slurm.commands import ask
from stilt.slurm.resources import tracked_gpus
from stilt.slurm.words import seconds
from stilt.system.files import write_text

SECONDS = 5.0
"""For accounting to answer: a summary does not wait for a database that is down."""
COLUMNS = "JobID,JobName,ElapsedRaw,AllocTRES,ConsumedEnergyRaw"
JOBS_AT_ONCE = 200
"""Ids in one command line."""


class Accounting(Frozen):
    """What SLURM's accounting has of the jobs that made a study's results and failures."""

    jobs: int
    """Elements, an interrupted and requeued one once for each time."""
    seconds: float
    """Of all of them together."""
    gpu_seconds: float
    joules: float | None
    """None where the cluster does not measure energy."""


def runs_of(collection: Collection) -> pl.DataFrame:
    """Every source and cell of a study that has ended, with what it cost."""
    both = pl.concat([collection.sources, collection.cells], how="vertical_relaxed")
    return both.filter(pl.col("status").is_in(["ok", "diverged"]))


def own_runs(collection: Collection) -> pl.DataFrame:
    """Those of ``runs_of`` that were run for this study, in place of taken over from another."""
    return runs_of(collection).filter(pl.col("taken_from").is_null())


def hours_in_all(collection: Collection) -> str:
    """Hours that a study's own runs took, those of sources among them."""
    return f"{sum(own_runs(collection)['seconds'].drop_nulls().to_list()) / 3600:.2f}"


def update_accounting(collection: Collection) -> Accounting | None:
    """Asks SLURM of a study's jobs, and keeps the answer; without one, the last that was kept."""
    path = collection.folder.summary / ACCOUNTING
    found = _asked(collection)
    if found is None:
        return kept_accounting(path)
    write_text(path, found.model_dump_json() + "\n")
    return found


def kept_accounting(path: Path) -> Accounting | None:
    """What was kept of an answer; None where there is none, or it is damaged."""
    try:
        return parse(Accounting, read_json(path), path)
    except (FileNotFoundError, ConfigError):
        return None


def _asked(collection: Collection) -> Accounting | None:
    both = pl.concat([collection.sources, collection.cells], how="vertical_relaxed")
    own = both.filter(pl.col("taken_from").is_null(), pl.col("job").is_not_null())
    # ids are counted from 1 again after a while: neither other jobs nor other times are meant
    since = own["started"].min() or own["finished"].min()
    ids = sorted({job.partition("_")[0] for job in own["job"]} - {""})
    if not ids or since is None:
        return None
    start = (since.astimezone() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")  # type: ignore[union-attr]
    jobs, took, gpu_seconds, joules = 0, 0.0, 0.0, 0.0
    for first in range(0, len(ids), JOBS_AT_ONCE):
        answer = ask(
            *("sacct", "--parsable2", "--noheader", "--allocations", "--duplicates"),
            *(f"--jobs={','.join(ids[first : first + JOBS_AT_ONCE])}", f"--starttime={start}"),
            f"--format={COLUMNS}",
            seconds=SECONDS,
        )
        if answer.problem is not None:
            return None
        for line in answer.output.splitlines():
            fields = line.strip().split("|")
            if len(fields) != COLUMNS.count(",") + 1 or not fields[1].startswith("stilt-"):
                continue
            elapsed = seconds(fields[2]) or 0
            jobs, took = jobs + 1, took + elapsed
            gpu_seconds += elapsed * tracked_gpus(fields[3])
            joules += int(fields[4]) if fields[4].isdecimal() else 0
    if not jobs:
        return None
    # a cluster that measures none writes 0, or nothing
    return Accounting(jobs=jobs, seconds=took, gpu_seconds=gpu_seconds, joules=joules or None)
