"""What a cell leaves behind: one result, or one failure; one line of JSON each."""

import json
from io import FileIO
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError

from stilt.cell import Cell, Source
from stilt.config import Frozen, explain
from stilt.errors import ResultError
from stilt.system.files import write_text

Fraction = Annotated[float, Field(ge=-1, le=1)]
"""A score as it is kept: never a percentage."""
Seconds = Annotated[float, Field(ge=0)]
Number = Annotated[int, Field(ge=0, lt=2**63)]
"""Of things, bytes or steps: no more than a table's column holds."""
Positive = Annotated[int, Field(ge=1, lt=2**63)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FailureKind = Literal[
    "oom", "timeout", "node", "disk", "data", "model", "source", "folder", "killed", "lost", "bug"
]
"""Why a run has no result. ``folder``: its node did not see the study's folder, or its Python;
``killed``: by signal 9, and nothing says that memory had run out; ``lost``: its job is gone, and
nobody says how."""
Damage = Literal["empty", "truncated", "foreign", "newer", "schema", "unreadable"]
"""Why a file is no record: nothing in it, cut off, something else, of another schema, closed."""


def _absent(value: object) -> bool:
    return value is None


class Provenance(Frozen):
    """Where, when and with what a number was made."""

    started: str
    """UTC, ISO 8601."""
    finished: str
    host: str
    job: str | None
    """SLURM's ``array_task`` id, or None."""
    attempt: Positive
    device: str
    threads: Number
    peak_memory: Number
    """Bytes: of the accelerator where there is one, else of the process."""
    # not written where it is None: earlier versions know no such field
    energy: float | None = Field(default=None, ge=0, exclude_if=_absent)
    """Joules that the accelerator used while the run was on it; None where it does not tell."""
    versions: dict[str, str]
    commit: str | None
    code: str
    """Digest of the code that ran."""
    command: str


class Timings(Frozen):
    """Seconds spent on each part of a run."""

    load: Seconds
    encode: Seconds
    train: Seconds
    evaluate: Seconds


class Tokens(Frozen):
    """Tokens of a training run: real ones, and positions computed (real and padding)."""

    real: Number
    computed: Number


class CurvePoint(Frozen):
    """Dev score after an epoch."""

    epoch: Number
    score: Fraction | None


class Training(Frozen):
    """What training left besides weights."""

    updates: Number
    chunk: Positive | None = None
    """Examples that one forward and backward pass held at most: fewer than the study asks for
    where memory ran out. None in records of earlier versions, which do not say."""
    warmup_updates: Number
    final_loss: float | None
    """Mean training loss of the last tenth of the updates; None if not finite."""
    lowest_loss: float | None
    """Lowest mean training loss over any tenth of the updates."""
    loss: tuple[tuple[Number, float | None], ...]
    """(update, mean loss since the last point): at most 100 points."""
    gradient_norm: tuple[tuple[Number, float | None], ...]
    """(update, norm before clipping): at most 100 points."""
    tokens: Tokens
    carried: tuple[str, ...]
    """Modules whose weights came from the start model."""
    fresh: tuple[str, ...]
    """Modules that were initialised anew."""


class Score(Frozen):
    """How a model did on a dev set. All scores are fractions; correlations are in -1..1."""

    score: Fraction
    """The task's metric."""
    accuracy: float | None = Field(ge=0, le=1)
    """None in regression."""
    mcc: Fraction | None
    """Matthews correlation, for classification."""
    # the next three are not written where they are None: earlier versions know no such fields
    f1: Fraction | None = Field(default=None, exclude_if=_absent)
    """Where the metric is F1: that of the second class, or the mean of every class's."""
    pearson: Fraction | None = Field(default=None, exclude_if=_absent)
    """In regression."""
    spearman: Fraction | None = Field(default=None, exclude_if=_absent)
    loss: float = Field(ge=0)
    """Mean cross-entropy, in nats; in regression the mean squared error."""
    predictions: str
    """One character per dev example in order: the class in base 36. In regression numbers, with a
    space between them."""
    gold: str
    """The same for the labels."""
    ties: Number
    """Examples whose best two or more options had equal scores."""
    withheld: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether predictions and labels are left out, and empty here: of data that only persons with a
    credential may read, in a bundle for others."""
    constant: bool | None = Field(default=None, exclude_if=_absent)
    """Whether all predictions are one answer, where they are withheld."""

    @classmethod
    def of(cls, metric: str, **fields: Any) -> Self:
        """A score whose ``score`` is that of a metric."""
        return cls(score=fields[FIELD.get(metric, metric)], **fields)

    def by(self, metric: str) -> float | None:
        """What it is by a metric."""
        value: float | None = getattr(self, FIELD.get(metric, metric))
        return value


FIELD = {"macro-f1": "f1"}
"""Field of a score that holds a metric, where it is not called like the metric."""


class TakenFrom(Frozen):
    """Where a record was taken over from, in place of running anew what it is of."""

    study: str
    """Name of the other study."""
    folder: str
    """Where that was."""
    when: str
    """UTC, ISO 8601."""


class Record(Frozen):
    """What every file of a study says about itself."""

    schema_version: Literal[1] = 1
    study: str
    """Digest of the study that it was made for: a note, by which nothing is judged."""


class RunResult(Record):
    """A run that ended: with a score, or diverged (a non-finite loss or logit, also a result)."""

    status: Literal["ok", "diverged"]
    metric: Literal["accuracy", "mcc", "f1", "macro-f1", "pearson", "spearman"]
    score: Fraction | None
    """The task's metric on dev with the final weights, as a fraction; None if diverged."""
    dev: Score | None
    majority: Fraction
    """Score of the best constant answer: that of the most frequent class; 0 for correlations."""
    chance: Fraction
    """Score of a random guess."""
    classes: Positive
    """K: options or labels; 1 in regression."""
    train_rows: Positive
    dev_rows: Positive
    data: str
    """Digest of the task's rows."""
    curve: tuple[CurvePoint, ...] = ()
    training: Training | None
    """None for an evaluation without training."""
    timings: Timings
    provenance: Provenance
    """Of the run itself, wherever it was."""
    # not written where it is None: earlier versions know no such field
    taken_from: TakenFrom | None = Field(default=None, exclude_if=_absent)
    """The study that it was taken over from; None where it was run for the study that has it."""


class _OfCell(Record):
    cell: Cell


class _OfSource(Record):
    source: Source


# a model's fields stand in the order of its last base first: a file says first what it is of
class Result(RunResult, _OfCell):
    """How a cell ended."""

    start: str | None = Field(default=None, exclude_if=_absent)
    """SHA-256 of its source's weights; None without a source, and in earlier versions' records."""

    @property
    def item(self) -> Cell:
        """What was run."""
        return self.cell


class SourceResult(RunResult, _OfSource):
    """How a source ended; its checkpoint lies beside it."""

    checkpoint: Sha256
    """SHA-256 of model.safetensors."""
    files: dict[str, Sha256] = Field(default_factory=dict)
    """SHA-256 of each other file of the checkpoint; none in records of earlier versions."""
    training: Training

    @property
    def item(self) -> Source:
        """What was run."""
        return self.source


class Failure(Record):
    """Why a cell or source has no result yet; gone when it succeeds."""

    cell: Cell | None = None
    source: Source | None = None
    kind: FailureKind
    message: str
    """One line."""
    traceback: str = ""
    attempts: Positive
    out_of_memory: Number = 0
    """How often memory ran out under it: each time the next attempt takes half as many examples."""
    memory: int | None = Field(default=None, ge=1)
    """MB that its job had when memory ran out, where known; with more the next one begins whole."""
    host: str
    job: str | None
    finished: str
    """UTC, ISO 8601."""
    log: str | None = None
    """Log file, relative to the study's folder."""


Ended = Result | SourceResult
"""The record of a run that ended."""

RecordT = TypeVar("RecordT", bound=Record)


class RecordError(ResultError):
    """A file that holds no record of the kind that its place promises."""

    def __init__(self, path: Path, kind: Damage, reason: str) -> None:
        """Keeps the kind of damage and the reason beside the message, which names the file too."""
        super().__init__(f"{path}: {reason}")
        self.kind, self.reason = kind, reason


def write_record(record: RunResult | Failure, path: Path) -> None:
    """Writes a record as one line of JSON, whole or not at all.

    Raises:
        ValueError: A number is not finite.
    """
    write_text(path, line_of(record))


def line_of(record: Record) -> str:
    """A record as one line of JSON.

    Raises:
        ValueError: A number is not finite.
    """
    table = record.model_dump(mode="json")
    return json.dumps(table, separators=(",", ":"), allow_nan=False) + "\n"


def read_record(model: type[RecordT], path: Path) -> RecordT | None:
    """Reads a record; None where there is no such file.

    Raises:
        RecordError: The file is truncated, foreign, or of another schema; the message says which.
    """
    try:
        # half the time of Path.read_bytes, which a hundred thousand results show
        with FileIO(path) as file:
            text = file.readall()
    except FileNotFoundError:
        if path.is_symlink():
            reason = "a link that leads to no file. Remove it."
            raise RecordError(path, "unreadable", reason) from None
        return None
    except PermissionError:
        reason = "permission denied. Ask its owner for the right to read it, or remove it."
        raise RecordError(path, "unreadable", reason) from None
    except OSError as error:
        raise RecordError(path, "foreign", f"no file to be read ({error.strerror}).") from None
    try:
        return model.model_validate_json(text)
    except ValidationError:
        return _read_slowly(model, text, path)


def _read_slowly(model: type[RecordT], text: bytes, path: Path) -> RecordT:
    """Reads what pydantic's own parser refuses, by the json module.

    Its messages are plainer, it tells a newer schema from a wrong field, and it takes a text that
    is not Unicode, which a command line or a path may hold.

    Raises:
        RecordError: See ``read_record``.
    """
    try:
        table = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        cut = isinstance(error, json.JSONDecodeError) and text.lstrip().startswith(b"{")
        kind: Damage = "truncated" if cut else "foreign" if text.strip() else "empty"
        raise RecordError(path, kind, f"not a whole line of JSON ({error}).") from None
    version = table.get("schema_version", 1) if isinstance(table, dict) else 1
    if version != 1:
        kind = "newer" if isinstance(version, int) and version > 1 else "schema"
        reason = f"schema_version {version!r}; this version reads 1."
        raise RecordError(path, kind, reason)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        ours = isinstance(table, dict) and "schema_version" in table
        reason = explain(model, error)[:400]
        raise RecordError(path, "schema" if ours else "foreign", reason) from None
