"""What a submission tells its workers besides the study: the machine's side of things."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from stilt.config import Frozen, Tracker, parse, read_json
from stilt.folder import StudyFolder
from stilt.plan import Bundle
from stilt.records import claims
from stilt.study import Study

INTERRUPTED = 75
"""Exit code of a worker that left something for a new process (sysexits.h: EX_TEMPFAIL)."""
DEVICE_BROKEN = 69
"""Exit code of a worker whose device is broken (sysexits.h: EX_UNAVAILABLE).

The item that it broke under has its record and keeps its claim: who started the worker decides.
"""


class Settings(Frozen):
    """Where a worker finds things and what it may use.

    Neither is taken on trust: a worker asks itself, before it trains, whether the model's files and
    the rows are those that the study was begun with.
    """

    submission: str
    data_dir: Path | None = None
    cache: Path
    model: str
    """Hub id or folder that the study's model is loaded from."""
    model_revision: str | None = None
    model_files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each file of a model folder, as the submit saw it: tells which one changed."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """``gpu``: one was asked for, and its absence is a fault; ``auto``: whatever is there."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads per worker; None for what the scheduler gave."""
    memory: int | None = Field(default=None, ge=1)
    """MB of memory that SLURM is asked for, for one element; None where it is not told."""
    checkpoint_seconds: float = Field(default=600.0, gt=0)
    commit: str | None = None
    command: str = ""
    tracker: Tracker | None = None
    """Is told of each run beside its result, see ``stilt.training.tracking``."""


class Assignment(Frozen):
    """A bundle with the settings it runs under, as it lies in ``bundles/<id>.json``."""

    bundle: Bundle
    settings: Settings

    def held(self, folder: StudyFolder) -> list[str]:
        """Items that the submission still holds: what has ended, or was cancelled, has no claim."""
        return list(claims.held(folder, self.bundle.items, self.settings.submission))

    def planned(self, study: Study, folder: StudyFolder) -> list[str]:
        """Of the items that it holds those that the study has; claims on others are given back.

        A study may lose runs while the jobs wait that were to run them.
        """
        held = self.held(folder)
        for item in held:
            if item not in study.runs:
                folder.claim(item).unlink(missing_ok=True)
        return [item for item in held if item in study.runs]


class StagingRequest(Frozen):
    """What a staging process is asked for, as one file of JSON."""

    study: Study
    folder: Path
    """The study's; nothing but generated rows is written there."""
    settings: Settings
    generate: bool = False
    """Generate SynthesisGPT2's rows, too."""
    device: str = "cpu"
    """Where they are generated."""
    trial: tuple[str, ...] | None = None
    """Tasks that the model is only tried on; None to stage everything."""
    show: bool = False
    """Only tell how long the sequences of the study's tasks are."""


class MeasuringRequest(Frozen):
    """What a measuring process is asked for, as one file of JSON: see ``jobs.measure``."""

    study: Study
    folder: Path
    """The study's; nothing is written there."""
    settings: Settings
    workers: int = Field(ge=1)
    """Workers of a submit on the device, which are measured first."""
    threads: int = Field(ge=1)
    """CPU threads of each of them."""
    place: str
    """See ``Calibration.place``."""
    file: Path
    """Where the calibration goes."""
    seconds: float = Field(gt=0)
    """How long updates and passes are timed, for each way of dividing the device."""


def read_assignment(folder: StudyFolder, bundle_id: str) -> Assignment:
    """Reads the bundle that a launcher wrote."""
    path = folder.bundles / f"{bundle_id}.json"
    return parse(Assignment, read_json(path), path)
