"""Files that are no records: named and left out, never fatal."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stilt.errors import ResultError
from stilt.records.results import RecordT, read_record

Kind = Literal["empty", "truncated", "foreign", "newer", "schema", "study", "duplicate", "grid"]


@dataclass(frozen=True)
class Problem:
    """A file that is left out, and why."""

    file: str
    """Path, relative to the study's folder."""
    kind: Kind
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def judge(model: type[RecordT], root: Path, file: str) -> RecordT | Problem:
    """Reads one record strictly; a file that holds none is a problem, never an error."""
    path = root / file
    try:
        record = read_record(model, path)
    except ResultError as error:
        message = str(error).removeprefix(f"{path}: ").removesuffix(".")
        return Problem(file, _kind(path), message)
    if record is None:
        return Problem(file, "empty", "gone while it was read")
    return record


def _kind(path: Path) -> Kind:
    """What is wrong with a file that is no record."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return "foreign"
    if not text.strip():
        return "empty"
    try:
        table = json.loads(text)
    except ValueError:
        return "truncated" if text.lstrip().startswith("{") else "foreign"
    if not isinstance(table, dict) or "schema_version" not in table:
        return "foreign"
    version = table["schema_version"]
    return "newer" if isinstance(version, int) and version > 1 else "schema"
