"""Data files of any usual format -> rows (dicts), with errors that name the file and the line."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from stilt.errors import DataError

Row = dict[str, Any]

FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".lst", ".parquet", ".arrow")


def find(path: Path) -> Path | None:
    """The file itself or its ``.gz``; None where neither exists."""
    zipped = path.with_name(path.name + ".gz")
    return next((p for p in (path, zipped) if p.is_file()), None)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[Row]:
    """Reads a file of rows: jsonl, json, csv, tsv, txt, lst, parquet or arrow, each also .gz.

    ``columns`` are the names of those of a delimited file without a header line.

    Raises:
        DataError: Unknown format, or a line that is not what the format says.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise DataError(f"{path}: format {suffix!r} is not known; known: {', '.join(FORMATS)}.")
    with opened(path) as file:
        return list(_rows(file, suffix, path, columns))


def read_lines(path: Path) -> list[str]:
    """Reads a file of one value a line, such as SocialIQA's labels.

    Raises:
        DataError: It cannot be read.
    """
    with opened(path) as file:
        return [line.strip() for line in file if line.strip()]


@contextmanager
def opened(path: Path, newline: str | None = "") -> Iterator[TextIO]:
    """Opens a text file, which may be gzipped, for what is read within.

    Raises:
        DataError: It cannot be opened, unzipped, decoded or parsed.
    """
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path, error)) from None
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error}).") from None


DAMAGED = (
    *(OSError, EOFError, ValueError, RecursionError),
    *(zlib.error, csv.Error, pa.ArrowException),
)
"""What reading a file raises that is not what its name says."""


def _not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    """Which line of a file is in another encoding: decoding by blocks does not tell."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as found:
            byte = line[found.start]
            return (
                f"{path}, line {number}: not UTF-8 (byte 0x{byte:02x}, column {found.start + 1})."
            )
    return f"{path}: cannot be read ({error})."


def _rows(file: TextIO, suffix: str, path: Path, columns: Sequence[str] | None) -> Iterable[Row]:
    if suffix == ".jsonl":
        return _json_lines(file, path)
    if suffix == ".json":
        return _json_table(file, path)
    if suffix not in (".parquet", ".arrow"):
        return _delimited(file, suffix, path, columns)
    content = file.buffer.read()
    if suffix == ".parquet":
        table = pq.read_table(io.BytesIO(content))
    else:
        ipc = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
        table = ipc(content).read_all()
    # a damaged file's offsets may lead anywhere: unchecked they end the process, without a word
    table.validate(full=True)
    return list(table.to_pylist())


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """An object whose keys differ: of two values under one key, json would take the last."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"key {_repeated([key for key, _ in pairs])!r} stands twice in an object")
    return row


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for name in names if name and names.count(name) > 1), None)


_JSON = json.JSONDecoder(object_pairs_hook=_once)


def _json_lines(file: TextIO, path: Path) -> Iterator[Row]:
    # splitlines() would also split at U+2028, which JSON strings may hold
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = _JSON.decode(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({error}).") from None
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: an object is expected, not {line.strip()[:60]!r}."
            )
        yield row


def _json_table(file: TextIO, path: Path) -> list[Row]:
    text = file.read()
    try:
        table = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}).") from None
    if isinstance(table, dict):
        table = table.get("data", table)
    if not isinstance(table, list) or not all(isinstance(row, dict) for row in table):
        raise DataError(f"{path}: a list of objects is expected (or one under 'data').")
    return table


def _delimited(
    file: TextIO, suffix: str, path: Path, columns: Sequence[str] | None
) -> Iterator[Row]:
    # the data sets' tab files quote nothing: a lone double quote is text
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if suffix == ".csv" else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter="," if suffix == ".csv" else "\t", quoting=quoting)
    names = columns
    for cells in reader:
        if not cells:
            continue
        if names is None:
            names = cells
            if twice := _repeated(names):
                raise DataError(
                    f"{path}, line {reader.line_num}: the header names column {twice!r} twice."
                )
            continue
        if len(cells) != len(names):
            raise DataError(
                f"{path}, line {reader.line_num}: {len(cells)} columns, expected {len(names)} "
                f"({', '.join(names)})."
            )
        yield dict(zip(names, cells, strict=True))
