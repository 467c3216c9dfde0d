"""What a task's templates name in a row, and whether it can be read as text."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

from stilt.errors import DataError
from stilt.task import Task


def named(task: Task) -> list[str]:
    """What the templates name: columns, or items in them such as ``endings[0]``."""
    templates = [text for text in (task.text_a, task.text_b, *task.choices) if text]
    fields = (field for text in templates for _, field, _, _ in Formatter().parse(text))
    return list(dict.fromkeys(field for field in fields if field and field != "sep"))


def insist_on_text(name: str, row: Mapping[str, Any]) -> None:
    """Makes sure that a value is text or a number: of others, Python's own notation would be read.

    Raises:
        DataError: It is a list, a table or bytes, or holds half of a character.
        KeyError, IndexError, AttributeError, TypeError: It is not there.
    """
    value = row[name] if name in row else Formatter().get_field(name, (), row)[0]
    if isinstance(value, (list, tuple, dict, set, bytes)):
        raise DataError(f"field {name!r} = {str(value)[:60]}: text is expected")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            # JSON may spell one as an escape; no tokenizer takes it
            raise DataError(
                f"field {name!r} = {ascii(value)[:60]}: half of a surrogate pair is no text"
            ) from None
