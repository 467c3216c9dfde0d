"""What of a row becomes text: fields that templates name, and functions where none can say it."""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from string import Formatter
from typing import Any, NamedTuple

from stilt.errors import DataError, shown

Row = Mapping[str, Any]

SPECIAL = re.compile(
    r"\[(?:CLS|SEP|PAD|UNK|MASK)\]|</?s>|<(?:pad|unk|mask|cls|sep|bos|eos|eop|eod)>|<\|[a-z_]+\|>"
)
"""What tokenizers of this library call their own tokens."""
FIELD = re.compile(r"[^\W\d][^.\[\]{}!:]*(?:\[[^\[\]{}-][^\[\]{}]*\])*")
"""A column, or an item of it: ``endings[0]``, ``choices[text][0]``."""


class FieldName(NamedTuple):
    """What a template names between braces."""

    name: str
    """As it is written."""
    column: str
    keys: tuple[str, ...]
    """Places in its list, or names in its table, from the outside in."""


@cache
def parts_of(template: str) -> tuple[tuple[str, str], ...]:
    """Each text of a template with the field that follows it; empty where none does.

    Raises:
        ValueError: A brace is left open.
    """
    return tuple((text, field or "") for text, field, _, _ in Formatter().parse(template))


def _field(name: str) -> FieldName:
    column, _, rest = name.partition("[")
    return FieldName(name, column, tuple(rest.removesuffix("]").split("][")) if rest else ())


def columns_of(template: str | None) -> Iterator[FieldName]:
    """The fields that a template names, in its order; the separator is none."""
    for _, field in parts_of(template or ""):
        if field and field != "sep":
            yield _field(field)


def split_at_blank(row: Row) -> dict[str, Any]:
    """Splits a WinoGrande sentence at its blank ``_`` into ``before`` and ``after``.

    ``before`` keeps its trailing space, ``after`` is stripped; an option and ``after`` are then
    joined with one space, so "_'s" becomes "option 's".

    Raises:
        DataError: The sentence has no blank.

    Source: Sakaguchi et al. 2019's input for RoBERTa; paper, appendix A.2.
    """
    before, blank, after = str(row["sentence"]).partition("_")
    if not blank:
        raise DataError(f"field 'sentence' has no blank '_': {shown(row['sentence'])}")
    return {**row, "before": before, "after": after.strip()}


def shuffle_fakes(row: Row) -> dict[str, Any]:
    """Shuffles the words of every fake ending and leaves the gold ending alone (Hella-sh).

    Words are split at white space. The shuffle is seeded by the ending itself, so a row gives the
    same shuffled endings whatever its place in the file.

    Raises:
        DataError: The label is not the index of an ending.

    Source: paper, section 5.1 ("shuffling the words in the fake endings"); seed and tokenisation
    are not given there.
    """
    endings = list(row["endings"])
    gold = _place(row, "label", endings, "index of an ending")
    shuffled = [text if i == gold else _shuffled(text) for i, text in enumerate(endings)]
    return {**row, "endings": shuffled}


def _shuffled(text: str) -> str:
    words = text.split()
    random.Random(hashlib.sha256(text.encode()).digest()).shuffle(words)
    return " ".join(words)


def mark_pronoun(row: Row) -> dict[str, Any]:
    """Puts stars around the pronoun of a WSC text, as ``marked``; ``span1_text`` is the noun.

    SuperGLUE's files hold both spans in a table, the Hub's in columns of their own. Places are
    those of words between spaces.

    Raises:
        DataError: The text has no word at the pronoun's place.

    Source: Raffel et al. 2019, section 2.4, for the stars.
    """
    target = row.get("target")
    spans = {**row, **target} if isinstance(target, Mapping) else dict(row)
    words = str(spans["text"]).split(" ")
    place = _place(spans, "span2_index", words, "place of a word")
    words[place] = f"*{words[place]}*"
    return {**spans, "marked": " ".join(words)}


def _place(row: Row, field: str, items: Sequence[str], what: str) -> int:
    """The place in ``items`` that a field names.

    Raises:
        DataError: It names none.
    """
    try:
        return range(len(items))[int(row[field])]
    except (ValueError, IndexError):
        raise DataError(f"field {field!r} = {shown(row[field])} is not the {what}") from None


FUNCTIONS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "split_at_blank": split_at_blank,
    "shuffle_fakes": shuffle_fakes,
    "mark_pronoun": mark_pronoun,
}
NAMES = tuple(FUNCTIONS)
