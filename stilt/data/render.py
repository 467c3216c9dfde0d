"""Rows become examples, by the templates of their task."""

import ast
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stilt import rows
from stilt.data.delimited import Row
from stilt.data.oddities import SEPARATOR, Tally
from stilt.errors import DataError, listed, printable, shown
from stilt.rows import FieldName, parts_of
from stilt.task import Task, fields_of


class Example(NamedTuple):
    """One example: its segment pairs, one per option, and its class."""

    pairs: tuple[tuple[str, str | None], ...]
    label: float
    """Its class; in regression its number."""


def render(task: Task, table: Sequence[Row], where: str, odd: Tally | None = None) -> list[Example]:
    """Renders rows through the task's templates; the separator stays as ``{sep}``'s placeholder.

    Args:
        task: has the templates.
        table: of one split.
        where: its file, for messages.
        odd: is told what is odd in the rows.

    Raises:
        DataError: A row lacks a field, has something else than text in it, or has a label that the
            task does not know or that is no number; or there is no text at all.
    """
    if not table:
        raise DataError(f"{where}: no rows.")
    prepare = rows.FUNCTIONS[task.row] if task.row else None
    used = fields_of(task)
    label = _number if task.kind == "regression" else _class_of(task)
    odd = Tally(task) if odd is None else odd
    examples = []
    for number, row in enumerate(table, 1):
        try:
            # an empty cell of a table is no text: it must not be read as the word "None"
            full = {key: value for key, value in row.items() if value is not None}
            full |= _printed(used, full)
            fields = prepare(full) if prepare else full
            values = {field.name: _value(field, fields) for field in used}
            texts = {name: _text(name, value) for name, value in values.items()}
            examples.append(Example(_pairs(task, texts), label(full[task.label])))
            odd.look(number, full, values, list(texts.values()))
        except KeyError as error:
            raise DataError(_missing(task, full, error, f"{where}, row {number}")) from None
        except (IndexError, AttributeError, TypeError, ValueError) as error:
            said = printable(str(error), 200)
            raise DataError(f"{where}, row {number}: cannot be rendered ({said}).") from None
        except DataError as error:
            raise DataError(f"{where}, row {number}: {error}") from None
    if not any(part and part.strip(BLANK) for e in examples for pair in e.pairs for part in pair):
        columns = listed(dict.fromkeys(field.name for field in used))
        raise DataError(f"{where}: no row has any text in {columns}.")
    return examples


STRAY = " \t\r\n"
"""What may stand around a label: not all blanks of Unicode, for some are control characters."""

BLANK = f"{STRAY}{SEPARATOR}"


def _pairs(task: Task, texts: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    texts = {**texts, "sep": SEPARATOR, "": ""}

    def filled(template: str | None) -> str | None:
        if template is None:
            return None
        return "".join([text + texts[field] for text, field in parts_of(template)])

    first = filled(task.text_a)
    if task.kind != "multiple-choice":
        return ((str(first), filled(task.text_b)),)
    options = (str(filled(choice)) for choice in task.choices)
    return tuple((o, None) if first is None else (first, o) for o in options)


def spelling(value: Any) -> str:
    """A label as task files spell it: JSON's true is ``true``, and stray spaces do not matter.

    A whole number is one without a fraction, as a table may hold it that had empty cells.
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value).strip(STRAY)


def _class_of(task: Task) -> Callable[[Any], int]:
    """What a label's class is; other capitals than the task's are taken where no two classes fit.

    Tables of text have ``True`` where JSON has ``true``.
    """
    classes = {text: i for i, names in enumerate(task.labels) for text in names}
    small: dict[str, set[int]] = {}
    for text, i in classes.items():
        small.setdefault(text.lower(), set()).add(i)
    alike = {text: i for text, found in small.items() if len(found) == 1 for i in found}

    def find(value: Any) -> int:
        text = spelling(value)
        # a KeyError names the label as it is spelled
        return (
            alike[text.lower()] if text not in classes and text.lower() in alike else classes[text]
        )

    return find


def _number(value: Any) -> float:
    """A label of regression.

    Raises:
        DataError: It is no finite number.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)
        if isinstance(value, str) and not value.strip(STRAY).isprintable():
            found = math.nan
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"the label is {shown(value)}: a number is expected")
    return found


def _missing(task: Task, row: Row, error: KeyError, where: str) -> str:
    field = error.args[0]
    if task.label not in row:
        return f"{where}: field {task.label!r} (the label) is missing; it has {listed(row)}."
    if field == spelling(row[task.label]):
        allowed = listed((name for names in task.labels for name in names), 40)
        return (
            f"{where}: field {task.label!r} = {shown(field)}: not a label of task {task.name!r}; "
            f"allowed: {allowed}."
        )
    return f"{where}: field {shown(field)} is missing; it has {listed(row)}."


def _printed(used: Sequence[FieldName], row: Row) -> Iterator[tuple[str, Any]]:
    """Lists and tables that a file of text cells holds printed, where templates name their items.

    Raises:
        DataError: There is other text: its items would be its letters.
    """
    for field in used:
        value = row.get(field.column)
        if field.keys and isinstance(value, str):
            read = parse_printed(value)
            if read is None:
                raise DataError(
                    f"field {field.column!r} = {shown(value, 60)}: a list is expected, of which "
                    f"{{{field.name}}} is an item (JSON, or as Python or numpy print it)"
                )
            yield field.column, read


ITEM = re.compile(
    r"""\s*('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|-?\d{1,300}(?:\.\d{1,300})?|None|True|False)"""
    r"(\s*,\s*|\s+|\s*\Z)"
)
"""An item of a list that Python printed, and what stands behind it."""


def parse_printed(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or table that a text is the print of; None where it is none for sure.

    JSON, a list of Python's (``['a', 'b']``), or one of numpy's, which has no commas
    (``['a' 'b']``): Python would read that as one string.
    """
    text = text.strip()
    if not (text[:1] == "[" and text[-1:] == "]") and not (text[:1] == "{" and text[-1:] == "}"):
        return None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return _printed_items(text[1:-1]) if text[0] == "[" else None
    return read if isinstance(read, (list, dict)) else None


def _printed_items(text: str) -> list[Any] | None:
    items, between = [], set()
    place = 0
    while place < len(text):
        found = ITEM.match(text, place)
        if found is None:
            return None
        items.append(ast.literal_eval(found[1]))
        place = found.end()
        if place < len(text):
            between.add(found[2].strip())
    # one kind of list has commas, the other none
    return items if len(between) < 2 and (items or not text.strip()) else None


def _value(field: FieldName, row: Mapping[str, Any]) -> Any:
    """What a template's field stands for.

    Raises:
        DataError: Items are named of what has none.
        KeyError, IndexError: It is not there.
    """
    value = row[field.column]
    for key in field.keys:
        if isinstance(value, (list, tuple)) and key.isdecimal():
            value = value[int(key)]
        elif isinstance(value, Mapping):
            value = value[key]
        else:
            raise DataError(
                f"field {field.column!r} = {shown(row[field.column], 60)}: {{{field.name}}} is no "
                "item of it"
            )
    return value


def _text(name: str, value: Any) -> str:
    """A value as text.

    Raises:
        DataError: It is a list, a table, bytes or no number, or holds what no text has.
    """
    if isinstance(value, str):
        return value if value.isascii() and SEPARATOR not in value else _utf8(name, value)
    if value is None or isinstance(value, (list, tuple, Mapping, set, bytes)):
        raise DataError(f"field {name!r} = {shown(value, 60)}: text is expected")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"field {name!r} = {value}: text is expected, and this stands for none")
    return str(value)


def _utf8(name: str, text: str) -> str:
    if SEPARATOR in text:
        raise DataError(
            f"field {name!r} = {shown(text, 60)}: the control character {SEPARATOR!r} is no "
            "text: it stands for the separator here"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON may spell one as an escape; no tokenizer takes it
        raise DataError(
            f"field {name!r} = {ascii(text)[:60]}: half of a surrogate pair is no text"
        ) from None
    return text
