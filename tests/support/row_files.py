"""Rows written in every format that data sets are distributed in."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
FORMATS = ("jsonl", "json", "csv", "tsv", "txt", "parquet", "arrow")


def row_bytes(rows: Sequence[Row], form: str) -> bytes:
    """A file of rows in a format, without a header line where it is ``txt``."""
    if form == "jsonl":
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    if form == "json":
        return json.dumps(list(rows), indent=1).encode()
    if form in ("parquet", "arrow"):
        return table_bytes(pa.Table.from_pylist(list(rows)), form)
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if form == "csv" else "\t", lineterminator="\n")
    lines = [list(row.values()) for row in rows]
    writer.writerows(lines if form == "txt" else [list(rows[0]), *lines])
    return text.getvalue().encode()


def table_bytes(table: pa.Table, form: str) -> bytes:
    """An arrow table as a parquet file or an arrow stream."""
    out = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, out)
    else:
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    return out.getvalue()


def write_rows(path: Path, content: bytes, *, zipped: bool) -> Path:
    """Writes a file of rows, or its ``.gz``; returns the path."""
    if zipped:
        path, content = path.with_name(f"{path.name}.gz"), gzip.compress(content, 1)
    path.write_bytes(content)
    return path
