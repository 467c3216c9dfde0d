"""Where a study's numbers come from: machines, code, packages and commands."""

from dataclasses import dataclass

import polars as pl

from stilt.folder import StudyFolder
from stilt.records.results import Result, read_record


@dataclass(frozen=True)
class RunEnvironment:
    """Runs that were made on the same machine, on the same device, by the same code."""

    host: str
    device: str
    commit: str
    code: str
    runs: int
    threads: int | None
    versions: tuple[tuple[str, str], ...]
    """Packages, of the first of these runs."""
    command: str
    """Command of the first of these runs."""


def environments(folder: StudyFolder, cells: pl.DataFrame) -> list[RunEnvironment]:
    """Groups the runs that ended by where they were made.

    Only the first result of each group is read: what differs within a group beyond machine and code
    (a package updated in between) is not seen here, but stands in each result's file.

    Args:
        folder: the study's folder.
        cells: rows of ``columns.FRAME``.
    """
    ended = cells.filter(pl.col("status").is_in(["ok", "diverged"]))
    groups = ended.group_by("host", "device", "commit", "code", maintain_order=True).agg(
        pl.len().alias("runs"), pl.col("cell").first()
    )
    found = []
    for host, device, commit, code, runs, cell in groups.iter_rows():
        result = read_record(Result, folder.result(cell))
        made = result.provenance if result else None
        found.append(
            RunEnvironment(
                host=host or "–",
                device=device or "–",
                commit=commit or "–",
                code=code or "–",
                runs=runs,
                threads=made.threads if made else None,
                versions=tuple(sorted(made.versions.items())) if made else (),
                command=made.command if made else "",
            )
        )
    return found
