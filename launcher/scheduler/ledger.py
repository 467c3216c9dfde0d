"""The lines of ``submissions.jsonl``: which submit gave which bundles to which job.

A local submit writes one line. A SLURM submit writes a line for each array before the first sbatch,
without a job, and the same line with its job as soon as SLURM has the array.
"""

import json
import os
import re
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, field_validator

from stilt.folder import StudyFolder
from stilt.records.claims import Pid, on_slurm, read
from stilt.system.files import append_line

PREFIXED = "+"
"""Stands in the id of a submit between what makes it unique and its jobs' prefix."""


def job_name(submission: str) -> str:
    """SLURM's name of a submit's jobs, which are found by it: ``stilt-ID``, or ``PREFIX-stilt-ID``.

    The prefix is a part of the submit's id, so that whatever holds the id knows the name.
    """
    unique, _, prefix = submission.partition(PREFIXED)
    return f"{prefix}-stilt-{unique}" if prefix else f"stilt-{unique}"


class LedgerLine(BaseModel):
    """One array of a SLURM submit, or the whole of a local one.

    Fields that this version does not know are ignored: the file outlives versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    submission: str
    """Id of the whole submit; its arrays are named by it."""
    time: datetime
    host: str = ""
    pid: Pid | None = None
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

    @field_validator("time")
    @classmethod
    def _of_utc(cls, value: datetime) -> datetime:
        return value if value.tzinfo else value.replace(tzinfo=UTC)

    @property
    def name(self) -> str:
        """SLURM's job name."""
        return job_name(self.submission)

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
        return (datetime.now(UTC) - self.time).total_seconds()


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


class Ledger(NamedTuple):
    """What a study's ledger says, and what of it cannot be read."""

    lines: list[LedgerLine]
    damaged: list[str]
    """Messages, each with file and line."""


def read_ledger(folder: StudyFolder) -> Ledger:
    """Reads a study's ledger; a damaged line hides no other, and no job of its submit.

    Of a submit whose lines are lost, a line with nothing but its id stands for them: SLURM is asked
    for jobs by that. The id is found in what is left of the line, or in claims.
    """
    file = folder.submissions
    try:
        texts = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Ledger([], [])
    except OSError as error:
        said = f"{file}: cannot be read ({error.strerror}); jobs are found by claims alone"
        return Ledger(_lost(folder, [], b""), [said])
    found: list[LedgerLine] = []
    damaged: list[str] = []
    rest = b""
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            table = json.loads(text.decode())
            # earlier versions wrote one line for all arrays that a submit was about to send
            arrays = table.get("arrays") or [{}]
            found += [LedgerLine.model_validate(table | array) for array in arrays]
        except (ValueError, TypeError, AttributeError, RecursionError):
            rest += text + b"\n"
            damaged.append(f"{file}, line {number}: damaged, and passed over")
    return Ledger([*found, *(_lost(folder, found, rest) if damaged else [])], damaged)


def _lost(folder: StudyFolder, found: list[LedgerLine], rest: bytes) -> list[LedgerLine]:
    """Stands for SLURM submits that no line is left of.

    Args:
        folder: the study's.
        found: lines that are whole.
        rest: what is left of the others.
    """
    known = {line.submission for line in found}
    first = min((line.time for line in found), default=now() - timedelta(days=LONGEST))
    lost = dict.fromkeys(name.decode() for name in SUBMISSION.findall(rest))
    for path in folder.claims.glob("[!.]*.json"):
        claim = read(path)
        if claim is not None and claim.on_slurm:
            lost[claim.submission] = None
    unknown = [name for name in lost if name not in known]
    return [LedgerLine(submission=name, time=first) for name in unknown]


SUBMISSION = re.compile(rb"slurm-[0-9]{10}-[0-9a-f]{6}(?:\+[A-Za-z0-9.-]{1,40})?")
"""What the id of a submit to SLURM looks like."""
LONGEST = 60
"""Days back that jobs are asked for where nothing says when they were sent."""


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
