"""A task as its model would see it: examples, lengths, labels, baselines, what one cell costs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from jobs.settings import StagingRequest
from launcher.flags import Places
from launcher.study.preview import ASSUMED_FLOPS
from launcher.study.resolve import ResolvedStudy, model_spec, show_oddities
from launcher.study.staging import as_request
from stilt.data.encode import cache_folder
from stilt.data.load import data_folder, load_splits
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.data.splits import Splits, words_of
from stilt.data.staged import PERCENTILES, Lengths, advice, lengths_of
from stilt.errors import NoDataError, printable
from stilt.folder import StudyFolder
from stilt.grid import Block, Grid, ModelSpec, SourceSpec
from stilt.model.contents import require_whole
from stilt.model.hub import with_commit
from stilt.model.place import file_digests, find_model
from stilt.plan import TRAIN_TO_FORWARD, cost
from stilt.records.baselines import chance, majority
from stilt.schedule import plan_updates
from stilt.study import Study, bind
from stilt.system.console import new_table
from stilt.system.units import counted, span
from stilt.task import Size, Task, load_task

BATCH = 16
"""Batch size of the cell whose cost is told: the paper's middle one."""
SHOWN = 2
"""Examples of each split."""
LONGEST = 400
"""Characters of a text that are shown."""


def find_task(name: str) -> tuple[Task, Path]:
    """A task by its name, or by the path of its file; also the folder beside which others lie.

    Raises:
        ConfigError: There is none, or its file says something that is not allowed.
    """
    path = Path(name)
    near = path.parent if name.endswith(".toml") else Path()
    stem = path.stem if name.endswith(".toml") else name
    return load_task(stem, (near, near / "tasks")), near


def request_lengths(task: Task, near: Path, places: Places) -> StagingRequest:
    """What the staging process is asked, which alone has the model's tokenizer.

    Raises:
        ConfigError: There is no such model.
    """
    spec = with_commit(model_spec(str(places.model)), None)
    place = find_model(spec, near)
    require_whole(place)
    study = _study(task, near, spec)
    folder = StudyFolder(places.root / study.name)
    data = data_folder(places.data_dir)
    resolved = ResolvedStudy(study, folder, place, data, cache_folder(), "", file_digests(place))
    request = as_request(resolved, generate=False, device="cpu")
    return request.model_copy(update={"show": True})


def _study(task: Task, near: Path, spec: ModelSpec) -> Study:
    """A study of one cell."""
    block = Block(
        sources=(SourceSpec(task="none"),),
        targets=(task.name,),
        learning_rate=(1e-5,),
        batch_size=(BATCH,),
        warmup_ratio=(0.0,),
        seed=(42,),
    )
    return bind(Grid(name="shown", model=spec, blocks=(block,)), "shown", near=near)


def rows_of_task(task: Task, data_dir: Path | None) -> Splits:
    """A task's rows; where there are none, the message says what to put where.

    Raises:
        DataError: They cannot be had or used.
    """
    folder = data_folder(data_dir)
    try:
        return load_splits(task, folder)
    except NoDataError as error:
        raise NoDataError(f"{error} {advice(task, folder)}".strip()) from None


def show_task(
    task: Task,
    near: Path,
    splits: Splits,
    console: Console,
    measured: Sequence[Lengths] = (),
    parameters: int | None = None,
) -> None:
    """Prints what a task is.

    Args:
        task: the task.
        near: folder that its file is in.
        splits: its rows.
        console: where to print.
        measured: lengths by a model's tokenizer; estimated from words where there are none.
        parameters: of that model's layers.
    """
    console.print(Text.assemble((f"{task.title} ({task.name})", "bold"), f": {task.kind}"))
    console.print(f"rows from {splits.where}; {task.reference or 'no reference'}", soft_wrap=True)
    if splits.text:
        console.print(f"text: {splits.text}", soft_wrap=True)
    for split, examples in (("train", splits.train), ("dev", splits.dev)):
        for number, example in enumerate(examples[:SHOWN], 1):
            _show_example(task, f"{split}, example {number}", example, console)
    lengths = measured or [
        lengths_of(split, [words_of(pair) for e in examples for pair in e.pairs], task.max_length)
        for split, examples in (("train", splits.train), ("dev", splits.dev))
    ]
    _show_lengths(task, lengths, console, estimated=not measured)
    _show_labels(task, splits, console)
    _show_cost(_study(task, near, ModelSpec(path="shown")), task, splits, lengths[0].mean,
               parameters, console)  # fmt: skip
    show_oddities({task.name: splits.odd}, console)


def _show_example(task: Task, title: str, example: Example, console: Console) -> None:
    """One example: its segments, each option's own under the one that they share."""
    console.print()
    if task.kind == "regression":
        label = f"{example.label:g}"
    else:
        label = printable(task.labels[int(example.label)][0], 40)
    console.print(Text.assemble((title, "dim"), "  label ", (label, "bold")))
    shared = task.text_a is not None
    if shared:
        _show_text("A", example.pairs[0][0], console)
    for option, (first, second) in enumerate(example.pairs):
        text = second if shared else first
        if text is None:
            continue
        gold = task.kind == "multiple-choice" and option == example.label
        _show_text("B" if len(example.pairs) == 1 else f"{'→' if gold else ' '} {option + 1}",
                   text, console)  # fmt: skip


def _show_text(name: str, text: str, console: Console) -> None:
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    found = Text(f"  {name:>3}  ", "dim")
    for number, part in enumerate(cut.split(SEPARATOR)):
        found.append(" {sep} " if number else "", "cyan")
        found.append(printable(part, LONGEST + 1), "not dim")
    console.print(found, soft_wrap=True)


def _show_lengths(
    task: Task, lengths: Sequence[Lengths], console: Console, *, estimated: bool
) -> None:
    names = [f"{p}%" if p < 100 else "longest" for p in PERCENTILES]
    columns = ("sequences", "mean after cutting", *names, f"over max_length {task.max_length}")
    title = "tokens of a sequence"
    title += ", guessed from words: --model tells" if estimated else ""
    table = new_table("", *columns, title=title, right=columns)
    for found in lengths:
        table.add_row(
            found.split,
            str(found.sequences),
            f"{found.mean:.1f}",
            *map(str, found.percentiles),
            f"{100 * found.cut:.1f}%",
        )
    console.print()
    console.print(table)


def _show_labels(task: Task, splits: Splits, console: Console) -> None:
    """How often each label stands, and what the best constant answer and a guess score."""
    parts = {"train": splits.train, "dev": splits.dev}
    if task.kind == "regression":
        table = new_table("", "rows", "least", "mean", "most", "spread", title="labels",
                          right=("rows", "least", "mean", "most", "spread"))  # fmt: skip
        for split, examples in parts.items():
            values = np.array([example.label for example in examples])
            numbers = (values.min(), values.mean(), values.max(), values.std())
            table.add_row(split, str(len(values)), *(f"{number:.3g}" for number in numbers))
    else:
        table = new_table("label", *parts, title="labels", right=tuple(parts))
        counts = [Counter(example.label for example in examples) for examples in parts.values()]
        for number, spellings in enumerate(task.labels):
            cells = (
                f"{count[number]} ({100 * count[number] / count.total():.1f}%)" for count in counts
            )
            table.add_row(Text(printable(spellings[0], 40)), *cells)
        table.add_row("all", *(str(count.total()) for count in counts), style="bold")
    console.print()
    console.print(table)
    gold = np.array(splits.gold)
    base, guess = majority(task, gold), chance(task, gold)
    console.print(
        f"{task.metric} × 100 on dev: {100 * base:.1f} for the best constant answer, "
        f"{100 * guess:.1f} for a random guess"
    )


def _show_cost(
    study: Study,
    task: Task,
    splits: Splits,
    tokens: float,
    parameters: int | None,
    console: Console,
) -> None:
    """What one cell trains, and how long that takes where a model is given."""
    run = next(run for run in study.runs.values() if run.cell is not None)
    size = Size(train=len(splits.train), dev=len(splits.dev), tokens=tokens)
    work = cost(study, run, {task.name: size})
    schedule = plan_updates(
        rows=size.train,
        epochs=task.epochs,
        batch_size=BATCH,
        warmup_ratio=0.0,
        micro_batch=task.micro_batch,
    )
    said = (
        f"one cell: {counted(task.epochs, 'epoch')} of {size.train} rows, {schedule.total} updates "
        f"of {BATCH}, {work / 1e6:.2f} million training tokens"
    )
    if parameters:
        seconds = work * 2 * TRAIN_TO_FORWARD * parameters / ASSUMED_FLOPS
        said += f", about {span(seconds)} where a GPU does {ASSUMED_FLOPS:.0e} FLOP/s (assumed)"
    console.print(said, soft_wrap=True)
