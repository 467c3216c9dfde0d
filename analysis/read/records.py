"""Result files -> a frame, thousands at a time; files that are no results are named, not read.

To check every record with pydantic would cost most of the time of reading it. So polars reads the
lines, and a line is taken as it is only if it has the shape of a line that pydantic accepted (the
same field names in the same order, with values of the same kinds) and its values keep the model's
limits. Any other is judged by pydantic alone: the quick way may only agree, never decide.
"""

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import polars as pl

from analysis.read.lineschema import line_limits, line_types
from analysis.read.problems import Problem, judge
from analysis.read.soundness import sound
from stilt.records.results import Result

CURVE = pl.List(pl.Struct({"step": pl.Int64, "value": pl.Float64}))
"""Points of a training curve; a value is null where it was not finite."""

BATCH = 4096
"""Files in a batch, of which two are in memory: at 10 kB a result, some 80 MB of text."""

HYPERPARAMETERS = ("learning_rate", "batch_size", "warmup_ratio", "init_seed", "order_seed")
"""Hyperparameters that are columns; ``seed`` is the cell's own."""

_TYPES = line_types(Result)
_PARSED = line_types(Result, whole=pl.Float64)
_LIMITS = line_limits(Result)
_SHAPE = r'"[^"\\]*":(?:["{ntf]|\[[^"\]]?)?|[\[,][^"{\]]'
"""What compact JSON looks like without its values: each field's name and whether a string, table,
list, null or truth value follows, and list items that are neither strings nor tables. Within a
string a quote has a backslash before it, so no value passes for a name."""


_NUMBERS = (
    r"^(?:(?:0|[1-9][0-9]{0,17}),"
    r"(?:null|-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)(?:\],\[|$))+$"
)
"""The text of a curve: whole numbers, each with a finite number or null."""


class _Line(NamedTuple):
    """A result's line without its curves, which are half of it and read faster apart."""

    file: str
    text: bytes
    loss: bytes | None
    gradient_norm: bytes | None


def read_results(
    root: Path, files: Sequence[str], batch: int = BATCH
) -> Iterator[tuple[pl.DataFrame, list[Problem]]]:
    """Reads results, a batch at a time.

    Args:
        root: the study's folder.
        files: paths below ``root``.
        batch: files in memory at once.

    Yields:
        A frame with ``file`` and the columns that ``_flat`` makes of a result, and the files of
        the batch that are no results. At least once, so that the columns are always known.
    """
    accepted: set[str] = set()
    batches = [files[start : start + batch] for start in range(0, len(files), batch)] or [[]]
    # while polars parses one batch, a thread waits for the disk to bring the next
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(_lines, root, batches[0])
        for some, after in zip_longest(batches, batches[1:], fillvalue=()):
            lines = coming.result()
            coming = reader.submit(_lines, root, after)
            yield _frame(root, some, lines, accepted)


def utc(time: str | pl.Expr) -> pl.Expr:
    """ISO 8601 text -> time in UTC; null where it is no time with a zone."""
    column = pl.col(time) if isinstance(time, str) else time
    return column.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def _lines(root: Path, files: Sequence[str]) -> list[_Line]:
    return [line for file in files if (line := _read(root, file)) is not None]


def _frame(
    root: Path, files: Sequence[str], lines: list[_Line], accepted: set[str]
) -> tuple[pl.DataFrame, list[Problem]]:
    """Files and what was read of them -> one frame, and the files that are no results."""
    frames = []
    for parsed in _parse(lines):
        frames.append(_flat(parsed.filter(_agrees(parsed, root, accepted))))
    taken = {file for frame in frames for file in frame["file"]}
    problems, odd = [], []
    for file in files:
        if file in taken:
            continue
        verdict = judge(Result, root, file)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        else:
            odd.append((file, verdict))
    if odd or not frames:
        frames.append(results_frame(odd))
    return pl.concat(frames), problems


def results_frame(results: Sequence[tuple[str, Result]]) -> pl.DataFrame:
    """Results that are already in memory, with the names of their files -> the same columns."""
    lines = []
    for file, result in results:
        text = json.dumps(result.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)
        lines.append(_cut(file, f"{text}\n".encode()))
    return _flat(_table([line for line in lines if line is not None]))


def _read(root: Path, file: str) -> _Line | None:
    try:
        # half the time of Path.read_bytes, which counts a hundred thousand times
        with io.FileIO(f"{root}/{file}") as opened:
            return _cut(file, opened.readall())
    except OSError:
        return None


def _cut(file: str, text: bytes) -> _Line | None:
    """Cuts the curves out of a line; None where the text is not one compact line of ours.

    A curve that is found leaves an empty list behind, and becomes text such as ``1,0.5],[2,null``.
    """
    if not text.startswith(b'{"schema_version":') or text.find(b"\n") != len(text) - 1:
        return None
    curves: list[bytes | None] = []
    kept = []
    at = 0
    for opening in (b'"loss":[[', b'"gradient_norm":[['):
        start = text.find(opening, at)
        inner = start + len(opening)
        end = text.find(b'"', inner) - 3  # before the next field's name: numbers have no quotes
        if start < 0 or text[end : end + 3] != b"]],":
            curves.append(None)
            continue
        curves.append(text[inner:end])
        kept.append(text[at : inner - 1])
        at = end + 1
    return _Line(file, b"".join([*kept, text[at:]]), *curves)


def _parse(lines: list[_Line]) -> list[pl.DataFrame]:
    """Parses lines; those that polars cannot read are in none of the frames."""
    if not lines:
        return []
    try:
        return [_table(lines)]
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        half = len(lines) // 2
        return _parse(lines[:half]) + _parse(lines[half:]) if half else []


def _table(lines: list[_Line]) -> pl.DataFrame:
    """One row per line: its fields, ``file``, ``shape``, and the texts of the two curves.

    Raises:
        PolarsError, UnicodeDecodeError: A line is not what it should be.
    """
    own = {
        "file": [line.file for line in lines],
        "text": [line.text.decode() for line in lines],
        "loss": [line.loss and line.loss.decode() for line in lines],
        "gradient_norm": [line.gradient_norm and line.gradient_norm.decode() for line in lines],
    }
    return (
        pl.DataFrame(own, schema=dict.fromkeys(own, pl.String))
        .select(
            "file",
            "loss",
            "gradient_norm",
            # a third of the time that read_ndjson takes for the same lines
            pl.col("text").str.json_decode(pl.Struct(_PARSED)).alias("fields"),
            shape=pl.col("text").str.extract_all(_SHAPE).list.join(""),
            numbers=pl.all_horizontal(
                pl.col(curve).str.contains(_NUMBERS).fill_null(value=True)
                for curve in ("loss", "gradient_norm")
            ),
        )
        .unnest("fields")
    )


def points(curve: str) -> pl.Expr:
    """The text of a curve -> its points, ``CURVE``."""
    part = pl.element()
    return (
        pl.col(curve)
        .str.replace_all("],[", ",", literal=True)
        .str.split(",")
        .list.eval(
            pl.struct(
                step=part.gather_every(2).cast(pl.Int64),
                value=part.gather_every(2, 1).replace("null", None).cast(pl.Float64),
            )
        )
    )


def _agrees(frame: pl.DataFrame, root: Path, accepted: set[str]) -> pl.Series:
    """Whether pydantic would accept each row: it has seen one of the same shape."""
    within = frame.select(_LIMITS & pl.col("numbers")).to_series()
    for shape, file in (
        frame.filter(within & ~frame["shape"].is_in(accepted))
        .group_by("shape")
        .agg(pl.col("file").first())
        .iter_rows()
    ):
        if not isinstance(judge(Result, root, file), Problem):
            accepted.add(shape)
    return within & frame["shape"].is_in(accepted)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """One column for everything of a result that the analysis uses; curves stay text.

    ``sound`` says whether they agree with each other, see ``analysis.read.soundness``.
    """
    cell, dev, training = pl.col("cell").struct, pl.col("dev").struct, pl.col("training").struct
    point = cell.field("hyperparameters").struct
    tokens, seconds = training.field("tokens").struct, pl.col("timings").struct
    where = pl.col("provenance").struct
    predictions, gold = dev.field("predictions"), dev.field("gold")
    first = predictions.str.head(1)
    typed = frame.with_columns(pl.col(name).cast(kind) for name, kind in _TYPES.items())
    return typed.select(
        "file",
        pl.col("study").alias("study_id"),
        cell.field("id").alias("cell"),
        *(cell.field(name) for name in ("stage", "source", "source_id", "target", "seed")),
        *(point.field(name) for name in HYPERPARAMETERS),
        "status",
        "metric",
        "score",
        *(dev.field(name) for name in ("accuracy", "mcc")),
        dev.field("loss").alias("dev_loss"),
        *("majority", "chance", "classes", "train_rows", "dev_rows", "data"),
        dev.field("ties"),
        (predictions.str.strip_chars_start(first) == "").alias("constant"),
        *(predictions, gold),
        *(training.field(name) for name in ("updates", "final_loss", "lowest_loss")),
        *("loss", "gradient_norm"),
        tokens.field("real").alias("tokens_real"),
        tokens.field("computed").alias("tokens_computed"),
        pl.sum_horizontal(
            seconds.field(name) for name in ("load", "encode", "train", "evaluate")
        ).alias("seconds"),
        seconds.field("train").alias("train_seconds"),
        utc(where.field("started")),
        utc(where.field("finished")),
        *(where.field(name) for name in ("host", "job", "attempt", "device", "commit", "code")),
        sound=sound(),
    )
