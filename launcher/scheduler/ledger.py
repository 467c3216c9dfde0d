"""The lines of ``submissions.jsonl``: which submit gave which bundles to which job.

A local submit writes one line. A SLURM submit writes a line for each array before the first sbatch,
without a job, and the same line with its job as soon as SLURM has the array.
"""

import json
import os
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from stilt.folder import StudyFolder
from stilt.records.claims import on_slurm
from stilt.system.files import append_line


class LedgerLine(BaseModel):
    """One array of a SLURM submit, or the whole of a local one.

    Fields that this version does not know are ignored: the file outlives versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    submission: str
    """Id of the whole submit; its arrays are named ``stilt-<submission>``."""
    time: datetime
    host: str = ""
    pid: int = 0
    """The launcher's process."""
    command: str = ""
    """The command as typed."""
    bundles: tuple[str, ...] = ()
    """Bundle of each array index."""
    array: str | None = None
    """SLURM's job id of the array; None before SLURM has it, and in a local line."""
    token: str = ""
    """What tells the array from the others of its submit; its job's comment."""
    stage: str = ""
    needs: tuple[str, ...] = ()
    """Source id, or ``synthesis``, or both, whose jobs must succeed first."""
    cluster: str | None = None
    """Name of the cluster that it went to, where that was known."""
    snapshot: str = ""
    """Folder of the copied code, relative to the study's folder."""
    gpus: int | None = None
    """GPUs of one element, where the launcher knows."""
    minutes: int = 0
    """Time limit of an element."""
    timeouts: int = 0
    """How often an element is requeued after the time limit."""
    workers: int = 1
    """Worker processes of one element."""

    @property
    def name(self) -> str:
        """SLURM's job name."""
        return f"stilt-{self.submission}"

    @property
    def on_slurm(self) -> bool:
        """Whether the submit sent jobs to SLURM; else it ran a pool of its own."""
        return on_slurm(self.submission)

    def elements(self) -> dict[str, str]:
        """Element (``array_index``) -> its bundle."""
        held = self.bundles if self.array is not None else ()
        return {f"{self.array}_{index}": bundle for index, bundle in enumerate(held)}

    def age(self) -> float:
        """Seconds since it was written."""
        written = self.time if self.time.tzinfo else self.time.replace(tzinfo=UTC)
        return (datetime.now(UTC) - written).total_seconds()


def new_line(submission: str, bundles: Iterable[str], command: str, **more: Any) -> LedgerLine:
    """A line of this process, written now.

    Args:
        submission: id of the submit.
        bundles: ids of its bundles.
        command: the command as typed.
        **more: further fields of the line.
    """
    return LedgerLine(
        submission=submission,
        time=now(),
        host=socket.gethostname(),
        pid=os.getpid(),
        command=command,
        bundles=tuple(bundles),
        **more,
    )


def append_lines(folder: StudyFolder, *lines: LedgerLine) -> None:
    """Appends lines to submissions.jsonl, in one write."""
    text = "".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in lines)
    append_line(folder.submissions, text)


def note_job(folder: StudyFolder, line: LedgerLine, job: str) -> None:
    """Appends an array's line once more, with the job that it became."""
    append_lines(folder, line.model_copy(update={"array": job, "time": now()}))


def read_ledger(folder: StudyFolder) -> list[LedgerLine]:
    """Every whole line of a study's ledger; a line cut off by a full disk is left out."""
    try:
        text = folder.submissions.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found: list[LedgerLine] = []
    for line in text.splitlines():
        try:
            table = json.loads(line)
            # earlier versions wrote one line for all arrays that a submit was about to send
            arrays = table.get("arrays") or [{}]
            found += [LedgerLine.model_validate(table | array) for array in arrays]
        except (ValueError, TypeError, AttributeError):
            continue
    return found


def without_job(lines: Sequence[LedgerLine]) -> list[LedgerLine]:
    """Arrays that a submit was about to send to SLURM and that no line tells the job of.

    Of an array that was refused and tried again with fewer bundles, the latest line counts.
    """
    sent = {(line.submission, line.token) for line in lines if line.array}
    planned = {
        (line.submission, line.token): line for line in lines if line.on_slurm and line.bundles
    }
    return [line for key, line in planned.items() if key not in sent]


def now() -> datetime:
    """This second, in UTC."""
    return datetime.now(UTC).replace(microsecond=0)
