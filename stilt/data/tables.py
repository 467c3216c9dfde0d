"""Data files of any usual format -> rows (dicts), with errors that name the file and the line."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from stilt.config import UTF16, UTF16_SAID
from stilt.data.delimited import Row, read_delimited, repeated
from stilt.errors import DataError, first_line, shown

FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".lst", ".parquet", ".arrow")


class Table(NamedTuple):
    """The rows of a file."""

    rows: list[Row]
    quoting: str = ""
    """How quote marks were read, in words, where a file leaves that in question."""


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[Row]:
    """The rows alone, see ``read_table``."""
    return read_table(path, columns).rows


def read_table(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Reads a file of rows: jsonl, json, csv, tsv, txt, lst, parquet or arrow, each also .gz.

    ``columns`` are the names of those of a delimited file without a header line.

    Raises:
        DataError: Unknown format, or a line that is not what the format says.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise DataError(f"{path}: format {suffix!r} is not known; known: {', '.join(FORMATS)}.")
    with opened(path) as file:
        if suffix in (".parquet", ".arrow"):
            return Table(_columnar(file.buffer.read(), suffix, path))
        text = file.read()
        if suffix == ".jsonl":
            return Table(_json_lines(text, path))
        if suffix == ".json":
            return Table(_json_table(text, path))
        return Table(*read_delimited(text, suffix, path, columns))


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
        raise DataError(f"{path}{_not_utf8(path, error)}.") from None
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


DAMAGED = (OSError, EOFError, ValueError, RecursionError, MemoryError, zlib.error)
"""What reading a file raises that is not what its name says; pyarrow's errors are among them."""


def _not_utf8(path: Path, error: UnicodeDecodeError) -> str:
    """What is said of a file in another encoding, and of which line: decoding does not tell."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except DAMAGED as damage:
        return f": cannot be read ({first_line(damage)})"
    if content.startswith(UTF16):
        return f": {UTF16_SAID}"
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as found:
            byte = line[found.start]
            return f", line {number}: not UTF-8 (byte 0x{byte:02x}, column {found.start + 1})"
    return f": cannot be read ({error})"


def _columnar(content: bytes, suffix: str, path: Path) -> list[Row]:
    """The rows of an Arrow or Parquet file.

    Offsets that point beyond their buffers, as in a damaged file, would end the process when they
    are followed: all are checked before.
    """
    import pyarrow as pa  # takes long, and other formats do without
    import pyarrow.parquet as pq

    try:
        if suffix == ".parquet":
            table = pq.read_table(io.BytesIO(content))
        else:
            ipc = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
            table = ipc(content).read_all()
        table.validate(full=True)
        return list(table.to_pylist())
    except (*DAMAGED, OverflowError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}).") from None


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """An object whose keys differ: of two values under one key, json would take the last."""
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = shown(repeated([key for key, _ in pairs]))
        raise ValueError(f"key {twice} stands twice in an object")
    return row


_JSON = json.JSONDecoder(object_pairs_hook=_once)


def _json_lines(text: str, path: Path) -> list[Row]:
    """One object a line, or all of them in one list, as other writers of this name leave them."""
    if text.lstrip()[:1] == "[":
        try:
            table = _JSON.decode(text)
        except (ValueError, RecursionError):
            table = None
        if _is_table(table):
            return list(table)
    rows = []
    # splitlines() would also split at U+2028, which JSON strings may hold
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if not line.strip():
            continue
        try:
            row = _JSON.decode(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({first_line(error)}).") from None
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, line {number}: an object is expected, not {shown(line.strip(), 60)}."
            )
        rows.append(row)
    return rows


def _json_table(text: str, path: Path) -> list[Row]:
    """A list of objects, itself or under ``data``; or one object a line, as ``to_json`` writes."""
    try:
        table = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        if _is_object(text.lstrip().partition("\n")[0]):
            return _json_lines(text, path)
        raise DataError(f"{path}: not JSON ({first_line(error)}).") from None
    if isinstance(table, dict):
        table = table.get("data", table)
    if not _is_table(table):
        raise DataError(f"{path}: a list of objects is expected (or one under 'data').")
    return list(table)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
