"""Fetches and checks all that jobs will read: ``python -m jobs.staging REQUEST.json``.

Run by ``launcher/stage.py``. Each line of standard output is a JSON list: ``["doing", TEXT]`` or
``["staged", RECORD]``.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from jobs.settings import StagingRequest
from jobs.worker import Worker, forget_launchers
from stilt.cell import SYNTHESIS
from stilt.config import parse, read_json
from stilt.data.encode import cache_path, encode
from stilt.data.load import load_splits
from stilt.data.staged import Staged, advice, lengths_of, needed
from stilt.errors import ModelError, NoDataError, StiltError
from stilt.folder import StudyFolder
from stilt.model.build import draw, labels_of, load_start
from stilt.model.positions import require_positions
from stilt.model.tokenizer import require_telling
from stilt.model.tried import remember, tried_file
from stilt.task import Task
from stilt.training.trial import SAMPLE, Layout, require_padding_invariance, sample

MEASURED = 2000
"""Examples of a split, or up to twice as many, whose lengths are measured."""
UNCUT = 1_000_000
"""Tokens that no sequence has."""
Doing = Callable[[str], None]
"""Is told what is being done."""


def stage_all(request: StagingRequest, doing: Doing) -> Iterator[Staged]:
    """Stages model, synthesis and every task; a problem with one does not keep back the others."""
    # it runs nothing, but finds all as a job does
    worker = Worker(request.study, StudyFolder(request.folder), request.settings)
    if request.show:
        for name, task in request.study.tasks.items():
            doing(f"lengths of {name}")
            yield _attempt(name, partial(measure_lengths, worker, task))
        return
    tasks = request.study.tasks if request.trial is None else request.trial
    doing(f"model {request.settings.model}")
    model = _attempt("model", partial(try_model, worker, [request.study.tasks[n] for n in tasks]))
    yield model
    if request.trial is not None:
        for name in request.trial if not model.problem else ():
            doing(name)
            yield _attempt(name, partial(try_rows, worker, request.study.tasks[name]))
        return
    if SYNTHESIS in request.study.runs:
        yield from _synthesis(request, doing)
    for name, size in needed(request.study):
        task = request.study.tasks[name]
        label = name if size == task.train_size else f"{name}@{size}"
        doing(label)
        if size is not None:
            task = task.model_copy(update={"train_size": size})
        yield _attempt(label, partial(stage_task, worker, task, label, encoded=not model.problem))


def _attempt(name: str, get: Callable[[], Staged]) -> Staged:
    """What a step found, or the one problem that it met."""
    try:
        return get()
    except StiltError as error:
        return Staged(name=name, problem=str(error))


def try_model(worker: Worker, tasks: Sequence[Task]) -> Staged:
    """Loads the model, which fetches whatever is not there yet, and tries it on made-up texts.

    Each kind of head that a task needs is tried, on texts laid out as the task's.

    Raises:
        ModelError: It cannot be had, or cannot be used for a task; the message names the tasks.
        ConfigError: A task's sequences are longer than it can read.
    """
    models, place = worker.models, worker.models.base
    require_positions(tasks, models.config)
    tokenizer, note = models.tokenizer, ""
    heads: dict[int | None, list[Task]] = {}
    for task in tasks:
        heads.setdefault(labels_of(task), []).append(task)
    for labels, same in heads.items():
        try:
            # none is kept: a login node has little memory
            start = load_start(labels, place)
            draw(start.model, start.fresh, 0)
            for layout in dict.fromkeys(map(Layout.of, same)):
                require_padding_invariance(start.model, layout, tokenizer, place.name)
        except ModelError as error:
            names = ", ".join(task.name for task in same)
            raise ModelError(f"{error} Wanted for: {names}.") from None
        if start.wrapper:
            note = f"{start.wrapper!r} was taken off the names of the model's weights"
    where = f"hub:{place.name}@{place.revision[:8]}" if place.revision else place.name
    return Staged(name="model", where=where, note=note)


def try_rows(worker: Worker, task: Task) -> Staged:
    """Tries the tokenizer on some of a task's rows, and remembers a model that has passed.

    Raises:
        DataError: The rows cannot be had or used.
        ModelError: The tokenizer cannot tell the task's texts apart.
    """
    found = Staged(name=task.name)
    if task.synthesis:
        _remember(worker, task, "")
        return found
    splits = worker.splits(task)
    for rows in (splits.train[:SAMPLE], splits.dev[:SAMPLE]):
        part = encode(rows, worker.models.tokenizer, task.max_length)
        require_telling(*sample(rows, part), worker.models.tokenizer, task.name)
    _remember(worker, task, splits.digest())
    return found


def measure_lengths(worker: Worker, task: Task) -> Staged:
    """How long a task's sequences are for the model's tokenizer, uncut, of some of each split.

    Raises:
        DataError: The rows cannot be had or used.
        ModelError: The model's tokenizer cannot be had.
        ConfigError: The task's sequences are longer than the model can read.
    """
    config = worker.models.config
    require_positions([task], config)
    splits = load_splits(task, worker.settings.data_dir)
    lengths = []
    for name, rows in (("train", splits.train), ("dev", splits.dev)):
        some = rows[:: max(1, len(rows) // MEASURED)]
        found = encode(some, worker.models.tokenizer, UNCUT).lengths
        lengths.append(lengths_of(name, found, task.max_length))
    layers, width = (config.get(key) for key in ("num_hidden_layers", "hidden_size"))
    # attention 4 x width squared, two feed-forward matrices of 4 x width squared each
    parameters = 12 * layers * width**2 if layers and width else None
    return Staged(name=task.name, lengths=tuple(lengths), parameters=parameters)


def _remember(worker: Worker, task: Task, data: str) -> None:
    """Spares a submit the trial of a model that has just passed it, as a job will find it."""
    if worker.models.base.revision is None or os.environ.get("HF_HUB_OFFLINE"):
        identity = worker.study.model_identity
        remember(tried_file(worker.settings.cache, identity, task, data), identity)


def _synthesis(request: StagingRequest, doing: Doing) -> Iterator[Staged]:
    """Text and generator of SynthesisGPT2, and its rows where they are asked for."""
    # a generator's code is needed by few studies
    from jobs.synthesize import synthesize
    from stilt.synthesis.generate import load
    from stilt.synthesis.text import read_passages

    spec, data_dir = request.study.grid.synthesis, request.settings.data_dir
    folder = StudyFolder(request.folder).synthesis()
    assert spec is not None
    if (folder / "dev.jsonl").is_file():
        return

    def text() -> Staged:
        number = len(read_passages(spec, folder, data_dir))
        return Staged(name="synthesis text", where=f"{spec.text} ({number} passages)")

    def generator() -> Staged:
        lm = load(spec.generator, spec.gguf, "cpu")
        hub = "hub:" if spec.generator.hub else ""
        return Staged(name="synthesis model", where=f"{hub}{lm.identity}")

    def rows() -> Staged:
        synthesize(
            spec,
            folder,
            data_dir=data_dir,
            device=request.device,
            progress=lambda done, total: doing(f"synthesis: {done} of {total} rows"),
        )
        return Staged(name="synthesis rows", where=str(folder))

    doing("synthesis: text")
    found = [_attempt("synthesis text", text)]
    doing("synthesis: generator")
    found.append(_attempt("synthesis model", generator))
    if request.generate and not any(item.problem for item in found):
        doing("synthesis: rows")
        found.append(_attempt("synthesis rows", rows))
    yield from found


def stage_task(worker: Worker, task: Task, label: str, *, encoded: bool) -> Staged:
    """Loads, renders and tokenises a task, so that a job finds it in the cache.

    Without a tokenizer, it is loaded and rendered only. ``label`` is its name in the table.

    Raises:
        DataError: Its rows cannot be had or used.
    """
    synthesis, data_dir = worker.folder.synthesis(), worker.settings.data_dir
    if task.synthesis and not (synthesis / "dev.jsonl").is_file():
        if encoded:
            _remember(worker, task, "")
        note = "the first job generates its rows; --synthesise generates them here"
        return Staged(name=label, where="the first job", note=note, later=True)
    try:
        splits = worker.splits(task, task.train_size)
    except NoDataError as error:
        raise NoDataError(f"{error} {advice(task, data_dir)}".strip()) from None
    found = Staged(
        name=label,
        train=len(splits.train),
        dev=len(splits.dev),
        where=splits.where,
        note=splits.text,
        odd=splits.odd,
    )
    if not encoded:
        return found
    train, _ = worker.encode(task, splits)
    _remember(worker, task, "" if task.synthesis else splits.digest())
    key, cache = worker.tokenizer_digest, worker.settings.cache
    file = cache_path(task, "train", splits.digest(), key, cache)
    lengths = train.lengths
    update = {
        "tokens": float(lengths.mean()),
        "full": float((lengths >= task.max_length).mean()),
        "file": file.name if file.is_file() else "",
    }
    return found.model_copy(update=update)


def main() -> int:
    """Stages what the request names; always 0, problems are in the records."""
    forget_launchers()
    path = Path(sys.argv[1])
    request = parse(StagingRequest, read_json(path), path)

    def tell(kind: str, content: object) -> None:
        sys.stdout.write(json.dumps([kind, content]) + "\n")
        sys.stdout.flush()

    for staged in stage_all(request, partial(tell, "doing")):
        tell("staged", staged.model_dump(mode="json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
