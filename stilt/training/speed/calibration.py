"""What was measured of a model on a device: seconds of updates, passes and tokens, and memory."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stilt.cell import digest
from stilt.config import Frozen, parse, read_json
from stilt.errors import ConfigError
from stilt.system.files import make_folder, write_text
from stilt.task import Task

Amount = Annotated[float, Field(ge=0)]


class Work(Frozen):
    """What forward passes compute, whatever computes it."""

    passes: Amount = 0.0
    positions: Amount = 0.0
    """Token positions, padding among them."""
    squares: Amount = 0.0
    """Sum over sequences of their padded length squared: attention's part."""

    def __add__(self, other: "Work") -> "Work":
        """Work of both."""
        return Work(
            passes=self.passes + other.passes,
            positions=self.positions + other.positions,
            squares=self.squares + other.squares,
        )

    def times(self, factor: float, passes: float | None = None) -> "Work":
        """So many times this work; of the passes another number, where it is given."""
        return Work(
            passes=self.passes * (factor if passes is None else passes),
            positions=self.positions * factor,
            squares=self.squares * factor,
        )


class Rates(Frozen):
    """Seconds of each part of a kind of pass; fitted to timed ones."""

    fixed: Amount
    """Of an update: optimizer, clipping, and what goes with it; 0 of an evaluation."""
    passes: Amount
    """Of one more forward pass, with its backward pass in training."""
    positions: Amount
    """Of one token position."""
    squares: Amount
    """Of one pair of positions of a sequence."""

    def seconds(self, updates: float, work: Work) -> float:
        """Seconds of so many updates, or of none in evaluation, and the work in them."""
        return (
            self.fixed * updates
            + self.passes * work.passes
            + self.positions * work.positions
            + self.squares * work.squares
        )


class Setting(Frozen):
    """What one way of dividing a device among workers measured."""

    workers: int = Field(ge=1)
    """Worker processes side by side: on one GPU, or on all cores that are given."""
    threads: int = Field(ge=1)
    """CPU threads of each."""
    start: Amount
    """Seconds from the start of a process until it has libraries, rows and base weights."""
    load: Amount
    """Seconds to make a model ready for a run."""
    train: Rates
    evaluate: Rates
    memory: int = Field(ge=0)
    """Bytes that a worker used at most, at the longest rows: of the GPU, else of the process."""
    timed: int = Field(ge=0)
    """Timed updates."""
    error: Amount
    """Median relative error of the fit over the timed updates and passes."""


class TaskWork(Frozen):
    """A task's rows as a model's tokenizer encodes them, and as passes compute them."""

    identity: str
    """Digest of the task's definition."""
    train: int = Field(ge=1)
    """Rows."""
    dev: int = Field(ge=1)
    tokens: Amount
    """Mean tokens of a training sequence."""
    updates: dict[int, Work]
    """Batch size -> mean work of an update with a full batch."""
    row: Work
    """Mean work of scoring a dev row."""


class Calibration(Frozen):
    """A model's speed on a device, in one recipe; planning reads it."""

    schema_version: int = Field(default=1, ge=1, le=1)
    model: str
    """See ``Study.model_identity``."""
    model_name: str
    recipe: str
    place: str
    """Where it holds: this machine's processor or GPUs, or what the cluster is asked for."""
    device: str
    """As results name it."""
    host: str
    made: str
    """UTC, ISO 8601."""
    versions: dict[str, str]
    """Of the packages that compute."""
    capacity: int = Field(ge=0)
    """Bytes of memory that the device, or the processor's machine, has for all workers."""
    chunk: int | None = Field(default=None, ge=1)
    """Examples of a pass that fit memory, where a whole batch did not."""
    settings: tuple[Setting, ...] = Field(min_length=1)
    tasks: dict[str, TaskWork]

    def setting(self, workers: int, threads: int) -> Setting:
        """What was measured of a division among workers, or of the nearest to it."""
        return min(
            self.settings,
            key=lambda s: (abs(s.workers - workers), abs(s.threads - threads)),
        )

    def task(self, task: Task) -> TaskWork | None:
        """A task's work, unless it was measured of another task of that name, or not at all."""
        found = self.tasks.get(task.name)
        return found if found and found.identity == identity_of(task) else None

    @property
    def best(self) -> Setting:
        """The setting with the most work in a second, all workers together."""
        return max(self.settings, key=self.throughput)

    def throughput(self, setting: Setting) -> float:
        """Updates in a second of all workers together: of the mean of the measured updates."""
        works = [work for task in self.tasks.values() for work in task.updates.values()]
        seconds = sum(setting.train.seconds(1, work) for work in works)
        return setting.workers * len(works) / seconds if seconds else 0.0


def identity_of(task: Task) -> str:
    """What tells whether two tasks of one name are encoded alike."""
    return digest(task.identity())


def folder_of(cache: Path) -> Path:
    """Where calibrations lie below the cache of tokenised data."""
    return cache / "calibrations"


def file_of(cache: Path, model: str, recipe: str, place: str) -> Path:
    """The file of a model's calibration in a recipe at a place."""
    return folder_of(cache) / f"{digest([model, recipe, place])}.json"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Writes a calibration, whole or not at all."""
    make_folder(path.parent)
    write_text(path, calibration.model_dump_json(indent=1) + "\n")


def read_calibration(path: Path) -> Calibration | None:
    """Reads a calibration; None where there is none.

    Raises:
        ConfigError: It is damaged, or a newer version wrote it.
    """
    try:
        return parse(Calibration, read_json(path), path)
    except FileNotFoundError:
        return None


def others(cache: Path, model: str, but: Path) -> Iterable[Calibration]:
    """The calibrations of a model at other places, or in another recipe."""
    for path in sorted(folder_of(cache).glob("*.json")):
        try:
            found = read_calibration(path) if path != but else None
        except ConfigError:
            continue
        if found is not None and found.model == model:
            yield found
