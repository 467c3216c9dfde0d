"""Result files -> a frame; files that are no results are named and left out."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from analysis.read.columns import CURVE, FRAME, TIME, DataType, Schema
from analysis.read.problems import Problem, read
from stilt.cell import Cell, Hyperparameters, Source
from stilt.config import Frozen
from stilt.records.answers import is_numbers, numbers_of
from stilt.records.results import Result, Score, SourceResult, Tokens, Training
from stilt.records.validity import measured

FROM_ELSEWHERE = (
    *("study", "source_task", "source_size", "source_seed", "kind", "examples"),
    *("failure_kind", "failure_message", "log"),
)
"""Columns of ``FRAME`` that no result holds."""

ALL_BUT_EQUAL = 0.01
"""Spread of predicted numbers, as a share of the labels', below which they are one answer: they
could not explain a ten-thousandth of the labels' variance."""
COLUMNS: Schema = {
    "file": pl.String,
    "kind": pl.String,  # of task, as far as its score tells
    "gold_id": pl.String,  # of the labels that it was scored on
} | {name: kind for name, kind in FRAME.items() if name not in FROM_ELSEWHERE}
"""What is kept of a result: what it is judged by, and columns of ``FRAME``."""

Row = dict[str, Any]
"""Values by column; a curve is ``Packed``, a time is ISO 8601 text."""

Packed = tuple[Sequence[int], NDArray[np.float64]]
"""Steps and values of a curve: a seventh of the memory of its points."""


Batch = tuple[pl.DataFrame, list[Problem]]
"""Rows, and files that are left out."""


def read_results(root: Path, files: Iterable[str]) -> Batch:
    """Reads results: ``COLUMNS`` of each, and the files that are none.

    Args:
        root: the study's folder.
        files: paths below ``root``; all are in memory at once, at 10 kB a result some 15 kB each.
    """
    rows, problems = [], []
    for file in files:
        verdict = read(Result, root, file)
        if isinstance(verdict, Problem):
            problems.append(verdict)
        else:
            rows.append(result_row(file, verdict))
    frame, large = frame_of_records(rows, COLUMNS)
    return frame, problems + large


def frame_of_records(rows: Sequence[Row], schema: Schema) -> Batch:
    """Rows of records, each with its ``file`` -> a frame; what no column can hold is a problem."""
    try:
        return frame_of(rows, schema), []
    except (TypeError, UnicodeEncodeError):
        kept, problems = [], []
    for row in rows:
        # a command line or a path need not be Unicode: what is not is shown by its code
        shown = {name: _unicode(value) for name, value in row.items()}
        try:
            frame_of([shown], schema)
        except TypeError:
            problems.append(Problem(row["file"], "schema", "a whole number has over 63 bits"))
        else:
            kept.append(shown)
    return frame_of(kept, schema), problems


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    # of other columns with several values, curves hold numbers alone
    texts = isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)
    return [_unicode(part) for part in value] if texts else value


def frame_of(rows: Sequence[Row], schema: Schema) -> pl.DataFrame:
    """Rows -> a frame, column by column, which is faster than row by row.

    Raises:
        TypeError: A whole number is too large.
        UnicodeEncodeError: A text is not Unicode.
    """
    return pl.DataFrame(
        [_column(name, [row[name] for row in rows], kind) for name, kind in schema.items()]
    )


def result_row(file: str, result: Result | SourceResult) -> Row:
    """What is kept of a result."""
    dev, training = _fields(Score, result.dev), _fields(Training, result.training)
    if dev["withheld"]:
        dev = {**dev, "predictions": None, "gold": None}
    tokens, seconds, said = _fields(Tokens, training["tokens"]), result.timings, dev["predictions"]
    said_of_rows = measured(result)
    found = {
        # fields whose column has their name; a score's loss gives way to the curve of that name
        **dev,
        **training,
        **vars(result),
        **vars(result.provenance),
        **identify(result.item),
        "file": file,
        "taken_from": result.taken_from.study if result.taken_from else None,
        "start": result.start if isinstance(result, Result) else None,
        "kind": said_of_rows.kind,
        "gold_id": said_of_rows.gold_id,
        "dev_loss": dev["loss"],
        "constant": dev["constant"]
        if said is None
        else constant_answer(result.metric, said, dev["gold"]),
        "carried": _joined(training["carried"]),
        "fresh": _joined(training["fresh"]),
        "loss": _packed(training["loss"]),
        "gradient_norm": _packed(training["gradient_norm"]),
        "tokens_real": tokens["real"],
        "tokens_computed": tokens["computed"],
        "seconds": (seconds.load + seconds.encode) + (seconds.train + seconds.evaluate),
        "train_seconds": seconds.train,
    }
    return {name: found[name] for name in COLUMNS}


def constant_answer(metric: str, said: str, gold: str) -> bool:
    """Whether all answers are one class; in regression, all but equal for numbers so far apart."""
    if not is_numbers(metric):
        return said == said[:1] * len(said)
    return bool(np.std(numbers_of(said)) < ALL_BUT_EQUAL * np.std(numbers_of(gold)))


def _fields(model: type[Frozen], part: Frozen | None) -> Row:
    """Fields of a part of a record; all are None where the record lacks it."""
    return dict.fromkeys(model.model_fields) if part is None else vars(part)


def identify(item: Cell | Source) -> Row:
    """Id and ``IDENTITY`` of what is run; a source's target is its own task."""
    if isinstance(item, Source):
        stage, source, target, seed = "source", item.name, item.task, item.hyperparameters.seed
    else:
        stage, source, target, seed = item.stage, item.source, item.target, item.seed
    return {
        **_fields(Hyperparameters, item.hyperparameters),
        "cell": item.id,
        "stage": stage,
        "source": source,
        "source_id": item.id if isinstance(item, Source) else item.source_id,
        "target": target,
        "seed": seed,
    }


def _joined(names: Iterable[str] | None) -> str | None:
    """Names as one text; None where there is no list of them."""
    return None if names is None else ", ".join(names)


def _packed(curve: Iterable[tuple[int, float | None]] | None) -> Packed | None:
    """A result's curve as arrays; None without points."""
    if not curve:
        return None
    steps, values = zip(*curve, strict=True)
    numbers = np.array(values, np.float64)  # None becomes NaN
    try:
        return array("q", steps), numbers
    except OverflowError:
        return steps, numbers  # which no column takes


def _column(name: str, values: list[Any], kind: DataType) -> pl.Series:
    if kind == TIME:
        text = pl.Series(name, values, pl.String)
        # null where it is no time with a zone
        return text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if kind != CURVE:
        return pl.Series(name, values, kind)
    given = [curve for curve in values if curve]
    steps = np.frombuffer(b"".join(steps for steps, _ in given), np.int64)
    numbers = np.frombuffer(b"".join(numbers for _, numbers in given), np.float64)
    points = pl.DataFrame({"step": steps, "value": numbers}, nan_to_null=True)
    *starts, end = accumulate((len(curve[0]) if curve else 0 for curve in values), initial=0)
    # an offset that is null makes its list null
    offsets = [start if curve else None for start, curve in zip(starts, values, strict=True)]
    lists = pa.LargeListArray.from_arrays(
        pa.array([*offsets, end], pa.int64()), points.to_struct().to_arrow()
    )
    return pl.Series(name, lists)
