"""What is odd in a task's rows and may be meant all the same: told wherever a study is shown."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from stilt.config import Frozen
from stilt.errors import listed, printable
from stilt.folder import StudyFolder
from stilt.rows import SPECIAL, FieldName
from stilt.system.units import counted
from stilt.task import Task, fields_of, segments_of

SEPARATOR = "\x1f"
"""Stands for the tokenizer's separator until a tokenizer is there; no text holds it."""

Kind = Literal[
    "quoting", "numbers", "absent", "printed", "items", "special", "blank", "constant", "classes",
    "overlap", "quoted", "fewer", "few",
]  # fmt: skip

ABSENT = frozenset({"NaN", "nan", "<NA>", "null", "NULL", "None", "#N/A"})
"""Words that programs write for a value that is not there."""
PRINTED = re.compile(r"""\[\s*['"].*['"]\s*\]\Z|\{\s*['"]\w+['"]\s*:.*\}\Z""", re.DOTALL)
"""A list of texts, or a table, as Python or JSON write it."""
CSV = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"\Z')
"""A text with quote marks as a CSV writer leaves it."""
EXAMPLES = 3
"""Rows that are named of an oddity."""
FEW = 50
"""Rows of dev below which a person is told how little they can tell."""
SPANS = 60
"""Rows, or runs of rows, that are named of blank texts, all of which a person has to find."""


class Oddity(Frozen):
    """One thing that is odd in a task's rows."""

    kind: Kind
    text: str
    """What, in which split and rows, and how it is read."""


def kept_oddities(folder: StudyFolder) -> dict[str, tuple[Oddity, ...]]:
    """What was odd in the rows of a study, by task, from the files that fix these rows.

    Files that tell nothing of it, as an earlier version or a damage leaves them, are passed over:
    whoever trains on the rows refuses them.
    """
    found = {}
    for path in sorted(folder.data_digest("x").parent.glob("*.json")):
        try:
            kept = Kept.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue
        if kept.odd:
            found[path.stem] = kept.odd
    return found


class Kept(BaseModel):
    """Of a file that fixes a task's rows, what is odd in them."""

    model_config = ConfigDict(defer_build=True)

    odd: tuple[Oddity, ...] = ()


class Tally:
    """Counts what is odd in the rows of one split as they are rendered."""

    def __init__(self, task: Task) -> None:
        self._fields = fields_of(task)
        self._segments = segments_of(task)
        self._rows: dict[tuple[Kind, str], list[int]] = {}
        self._texts: set[tuple[str, ...]] = set()
        self._number = 0

    def look(
        self, number: int, row: Mapping[str, Any], values: Mapping[str, Any], texts: Sequence[str]
    ) -> None:
        """Looks at one row.

        Args:
            number: of the row, from 1.
            row: as the file has it.
            values: what each field of the templates stands for, by its name.
            texts: the same as text, in the same order.
        """
        self._number = number
        if len(self._texts) < 2:
            self._texts.add(tuple(texts))
        for (name, value), text in zip(values.items(), texts, strict=True):
            if not isinstance(value, str):
                self._count("numbers", name, number)
            elif text in ABSENT:
                self._count("absent", f"{name}\0{text}", number)
            elif "<" in text or "[" in text or "{" in text:
                if PRINTED.match(text):
                    self._count("printed", name, number)
                for token in SPECIAL.findall(text):
                    self._count("special", token, number)
            elif text[:1] == '"' and CSV.match(text):
                self._count("quoted", name, number)
        for column, wanted in _lengths(self._fields).items():
            if isinstance(row.get(column), (list, tuple)) and len(row[column]) > wanted:
                self._count("items", f"{column}\0{wanted}", number)
        if all(map(str.strip, texts)):
            return
        for names in self._segments:
            # what a row function makes may be empty: a sentence may begin with its blank
            raw = all(field.column in row for field in names)
            if names and raw and not any(str(values[field.name]).strip() for field in names):
                self._count("blank", " and ".join(field.name for field in names), number)

    def _count(self, kind: Kind, what: str, number: int) -> None:
        found = self._rows.setdefault((kind, what), [])
        if not found or found[-1] != number:
            found.append(number)

    def found(self, split: str) -> Iterator[Oddity]:
        """What was odd, in a split of that name."""
        for (kind, what), numbers in self._rows.items():
            name, _, more = what.partition("\0")
            some = _rows(numbers) if kind != "blank" else _all_rows(numbers)
            said = {
                "numbers": f"{name!r} is a number or a truth value in {some}: read as Python "
                "writes it",
                "absent": f"{name!r} is the word {more!r} in {some}: read as that word",
                "printed": f"{name!r} looks like a printed list or table in {some}: read as it "
                f"stands; a template can name its items, as {{{name}[0]}}",
                "quoted": f"{name!r} looks like a quoted cell of CSV in {some}: read as it stands, "
                "with its quote marks",
                "special": f"{name!r} stands in {some}: read as these characters, not as a token "
                "of the tokenizer's own; its separator is {sep} in a template",
                "items": f"{name!r} has more than {more} items in {some}: the templates name no "
                "others",
                "blank": f"no text in {name} in {some}",
            }[kind]
            yield Oddity(kind=kind, text=f"{split}: {said}.")
        if self._number > 1 and len(self._texts) == 1:
            yield Oddity(kind="constant", text=f"{split}: every row has the same text.")


def _rows(numbers: Sequence[int]) -> str:
    word = "row" if len(numbers) == 1 else f"{len(numbers)} rows:"
    return f"{word} {listed(numbers, EXAMPLES)}"


def _all_rows(numbers: Sequence[int]) -> str:
    """Every row, neighbours as ``3-7``; of very many the first."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    named = [str(a) if a == b else f"{a}-{b}" for a, b in spans[:SPANS]]
    more = f" and {len(spans) - SPANS} more places" if len(spans) > SPANS else ""
    word = "row" if len(numbers) == 1 else f"{len(numbers)} rows:"
    return f"{word} {', '.join(named)}{more}"


def fewer_rows(task: Task, split: str, rows: int) -> Iterator[Oddity]:
    """Told where a split has fewer rows than its task file says."""
    if task.size is None or task.synthesis:
        return
    whole = task.size.train if split == "train" else task.size.dev
    if rows < whole:
        text = f"{split}: {rows} rows, and its task file speaks of {whole}: is the file whole?"
        yield Oddity(kind="fewer", text=text)


def few_dev_rows(rows: int) -> Iterator[Oddity]:
    """Told where dev has so few rows that a score cannot be told from another one."""
    if 0 < rows < FEW:
        text = f"dev has {counted(rows, 'row')}: one row is {100 / rows:.1f} points of accuracy, "
        text += "and smaller differences cannot be seen."
        yield Oddity(kind="few", text=text)


def _lengths(fields: Iterable[FieldName]) -> dict[str, int]:
    """How many items of each list column the templates name."""
    found: dict[str, int] = {}
    for field in fields:
        if field.keys and field.keys[0].isdecimal():
            found[field.column] = max(found.get(field.column, 0), int(field.keys[0]) + 1)
    return found


def oddities_of_splits(task: Task, train: Sequence[Any], dev: Sequence[Any]) -> Iterator[Oddity]:
    """What is odd in the examples of both splits together: rows in both, classes in one alone."""
    seen = {example.pairs for example in train}
    shared = sum(example.pairs in seen for example in dev)
    if shared:
        same = len(train) == len(dev) and Counter(train) == Counter(dev)
        text = (
            f"dev has the very rows of train ({len(dev)}): its score tells what was remembered."
            if same
            else f"dev: {shared} of {len(dev)} rows have a text that stands in train, too."
        )
        yield Oddity(kind="overlap", text=text)
    if task.kind == "regression":
        for split, examples in (("train", train), ("dev", dev)):
            if len({e.label for e in examples}) == 1:
                text = f"{split}: every row has the label {examples[0].label:g}: "
                text += "nothing can be learnt." if split == "train" else "its score tells nothing."
                yield Oddity(kind="classes", text=text)
    # an option's place tells nothing: each is scored by itself
    if task.kind != "classification":
        return
    counts = {"train": Counter(e.label for e in train), "dev": Counter(e.label for e in dev)}
    for split, count in counts.items():
        if len(count) == 1:
            name = printable(task.labels[next(iter(count))][0], 40)
            what = "nothing can be learnt" if split == "train" else "its score tells nothing"
            text = f"{split}: every row has the label {name!r}: {what}."
            yield Oddity(kind="classes", text=text)
    unseen = sorted(counts["dev"].keys() - counts["train"].keys())
    if unseen and len(counts["train"]) > 1:
        some = ", ".join(
            f"{printable(task.labels[i][0], 40)!r} ({counts['dev'][i]} rows)" for i in unseen
        )
        yield Oddity(kind="classes", text=f"dev has labels that no row of train has: {some}.")
    absent = [i for i in range(len(task.labels)) if not (counts["train"][i] or counts["dev"][i])]
    if absent and all(len(count) > 1 for count in counts.values()):
        names = ", ".join(repr(printable(task.labels[i][0], 40)) for i in absent)
        yield Oddity(kind="classes", text=f"no row of train or dev has the label {names}.")
