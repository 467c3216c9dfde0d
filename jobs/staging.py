"""Fetches and checks all that jobs will read: ``python -m jobs.staging REQUEST.json``.

Run by ``launcher/stage.py``. Each line of standard output is a JSON list: ``["doing", TEXT]`` or
``["staged", RECORD]``.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jobs.settings import StagingRequest
from jobs.worker import Worker
from stilt.cell import SYNTHESIS
from stilt.config import parse, read_json
from stilt.data.encode import cache_path, encode_splits
from stilt.data.load import load_splits
from stilt.data.staged import Staged, advice, needed
from stilt.errors import DataError, StiltError, first_line
from stilt.folder import StudyFolder
from stilt.model.positions import require_positions
from stilt.task import Task

Doing = Callable[[str], None]
"""Is told what is being done."""


def stage_all(request: StagingRequest, doing: Doing) -> Iterator[Staged]:
    """Stages model, synthesis and every task; a problem with one does not keep back the others."""
    # it runs nothing, but finds all as a job does
    worker = Worker(request.study, StudyFolder(request.folder), request.settings)
    doing(f"model {request.settings.model}")
    model = _attempt("model", partial(load_model, worker))
    yield model
    if SYNTHESIS in request.study.runs:
        yield from _synthesis(request, doing)
    for name, size in needed(request.study):
        task = request.study.tasks[name]
        label = name if size == task.train_size else f"{name}@{size}"
        doing(label)
        if size is not None:
            task = task.model_copy(update={"train_size": size})
        yield _attempt(label, partial(stage_task, worker, task, label, encode=not model.problem))


def _attempt(name: str, get: Callable[[], Staged]) -> Staged:
    """What a step found, or the one problem that it met."""
    try:
        return get()
    except StiltError as error:
        return Staged(name=name, problem=str(error))


def load_model(worker: Worker) -> Staged:
    """Loads the model, which fetches whatever is not there yet.

    Raises:
        DataError: It cannot be had, or tokenizer and weights are not of one kind.
        ConfigError: A task's sequences are longer than it can read.
    """
    name, revision = worker.settings.model, worker.settings.model_revision
    where = f"hub:{name}@{revision[:8]}" if revision else name
    tasks = worker.study.tasks
    try:
        size = len(worker.tokenizer)
        require_positions(tasks.values(), worker.models.config)
        start = worker.models.start(next(iter(tasks.values())), None, "keep")
    except (OSError, ValueError) as error:
        said = first_line(error, 240)
        # where the tokenizer's library is absent, transformers names another one first
        wanted = any(name in said for name in ("sentencepiece", "tiktoken", "protobuf"))
        hint = ' Its tokenizer wants: pip install ".[sentencepiece]".' if wanted else ""
        raise DataError(
            f"{where} cannot be loaded ({said}). Run this where the Hub can be reached, or name a "
            f"folder with --model.{hint}"
        ) from None
    vocabulary = start.model.get_input_embeddings().weight.shape[0]
    if size > vocabulary:
        raise DataError(
            f"{where}: the tokenizer has {size} tokens, the model {vocabulary}; they are "
            "not of one kind."
        )
    return Staged(name="model", where=where)


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


def stage_task(worker: Worker, task: Task, label: str, *, encode: bool) -> Staged:
    """Loads, renders and tokenises a task, so that a job finds it in the cache.

    Without a tokenizer, it is loaded and rendered only. ``label`` is its name in the table.

    Raises:
        DataError: Its rows cannot be had or used.
    """
    synthesis, data_dir = worker.folder.synthesis(), worker.settings.data_dir
    if task.synthesis and not (synthesis / "dev.jsonl").is_file():
        where = "generated by the study's first job (or here: --synthesise)"
        return Staged(name=label, where=where)
    try:
        splits = load_splits(task, data_dir, synthesis)
    except DataError as error:
        raise DataError(f"{error} {advice(task, data_dir)}".strip()) from None
    found = Staged(
        name=label,
        train=len(splits.train),
        dev=len(splits.dev),
        where=splits.where,
        odd=splits.odd,
    )
    if not encode:
        return found
    key, cache = worker.tokenizer_digest, worker.settings.cache
    train, _ = encode_splits(task, splits, worker.tokenizer, key, cache)
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
