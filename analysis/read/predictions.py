"""What every cell answered on every row of its dev set, with the row's texts, in one Parquet file.

Texts are dictionary-encoded: each is stored once in a row group, however many cells answered it.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from analysis.flags import Wanted
from analysis.read.collect import Collection
from stilt.data.load import data_folder, load_splits
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.errors import DataError, NoDataError
from stilt.folder import StudyFolder
from stilt.records.answers import answers_of
from stilt.records.pins import found_in
from stilt.study import Study
from stilt.system.files import replacing
from stilt.system.units import counted
from stilt.task import TASK_FOLDER, Task, load_task

NAME = "predictions.parquet"
"""In a study's summary folder."""

GROUP = 2**18
"""Rows of a row group at most, but for one cell's: what is in memory at once."""

TEXT = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    {
        "cell": TEXT,
        "stage": TEXT,  # target | evaluate
        "source": TEXT,
        "target": TEXT,
        "learning_rate": pa.float64(),  # this and the next four are null for an evaluation
        "batch_size": pa.int64(),
        "warmup_ratio": pa.float64(),
        "init_seed": pa.int64(),  # null where the seed serves
        "order_seed": pa.int64(),
        "seed": pa.int64(),
        "row": pa.int64(),  # of the dev set as it was scored, from 1
        "gold": TEXT,  # label, in the task's first spelling; null in regression
        "prediction": TEXT,
        "correct": pa.bool_(),  # null in regression
        "gold_number": pa.float32(),  # in regression alone
        "predicted_number": pa.float32(),
        "text_a": TEXT,  # this and the next two are null where the text is not there
        "text_b": TEXT,
        "choices": pa.list_(TEXT),  # multiple choice: each option's own text
    }
)
"""Columns. ``{sep}`` stands in texts where the model's separator was."""

OF_CELL = SCHEMA.names[: SCHEMA.names.index("row")]


def write_predictions(collection: Collection, cells: Path, wanted: Wanted) -> list[str]:
    """Writes ``predictions.parquet`` into a study's summary folder, a part of a target at a time.

    Args:
        collection: what the study has to show.
        cells: its Parquet file of cells, which has the predictions.
        wanted: where texts may be found, and which may be copied.

    Returns:
        What is not in it, for people, a line each.

    Raises:
        DataError: The data folder that is named is no folder.
    """
    study, path = collection.study, collection.folder.summary / NAME
    folders = collection.parts or (collection.folder,)
    answered = collection.cells.filter(pl.col("status") == "ok")
    said = []
    if left := collection.cells.height - answered.height:
        whole = counted(collection.cells.height, "cell")
        said.append(f"{NAME}: {left} of {whole} have no predictions.")
    with (
        replacing(path) as temporary,
        ParquetWriter(
            # a larger dictionary would be given up in the middle of a row group
            temporary, SCHEMA, compression="zstd", dictionary_pagesize_limit=2**30,
        ) as writer,
    ):  # fmt: skip
        for target in answered["target"].unique(maintain_order=True):
            some = answered.filter(pl.col("target") == target)
            found = _examples(study, target, str(some["data"][0]), folders, wanted)
            if isinstance(found, str):
                said.append(f"{NAME}: without the texts of {target}: {found}")
                found = []
            for table in _tables(study.tasks[target], some, cells, found):
                writer.write_table(table, row_group_size=max(1, table.num_rows))
    return said


def _tables(
    task: Task, some: pl.DataFrame, path: Path, examples: Sequence[Example]
) -> Iterator[pa.Table]:
    """Rows of a target's cells, as many cells at a time as a row group has room for."""
    answers = (
        pl.scan_parquet(path)
        .filter(pl.col("cell").is_in(some["cell"].implode()))
        .select("cell", "predictions", "gold")
        .collect()
    )
    whole = some.select(OF_CELL).join(answers, on="cell", how="left", maintain_order="left")
    gold = answers_of(task.metric, whole["gold"][0])
    texts = _texts(task, examples, len(gold))
    for part in whole.iter_slices(max(1, GROUP // len(gold))):
        predicted = np.concatenate([answers_of(task.metric, said) for said in part["predictions"]])
        cell = np.repeat(np.arange(part.height), len(gold))
        row = np.tile(np.arange(len(gold)), part.height)
        columns = {name: _column(part[name].to_list(), name).take(cell) for name in OF_CELL}
        columns |= _compared(task, gold[row], predicted)
        columns |= {name: text.take(pa.array(row)) for name, text in texts.items()}
        yield pa.table(columns | {"row": row + 1}).select(SCHEMA.names).cast(SCHEMA)


def _column(values: Sequence[Any], name: str) -> pa.Array:
    kind = SCHEMA.field(name).type
    return (
        pa.array(values, pa.string()).dictionary_encode()
        if kind == TEXT
        else pa.array(values, kind)
    )


def _compared(task: Task, gold: np.ndarray, predicted: np.ndarray) -> dict[str, pa.Array]:
    """Columns of labels and predictions: classes by name, or numbers."""
    if task.kind == "regression":
        nothing = dict.fromkeys(("gold", "prediction"), pa.nulls(len(gold), TEXT))
        numbers = {"gold_number": pa.array(gold), "predicted_number": pa.array(predicted)}
        return nothing | numbers | {"correct": pa.nulls(len(gold), pa.bool_())}
    names = pa.array([spellings[0] for spellings in task.labels])
    classes = {
        name: pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), names)
        for name, values in (("gold", gold), ("prediction", predicted))
    }
    nothing = dict.fromkeys(("gold_number", "predicted_number"), pa.nulls(len(gold), pa.float32()))
    return classes | nothing | {"correct": pa.array(gold == predicted)}


def _texts(task: Task, examples: Sequence[Example], rows: int) -> dict[str, pa.Array]:
    """Columns of texts, one value for each row of the dev set."""
    if not examples:
        return {
            name: pa.nulls(rows, SCHEMA.field(name).type)
            for name in ("text_a", "text_b", "choices")
        }
    first = [example.pairs[0][0] for example in examples]
    if task.kind != "multiple-choice":
        second = [example.pairs[0][1] for example in examples]
        return {
            "text_a": _plain(first),
            "text_b": _plain(second),
            "choices": pa.nulls(rows, SCHEMA.field("choices").type),
        }
    shared = task.text_a is not None
    options = [pair[shared] for example in examples for pair in example.pairs]
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * task.sequences)
    return {
        "text_a": _plain(first) if shared else pa.nulls(rows, TEXT),
        "text_b": pa.nulls(rows, TEXT),
        "choices": pa.ListArray.from_arrays(offsets, _plain(options)),
    }


def _plain(texts: Sequence[str | None]) -> pa.Array:
    shown = [text and text.replace(SEPARATOR, "{sep}") for text in texts]
    return pa.array(shown, pa.string()).dictionary_encode()


def _examples(
    study: Study, target: str, digest: str, folders: Sequence[StudyFolder], wanted: Wanted
) -> list[Example] | str:
    """The dev examples that a target's cells were scored on, or in words why they are not given."""
    task = study.tasks[target]
    if needs_credentials(task) and not wanted.credentialed:
        return "who reads them needs credentials; --credentialed copies them."
    # what the study used was fetched before its jobs ran: nothing is fetched for this
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    problems: list[str] = []
    for folder in folders:
        for place in _places(study, target, folder, wanted):
            try:
                splits = load_splits(task, place, folder.synthesis())
            except NoDataError:
                problems.append("no data found; --data-dir names the folder that has it.")
                continue
            except DataError as error:
                problems.append(str(error))
                continue
            if splits.digest() == digest:
                return splits.dev
            problems.append(f"{splits.where} has other rows than those that were answered.")
    return problems[-1]


def _places(study: Study, target: str, folder: StudyFolder, wanted: Wanted) -> list[Path | None]:
    """Data folders to look into: the person's, else also where the study found its rows."""
    own = data_folder(wanted.data_dir)
    if wanted.data_dir is not None:
        return [own]
    known = [own, found_in(folder, study.tasks, target)]
    return list(dict.fromkeys(filter(None, known))) or [None]


def needs_credentials(task: Task) -> bool:
    """Whether a task's rows may be read by those alone who have credentials for them.

    A study that was begun before tasks said so is known by its files: those of a built-in task.
    """
    built_in = (load_task(path.stem) for path in sorted(TASK_FOLDER.glob("*.toml")))
    files = {_file(origin.dev) for known in built_in if known.credentialed for origin in known.data}
    return task.credentialed or any(_file(origin.dev) in files for origin in task.data)


def _file(place: str) -> str:
    return Path(place).name
