"""TOML file -> frozen pydantic model, with errors that name the file, the field and the value.

Flags of a command line can be made of such a model too.
"""

import ast
import dataclasses
import inspect
import json
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stilt.errors import ConfigError, first_line, printable, shown, unknown

# no installed package may change what files mean, nor need all be searched for one that would
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class Frozen(BaseModel):
    """A record that cannot change and refuses unknown fields and non-finite numbers."""

    # defer_build: a command builds the validators of what it reads, and --help of none
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, defer_build=True
    )


class Written(Frozen):
    """A record that people write in TOML: its docstrings are what they are told of each field."""


def meanings(model: type[Written]) -> dict[str, str]:
    """What the docstring below each field of a model says, by field.

    Read when somebody asks: pydantic's own ``use_attribute_docstrings`` parses the source of every
    model whenever it is imported.
    """
    module = ast.parse(Path(inspect.getfile(model)).read_text(encoding="utf-8"))
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    return {
        field.target.id: inspect.cleandoc(said.value.value)
        for field, said in pairwise(classes[model.__name__].body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
        and isinstance(said.value.value, str)
    }


# strict: TOML has types, and neither true nor "8" is meant as a number, nor 1 as true
Count = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
Flag = Annotated[bool, Field(strict=True)]

Tracker = Literal["tensorboard", "trackio", "wandb"]
"""Trackers, as accelerate calls them and as their packages are called."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def folders_of(variable: str) -> list[Path]:
    """The folders that a variable of the environment lists, as PATH does."""
    return [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part]


def is_grid(table: Mapping[str, Any]) -> bool:
    """Whether a TOML file is a grid: grids and tasks of a user may lie in one folder."""
    return bool(table.keys() & {"sources", "targets", "blocks", "include", "evaluate", "model"})


def is_grid_file(path: Path) -> bool:
    """Whether a file can be read and is a grid."""
    return is_grid(_if_readable(path))


def is_task_file(path: Path) -> bool:
    """Whether a file can be read and looks like a task: other programs write TOML, too."""
    table = _if_readable(path)
    return bool(table.keys() & {"kind", "extends", "data"}) and not is_grid(table)


def _if_readable(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except ConfigError:
        return {}


def require_counts(**flags: int | None) -> None:
    """Makes sure that flags of the command line that count something are at least 1, where given.

    Raises:
        ConfigError: One is not.
    """
    for name, value in flags.items():
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: at least 1.")


def flags_of(model: type[Written], defaults: Mapping[str, Any], **types: Any) -> type:
    """Makes a dataclass that tyro reads as flags: a field is defined once for files and flags.

    It checks nothing: the model does, when it is given the values.

    Args:
        model: has the type and, in its docstrings (``Written``), the help of each.
        defaults: what each flag is where it is not given, by name; ``dataclasses.MISSING`` for one
            that must be given.
        types: of flags that are written in another way than the field.
    """
    import tyro  # workers do without

    fields, said = [], meanings(model)
    for name, default in defaults.items():
        kind: Any = types.get(name, model.model_fields[name].annotation)
        kind = kind | None if default is None else kind
        described = Annotated[kind, tyro.conf.arg(help=said[name])]
        fields.append((name, described, dataclasses.field(default=default)))
    return dataclasses.make_dataclass("Flags", fields, frozen=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Reads one TOML file.

    Raises:
        ConfigError: The file is absent, unreadable or not TOML; the message has the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    if content.startswith(UTF16):
        raise ConfigError(f"{path}: {UTF16_SAID}.")
    try:
        # some editors begin UTF-8 with a byte order mark
        return tomllib.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from None
    except ValueError as error:
        # of a date or a number that no computer writes; tomllib does not say where
        raise ConfigError(f"{path}: not valid TOML: {first_line(error)}.") from None


def read_json(path: Path) -> Any:
    """Reads one JSON file.

    Raises:
        FileNotFoundError: There is none.
        ConfigError: It is unreadable, not JSON, or has a key twice.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_once)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"{shown(twice, 60)} stands twice in one table")
    return table


def parse(
    model: type[ModelT],
    table: Any,
    where: object,
    elsewhere: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> ModelT:
    """Checks a table against a model; ``elsewhere`` and ``known`` are those of ``explain``.

    Raises:
        ConfigError: One line that lists every wrong field of ``where``, its value and what is
            allowed there.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(model, error, elsewhere, known)}") from None


class Mistakes:
    """What is wrong in files that are read together: told at once, each file by its name."""

    def __init__(self, elsewhere: Mapping[str, str]) -> None:
        """Begins with none; ``elsewhere`` is that of ``explain``."""
        self._elsewhere = elsewhere
        self._told: dict[str, list[str]] = {}

    def tell(self, where: object, message: str) -> None:
        """Adds a sentence about a file, or a part of it."""
        self._told.setdefault(str(where), []).append(message)

    def unknown_field(self, where: object, field: str, known: Iterable[str]) -> None:
        """Adds that a field is not known there."""
        self.tell(where, misplaced(field, known, self._elsewhere))

    def parse(self, model: type[ModelT], table: Any, where: object) -> ModelT | None:
        """Checks a table against a model; None where it is wrong."""
        try:
            return model.model_validate(table)
        except ValidationError as error:
            # what is said of the whole may follow from what a part lacks
            whole = error.errors()[0]["loc"] == ()
            if not (whole and self._told):
                self.tell(where, explain(model, error, self._elsewhere))
            return None

    def refuse(self) -> None:
        """Raises what was told.

        Raises:
            ConfigError: Something was.
        """
        if self._told:
            files = (f"{where}: {_sentences(told)}" for where, told in self._told.items())
            raise ConfigError(" ".join(files))


def explain(
    model: type[BaseModel],
    error: ValidationError,
    elsewhere: Mapping[str, str] | None = None,
    known: Collection[str] | None = None,
) -> str:
    """Turns pydantic's report into one line: field, value, what is allowed.

    Unknown fields come first: a field that is missing is most often a mistyped one.

    Args:
        model: what the table was checked against.
        error: the report.
        elsewhere: fields of another kind of file -> what is said of one that stands here.
        known: fields that a person may write at the table's top, where these are not the model's.
    """
    found = error.errors()
    parts = [
        _unknown_field(model, item["loc"], elsewhere or {}, known)
        for item in found
        if item["type"] == "extra_forbidden"
    ]
    if missing := [_field(item["loc"]) for item in found if item["type"] == "missing"]:
        many = len(missing) > 1
        listed = ", ".join(f"'{name}'" for name in missing)
        parts.append(f"field{'s' * many} {listed} {'are' if many else 'is'} missing.")
    for item in found:
        where = item["loc"]
        field = _field(where)
        if item["type"] in ("extra_forbidden", "missing"):
            continue
        if item["type"] == "too_short" and any(
            other["loc"][: len(where)] == where and other is not item for other in found
        ):
            continue  # pydantic counts only the valid items: their errors say it all
        message = MESSAGES.get(item["type"], item["msg"]).removeprefix("Value error, ")
        message = message.format(**item.get("ctx", {})) if item["type"] in MESSAGES else message
        inner = _model_at(model, where) if where else None
        if inner and item["type"] == "model_type":
            message += f", with some of {', '.join(inner.model_fields)}"
        elif inner and item["type"] == "tuple_type" and isinstance(item["input"], dict):
            message = f"tables are expected, each under [[{field}]]"
        value = "" if isinstance(item["input"], dict) else f" = {shown(item['input'])}"
        place = f"field '{field}'{value}: " if field else ""
        parts.append(f"{place}{printable(message.rstrip('.'), MESSAGE)}.")
    more = f" And {len(parts) - MOST} more." if len(parts) > MOST else ""
    return f"{_sentences(parts[:MOST])}{more}"


def _unknown_field(
    model: type[BaseModel],
    where: Sequence[int | str],
    elsewhere: Mapping[str, str],
    top: Collection[str] | None,
) -> str:
    """Says that a field is not known where it stands; ``top`` is ``known`` of ``explain``."""
    inner = _model_at(model, where[:-1])
    known: Collection[str] = inner.model_fields if inner else ()
    if not where[:-1]:
        return misplaced(str(where[-1]), known if top is None else top, elsewhere)
    return f"field '{_field(where[:-1])}': {misplaced(str(where[-1]), known, elsewhere)}"


def _sentences(parts: Sequence[str]) -> str:
    """Sentences behind a colon: all but the first begin with a capital."""
    return " ".join([*parts[:1], *(part[:1].upper() + part[1:] for part in parts[1:])])


def _field(where: Sequence[int | str]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in where)
    return "".join(parts).removeprefix(".")


def misplaced(field: str, known: Iterable[str], elsewhere: Mapping[str, str]) -> str:
    """Says that a field is not known here, and where it belongs if that is known."""
    if field in elsewhere:
        return f"field {shown(field)} {elsewhere[field]}."
    return unknown("field", field, known)


UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""What text in UTF-16 begins with, as spreadsheets and shells of Windows write it."""
UTF16_SAID = "its text is in UTF-16: save it as UTF-8"
MESSAGE = 400
"""Characters of what is said of one field."""
MOST = 5
"""Fields that one message speaks of."""
MESSAGES = {
    "tuple_type": "a list is expected",
    "int_type": "a whole number is expected",
    "bool_type": "true or false is expected",
    "float_type": "a number is expected",
    "string_type": "a string is expected",
    "model_type": "a table is expected",
    "dict_type": "a table is expected",
    "too_short": "at least {min_length} expected, {actual_length} given",
}
"""What a person who writes TOML calls pydantic's types."""


def _model_at(model: type[BaseModel], where: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that the table at a place of ``model`` should follow."""
    for part in where:
        if isinstance(part, str):
            field = model.model_fields.get(part)
            inner = _models_in(field.annotation) if field else []
            if len(inner) != 1:
                return None
            model = inner[0]
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
