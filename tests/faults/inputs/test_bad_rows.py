"""Files of rows and of labels with a mistake in them: told by file and line, or read whole."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from launcher.submit import main as submit
from tests.faults.inputs.conftest import MODEL
from tests.support.judged import Ended, complaints, ended, survey
from tests.support.mutations import (
    NUMBERS,
    ONLY_JSON,
    STRINGS,
    Mutation,
    Raw,
    json_text,
    mutated_bytes,
    mutated_table,
    replace_file,
    shown,
)
from tests.support.row_files import FORMATS, row_bytes, table_bytes, write_rows

TASK = """
kind = "classification"
text_a = "{{a}}"
text_b = "{{b}}"
labels = ["0", "1"]
max_length = 40
epochs = 1
[[data]]
train = "rows/train.{form}"
dev = "rows/dev.{form}"
{more}
"""
GRID = """
sources = ["none"]
targets = ["rows"]
learning_rate = [1e-3]
batch_size = [8]
warmup_ratio = [0.0]
seed = [12]
[model]
path = "set on the command line"
"""
ROWS = [{"a": f"one {i}?", "b": f"other {i * 7}, too", "label": str(i % 2)} for i in range(20)]
SEPARATOR = "\x1f"
"""Stands for the tokenizer's separator in rendered texts; a row that holds it is refused."""


def make(own: Path, form: str, more: str = "") -> Path:
    """Writes a grid of one task with rows of a format; returns their folder."""
    (own / "rows.toml").write_text(TASK.format(form=form, more=more))
    (own / "grid.toml").write_text(GRID)
    (own / "data/rows").mkdir()
    return own / "data/rows"


def begin(own: Path) -> Ended:
    """The submit, up to where a worker would start: rows are read, rendered and fixed."""
    places = ["--root", own / "logs", "--data-dir", own / "data", "--model", MODEL]
    return ended(submit, ["--grid", own / "grid.toml", "--executor", "local", *places])


def pinned(own: Path) -> dict:
    """What the study keeps of the rows that it took."""
    return json.loads((own / "logs/grid/data/rows.json").read_text())


def mutated_cells(rng: random.Random, form: str) -> Mutation:
    """Rows of a typed or delimited format with a column of another type, or a strange cell."""
    rows = [dict(row) for row in ROWS]
    if form in ("parquet", "arrow") and rng.random() < 0.5:
        column = rng.choice(("a", "b", "label"))
        made = {
            "whole numbers": pa.array(range(20)),
            "labels as numbers": pa.array([i % 2 for i in range(20)]),
            "labels as floats": pa.array([float(i % 2) for i in range(20)]),
            "labels as truth": pa.array([i % 2 == 0 for i in range(20)]),
            "NaN": pa.array([float("nan")] * 20),
            "nothing": pa.nulls(20),
            "lists": pa.array([["x", "y"]] * 20),
            "tables": pa.array([{"x": 1}] * 20),
            "bytes": pa.array([b"\xff\x00"] * 20),
            "times": pa.array([0] * 20, pa.timestamp("ns", tz="UTC")),
            "spans": pa.array([10**18] * 20, pa.duration("s")),
            "dates out of range": pa.array([2**62] * 20, pa.timestamp("ms")),
            "decimals": pa.array([1] * 20).cast(pa.decimal128(30, 2)),
            "a dictionary": pa.array(["0", "1"] * 10).dictionary_encode(),
            "half floats": pa.array([0.0] * 20, pa.float32()),
        }
        what = rng.choice(list(made))
        table = pa.Table.from_pylist(rows)
        table = table.set_column(table.column_names.index(column), column, made[what])
        if rng.random() < 0.1:
            what, table = "columns of one name", table.rename_columns(["a", "a", "label"])
        return Mutation(f"column {column} of {what}", table_bytes(table, form), (column,))
    place, column = rng.randrange(20), rng.choice(("a", "b", "label", "more"))
    if form in ("parquet", "arrow"):
        rows[place][column] = rng.choice(
            (None, *[text for text in STRINGS if "\ud800" not in text])
        )
    else:
        value = rng.choice((*STRINGS, *NUMBERS))
        rows[place][column] = value.text if isinstance(value, Raw) else value
    what = f"row {place + 1}, {column} = {shown(rows[place][column])}"
    return Mutation(what, row_bytes(rows, form), (column,))


def mutated(rng: random.Random, form: str) -> Mutation:
    """The bytes of a file of rows with one mistake."""
    if rng.random() < 0.45:
        return mutated_bytes(rng, row_bytes(ROWS, form))
    if form not in ("jsonl", "json"):
        return mutated_cells(rng, form)
    made = mutated_table(rng, ROWS, ONLY_JSON)
    rows = made.content
    text = json_text(rows) if form == "json" else "".join(f"{json_text(row)}\n" for row in rows)
    return Mutation(made.what, text.encode(), made.path, made.value)


def lines_of(content: bytes, form: str) -> int | None:
    """Rows that a text file holds by its line breaks; None where that does not tell."""
    if form not in ("jsonl", "csv", "tsv", "txt"):
        return None
    lines = [line for line in content.replace(b"\r\n", b"\n").split(b"\n") if line.strip()]
    return len(lines) - (form in ("csv", "tsv"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_rows_is_refused_by_its_name_or_no_row_of_it_is_lost(seeds, fresh, form):
    def case(rng):
        own = fresh()
        folder = make(own, form, 'columns = ["a", "b", "label"]' if form == "txt" else "")
        zipped, split = rng.random() < 0.3, rng.choice(("train", "dev"))
        for name in ("train", "dev"):
            path = write_rows(folder / f"{name}.{form}", row_bytes(ROWS, form), zipped=zipped)
            path.rename(folder / path.name)
        path = folder / f"{split}.{form}{'.gz' if zipped else ''}"
        content = None
        if rng.random() < 0.05:
            what = replace_file(rng, path)
        elif zipped and rng.random() < 0.4:
            made = mutated_bytes(rng, path.read_bytes())
            what, _ = f"in the .gz: {made.what}", path.write_bytes(made.content)
        else:
            made = mutated(rng, form)
            what, content = made.what, made.content
            path = write_rows(folder / f"{split}.{form}", content, zipped=zipped)
        end = begin(own)
        found = complaints(end, named=[f"{split}.{form}"])
        if end.code == 0 and content is not None:
            count = lines_of(content, form)
            kept = pinned(own)[split]
            if count not in (None, kept) and "\\n" not in what and '"' not in what:
                found.append(f"{kept} rows were read of {count}")
            if SEPARATOR.encode() in content and form in ("csv", "tsv", "txt"):
                found.append("a row that holds the separator's placeholder was taken")
        elif end.code == 0 and pinned(own)[split] != len(ROWS):
            found.append(f"{pinned(own)[split]} rows were read of {len(ROWS)}")
        return [f"{split}.{form} {what}: {one}" for one in found]

    survey(seeds, f"rows in {form}", case)


def test_a_file_of_labels_is_refused_by_its_name_or_every_label_is_taken(seeds, fresh):
    def case(rng):
        own = fresh()
        folder = make(own, "jsonl", 'train_labels = "rows/labels.lst"\ndev_labels = "rows/dev.lst"')
        rows = [{"a": row["a"], "b": row["b"]} for row in ROWS]
        for name in ("train", "dev"):
            (folder / f"{name}.jsonl").write_bytes(row_bytes(rows, "jsonl"))
        lines = [f"{row['label']}\n" for row in ROWS]
        (folder / "dev.lst").write_text("".join(lines))
        zipped = rng.random() < 0.3
        good = "".join(lines).encode()
        path = write_rows(folder / "labels.lst", good, zipped=zipped)
        content = None
        if rng.random() < 0.08:
            what = replace_file(rng, path)
        elif rng.random() < 0.5:
            made = mutated_bytes(rng, good)
            what, content = made.what, made.content
            write_rows(folder / "labels.lst", content, zipped=zipped)
        else:
            place, value = rng.randrange(20), rng.choice(STRINGS)
            what = f"line {place + 1} = {shown(value)}"
            content = "".join([*lines[:place], f"{value}\n", *lines[place + 1 :]]).encode()
            write_rows(folder / "labels.lst", content, zipped=zipped)
        end = begin(own)
        found = complaints(end, named=["rows/labels.lst"])
        if end.code == 0 and content is not None and content.split() != good.split():
            values = [line.strip() for line in content.decode("utf-8-sig").split("\n")]
            if [value for value in values if value not in ("", "0", "1")]:
                found.append("a label that is none was taken")
        return [f"{what}: {one}" for one in found]

    survey(seeds, "labels", case)
