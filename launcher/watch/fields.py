"""What a task, grid or cluster file may say: every field with type, default, meaning and example.

Types, defaults and meanings are the models' own; examples are from the whole files in ``examples``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from launcher.cluster.profile import Profile
from stilt.config import Written, meanings, read_toml
from stilt.grid import (
    Block,
    Evaluation,
    Grid,
    Inclusion,
    ModelSpec,
    SourceSpec,
    SourceTraining,
    Synthesis,
)
from stilt.system.console import new_table
from stilt.task import Inheritance, Origin, Size, Task

EXAMPLES = Path(__file__).parent / "examples"
WIDEST = 2**31
"""A limit from here on is a computer's, and of no use to a person."""
LONGEST = 100
"""Characters of an example; a longer one is a table with fields of its own."""

Kind = Literal["task", "grid", "cluster"]
"""Of files that people write."""


@dataclass(frozen=True)
class Part:
    """One table of a file."""

    heading: str
    """How the file writes it; empty for its top."""
    about: str
    models: tuple[type[Written], ...]
    inside: tuple[str, ...] = ()
    """Where it stands in a file that was read."""
    given: Mapping[str, str] | None = None
    """Defaults that a file's reader fills in, by field; empty for a field that no file has."""


@dataclass(frozen=True)
class FieldLine:
    """A field, as people are told of it."""

    name: str
    type: str
    default: str
    meaning: str
    example: str
    """A line of a file; empty for a table with fields of its own."""


PARTS: dict[Kind, tuple[Part, ...]] = {
    "task": (
        Part(
            "",
            "The file's name is the task's name.",
            (Inheritance, Task),
            given={"name": "", "title": "the file's name"},
        ),
        Part("[[data]]", "One place where rows can be had.", (Origin,), ("data",)),
        Part("size", "For estimates: published, or measured.", (Size,), ("size",)),
    ),
    "grid": (
        Part(
            "",
            "The axes at the top of a file are those of one block.",
            (Inclusion, Block, Grid),
            given={"name": "the file's name"},
        ),
        Part("sources", "A source that is more than a name.", (SourceSpec,), ("sources",)),
        Part("[model]", "On the Hub, in a folder, or in a wheel.", (ModelSpec,), ("model",)),
        Part("[source]", "One training for all sources.", (SourceTraining,), ("source",)),
        Part("[[evaluate]]", "Scores without training.", (Evaluation,), ("evaluate",)),
        Part("[synthesis]", "How SynthesisGPT2's rows are made.", (Synthesis,), ("synthesis",)),
    ),
    "cluster": (Part("", "", (Profile,)),),
}


def example_files(kind: Kind) -> list[Path]:
    """Whole files of a kind, which together have every field."""
    return sorted((EXAMPLES / kind).glob("*.toml"))


def lines_of(part: Part, kind: Kind) -> list[FieldLine]:
    """Every field of one table of a file."""
    tables = [inner for path in example_files(kind) for inner in _inside(read_toml(path), part)]
    given = part.given or {}
    found = []
    for model in part.models:
        schema, said = model.model_json_schema(), meanings(model)
        for name, field in schema["properties"].items():
            default = as_toml(field.get("default"))
            default = "required" if name in schema.get("required", ()) else default
            if default := given.get(name, default):
                meaning = re.sub(r"\s+", " ", said.get(name, ""))
                values = (f"{name} = {as_toml(table[name])}" for table in tables if name in table)
                example = next((value for value in values if len(value) <= LONGEST), "")
                found.append(FieldLine(name, in_words(field), default, meaning, example))
    return found


def _inside(table: dict[str, Any], part: Part) -> Iterator[dict[str, Any]]:
    """The tables of a file that are one of its parts; a source may be a name alone."""
    value: Any = table
    for key in part.inside:
        value = value.get(key, [])
    items = value if isinstance(value, list) else [value]
    yield from (item for item in items if isinstance(item, dict))


def in_words(schema: Mapping[str, Any]) -> str:
    """A JSON schema of a field, as a person who writes TOML calls it."""
    if "anyOf" in schema:
        kinds = [in_words(part) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in schema:
        return " or ".join(map(as_toml, schema["enum"]))
    match schema.get("type"):
        case "array":
            return f"list of {_many(in_words(schema['items']))}"
        case "integer" | "number" as kind:
            name = "whole number" if kind == "integer" else "number"
            return ", ".join([name, *_limits(schema)])
        case "boolean":
            return "true or false"
        case "string":
            return "text"
    inner = schema.get("additionalProperties")
    return f"table of {_many(in_words(inner))}" if isinstance(inner, Mapping) else "table"


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "over",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    for key, word in words.items():
        if key in schema and schema[key] < WIDEST:
            yield f"{word} {schema[key]:g}" if schema[key] < 10**6 else f"{word} {schema[key]}"


def _many(words: str) -> str:
    """The plural of a type's words: ``texts or tables``, ``numbers, over 0``."""
    name, comma, rest = words.partition(",")
    names = re.sub(r"\b(text|table|number|list)\b", r"\1s", name)
    return f"{names}{comma}{rest}"


def as_toml(value: Any) -> str:
    """A value as a TOML file has it, on one line; of a table only what is not empty."""
    match value:
        case None:
            return "none"
        case dict():
            inner = (f"{k} = {as_toml(v)}" for k, v in value.items() if v is not None)
            return f"{{{', '.join(inner)}}}"
        case list() | tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case float() if value and abs(value) < 1e-3:
            return f"{value:g}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def show_fields(kind: Kind, console: Console) -> None:
    """Prints every field of a kind of file, and whole files of it."""
    for part in PARTS[kind]:
        table = new_table("field", title=escape(part.heading) or f"{kind} file")
        table.add_column("type", max_width=24)
        table.add_column("default", max_width=16, overflow="fold")
        table.add_column("meaning", ratio=1)
        for line in lines_of(part, kind):
            words = line.type, line.default, line.meaning.replace("``", "")
            table.add_row(Text(line.name, "bold"), *map(Text, words))
        console.print(table)
        console.print()
    for path in example_files(kind):
        console.print(Text(f"# {path.name}", "dim"))
        console.print(Text(path.read_text(encoding="utf-8").rstrip()), soft_wrap=True)
        console.print()


def page(kind: Kind, title: str, intro: str) -> str:
    """The Markdown page of a kind of file."""
    found = [f"# {title}", intro]
    for part in PARTS[kind]:
        found += [f"## `{part.heading}`"] if part.heading else []
        found += [part.about] if part.about else []
        found.append("\n".join(_rows(lines_of(part, kind))))
    found.append("## Whole files")
    for path in example_files(kind):
        text = path.read_text(encoding="utf-8").rstrip()
        found.append(f'```toml title="{path.name}"\n{text}\n```')
    return "\n\n".join(found) + "\n"


def _rows(lines: Sequence[FieldLine]) -> Iterator[str]:
    yield "| field | type | default | meaning | example |"
    yield "|---|---|---|---|---|"
    for line in lines:
        default = line.default if line.default[0].isalpha() else f"`{line.default}`"
        cells = (
            f"`{line.name}`",
            line.type,
            default,
            line.meaning.replace("``", "`"),
            f"`{line.example}`" if line.example else "",
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
