"""TOML file -> frozen pydantic model, with errors that name the file, the field and the value."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stilt.errors import ConfigError, unknown


class Frozen(BaseModel):
    """A record that cannot change and refuses unknown fields and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Reads one TOML file.

    Raises:
        ConfigError: The file is absent, unreadable or not TOML; the message has the line.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from None


def parse(model: type[ModelT], table: dict[str, Any], where: object) -> ModelT:
    """Checks a table against a model.

    Raises:
        ConfigError: One line that lists every wrong field of ``where``, its value and what is
            allowed there.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(model, error)}") from None


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Turns pydantic's report into one line: field, value, what is allowed."""
    parts = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            parts.append(unknown("field", field, model.model_fields))
        elif item["type"] == "missing":
            parts.append(f"field '{field}' is missing.")
        else:
            message = item["msg"].removeprefix("Value error, ").rstrip(".")
            value = "" if isinstance(item["input"], dict) else f" = {item['input']!r}"
            parts.append(f"field '{field}'{value}: {message}." if field else f"{message}.")
    return " ".join(parts)
