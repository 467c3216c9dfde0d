"""Which job was given which bundles: the lines of ``submissions.jsonl``, one per array."""

import json
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from stilt.study import StudyFolder


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
