"""Comma- and tab-separated text -> rows: header or none, and whether quote marks are text."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from stilt.errors import DataError, listed, shown

Row = dict[str, Any]
Record = tuple[int, list[str]]
"""The line that a record begins on, and its cells."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
CELL = re.compile(r'(?:"((?:[^"]|"")*+)"|([^"\t\r\n]*+))(\t|\r\n|\n|\r|\Z)')
"""A cell as a CSV writer leaves it: quoted, its own quote marks doubled; or without any."""
QUOTED = re.compile(r'(?:^|\t)"[^\t\r\n]*""[^\t\r\n]*"(?=\t|\r|\n|\Z)', re.MULTILINE)
"""A cell of one line that a CSV writer may have quoted: a quote mark within it is doubled."""


def read_delimited(
    text: str, suffix: str, path: Path, columns: Sequence[str] | None
) -> tuple[list[Row], str]:
    """Reads a table of cells.

    The data sets' own tab files quote nothing: a quote mark is text. pandas quotes cells of such a
    file, too, where they have quote marks or line ends. All cells of the file together tell which
    (``_unquoted``).

    Args:
        text: of the whole file.
        suffix: ``.csv`` (commas; quotes are no text) or another one (tabs).
        path: for messages.
        columns: names, where there is no header line. One that is there all the same is seen by
            two of its cells being such names.

    Returns:
        The rows; in words how quote marks were read, empty where that is not in question.

    Raises:
        DataError: A line has not as many cells as the header, or quote marks that do not pair.
    """
    comma = suffix == ".csv"
    said = ""
    records: Iterable[Record]
    if comma:
        records = _records(text, path, ",", csv.QUOTE_MINIMAL)
    else:
        unquoted, said = _unquoted(text, columns) if '"' in text else (None, "")
        records = unquoted or _records(text, path, "\t", csv.QUOTE_NONE)
    return list(_rows(records, path, "," if comma else "\t", columns)), said


def _records(text: str, path: Path, delimiter: str, quoting: Literal[0, 3]) -> Iterator[Record]:
    # strict: what follows a closing quote mark, or lacks one, would be run together
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            first = text.partition("\n")[0].strip()
            if line == 1 and delimiter not in first:
                _require_delimiter([first], line, path, delimiter)
            raise DataError(f"{path}, line {line}: cannot be read ({error}).") from None
        if cells is None:
            return
        if cells:
            yield line, cells


def _unquoted(text: str, columns: Sequence[str] | None) -> tuple[list[Record] | None, str]:
    """The records of a tab file that a CSV writer quoted; None where its quote marks are text.

    It was quoted if every cell of the file is as a writer leaves it, all lines then have as many
    cells, and some cell shows it: a doubled quote mark, a line end or a tab within one, or a first
    line of quoted cells alone.
    """
    records: list[Record] = []
    cells: list[str] = []
    place, line, quoted, shows = 0, 1, 0, False
    began, first = 1, True
    while place < len(text):
        found = CELL.match(text, place)
        if found is None:
            doubled = len(QUOTED.findall(text))
            mixed = f"quote marks are text: {doubled} cells look like CSV quoting, others do not"
            return None, mixed if doubled else ""
        inner, plain, end = found.groups()
        place = found.end()
        quoted += inner is not None
        first = first and inner is not None
        shows = shows or (inner is not None and re.search(r'""|[\t\r\n]', inner) is not None)
        cells.append(plain if inner is None else inner.replace('""', '"'))
        line += (inner or "").count("\n")
        if end != "\t":
            if cells != [""]:
                shows = shows or (not records and first and len(cells) > 1)
                records.append((began, cells))
            line += 1
            began, cells = line, []
    if cells:
        records.append((began, cells))
    width = len(columns or (records[0][1] if records else ()))
    if shows and all(len(row) == width for _, row in records):
        return records, f"quote marks around {quoted} cells are CSV quoting, and were taken off"
    return None, f"quote marks are text, also those around {quoted} whole cells"


def _rows(
    records: Iterable[Record], path: Path, delimiter: str, columns: Sequence[str] | None
) -> Iterator[Row]:
    names: Sequence[str] | None = None
    for line, cells in records:
        if names is None:
            header = columns is None or len(set(cells) & set(columns)) >= min(2, len(columns))
            names = cells if header else columns
            assert names is not None
            if columns is None or len(columns) > 1:
                _require_delimiter(cells, line, path, delimiter)
            if twice := repeated(names):
                raise DataError(
                    f"{path}, line {line}: the header names column {shown(twice)} twice."
                )
            if header:
                continue
        if len(cells) != len(names):
            raise DataError(
                f"{path}, line {line}: {len(cells)} columns, expected {len(names)} "
                f"({listed(names)})."
            )
        yield dict(zip(names, cells, strict=True))


def _require_delimiter(cells: Sequence[str], line: int, path: Path, delimiter: str) -> None:
    """Refuses a first line that is one cell because another character separates its parts."""
    for other, name in DELIMITERS.items():
        if len(cells) == 1 and other != delimiter and other in cells[0]:
            raise DataError(
                f"{path}, line {line}: {shown(cells[0])} is one column: {name} ({other!r}) "
                f"separate its parts, where {DELIMITERS[delimiter]} ({delimiter!r}) are expected."
            )


def repeated(names: Sequence[str]) -> str | None:
    """The first name that stands twice, if one does."""
    return next((name for name in names if name and names.count(name) > 1), None)
