"""Which job was given which bundles: the lines of ``submissions.jsonl``, one per array."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stilt.config import Frozen
from stilt.folder import StudyFolder


class Planned(Frozen):
    """An array as the intent line holds it: enough for another launcher to take it over."""

    token: str
    stage: str
    needs: tuple[str, ...]
    bundles: tuple[str, ...]


class Intent(Frozen):
    """Written before the first sbatch of a submit."""

    submission: str
    intent: bool = True
    time: str
    host: str
    pid: int
    arrays: tuple[Planned, ...]
    minutes: int
    timeouts: int
    workers: int
    gpus: int
    command: str
    snapshot: str
    cluster: str | None = None


def job_line(intent: Intent, array: Planned, job: str) -> dict[str, Any]:
    """The line of an array that SLURM has."""
    return {
        "submission": intent.submission,
        "array": job,
        "stage": array.stage,
        "bundles": list(array.bundles),
        "needs": array.needs,
        "token": array.token,
        "time": now(),
        "command": intent.command,
        "snapshot": intent.snapshot,
        "gpus": intent.gpus,
        "cluster": intent.cluster,
    }


def unfinished(folder: StudyFolder) -> list[tuple[Intent, list[Planned]]]:
    """Intents with the arrays that no line tells the job of.

    Of an array that was refused and tried again with fewer bundles, the latest line counts.
    """
    told: dict[tuple[str, str], tuple[Intent, Planned]] = {}
    noted: set[tuple[str, str]] = set()
    if not folder.submissions.is_file():
        return []
    for text in folder.submissions.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
            if line.get("intent"):
                intent = Intent.model_validate(line)
                told |= {(intent.submission, a.token): (intent, a) for a in intent.arrays}
            elif line.get("array"):
                noted.add((line["submission"], line.get("token", "")))
        except ValueError:
            # cut off by a full disk, or of another version
            continue
    found: dict[str, tuple[Intent, list[Planned]]] = {}
    for (submission, token), (intent, array) in told.items():
        if (submission, token) not in noted:
            found.setdefault(submission, (intent, []))[1].append(array)
    return list(found.values())


def append_line(folder: StudyFolder, content: Mapping[str, Any]) -> None:
    """Appends one line to submissions.jsonl, in one write."""
    text = json.dumps(content, separators=(",", ":")) + "\n"
    descriptor = os.open(folder.submissions, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Submission(BaseModel):
    """One array of a submission, or (``intent``) the note that arrays are about to be made.

    Fields that this version does not know are ignored: the file outlives versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    submission: str
    """Id of the whole submit; its arrays are named ``stilt-<submission>``."""
    time: datetime
    intent: bool = False
    """Written before sbatch, so that a launcher that dies in between leaves a trace."""
    array: str | None = None
    """SLURM's job id of the array."""
    stage: str = ""
    bundles: tuple[str | tuple[str, ...], ...] = ()
    """Bundle of each array index, or bundles where an element runs several at a time."""
    command: str = ""
    cluster: str | None = None
    """Name of the cluster that it went to, where that was known."""
    gpus: int | None = None
    """GPUs of one element, where the launcher knows."""

    @property
    def name(self) -> str:
        """SLURM's job name."""
        return f"stilt-{self.submission}"

    def elements(self) -> dict[str, tuple[str, ...]]:
        """Element (``array_index``) -> its bundles."""
        return {
            f"{self.array}_{index}": (held,) if isinstance(held, str) else held
            for index, held in enumerate(self.bundles)
            if self.array is not None
        }

    def age(self) -> float:
        """Seconds since it was written."""
        written = self.time if self.time.tzinfo else self.time.replace(tzinfo=UTC)
        return (datetime.now(UTC) - written).total_seconds()


def read_submissions(folder: StudyFolder) -> list[Submission]:
    """Every whole line of a study's submissions; a line cut off by a full disk is left out."""
    try:
        text = folder.submissions.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            found.append(Submission.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            continue
    return found
