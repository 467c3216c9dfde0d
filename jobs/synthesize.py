"""SynthesisGPT2 as a stage: text in; train.jsonl, dev.jsonl and a datasheet out.

``python jobs/synthesize.py FOLDER --text my.txt`` runs it on its own, ``--help`` lists the rest.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # as a script, it runs its own checkout's code, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stilt.system.command import run_command

import hashlib
import importlib.metadata
import json
import shutil
from dataclasses import MISSING
from functools import partial
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.sampler import SPLITS, OnRows, Sampler
from stilt.cell import digest
from stilt.config import flags_of, parse, require_counts
from stilt.data.load import data_folder
from stilt.errors import ConfigError
from stilt.grid import Synthesis
from stilt.synthesis import generate
from stilt.synthesis.datasheet import (
    ROWS,
    Datasheet,
    Part,
    TextSource,
    markdown,
    part,
    whole_rows,
)
from stilt.synthesis.generate import LanguageModel
from stilt.synthesis.halves import halved, pools
from stilt.synthesis.text import licence, read_passages, text_digest
from stilt.system.console import Output
from stilt.system.files import writable_folder, write_text

BATCH = {"cpu": 64, "cuda": 256}
"""Prompts in one batch: they keep a CPU busy (128 were no faster), a GPU has room for more."""


def synthesize(
    spec: Synthesis,
    folder: Path,
    *,
    data_dir: Path | None = None,
    device: str = "cpu",
    progress: OnRows = lambda done, total: None,
    batch: int | None = None,
) -> None:
    """Generates the rows of SynthesisGPT2, or the rest of them after an interruption.

    The same text, model, seed and batch size on the same machine give the same files. dev.jsonl is
    written last: where it is, all is there.

    Args:
        spec: text, generator, sizes, seed.
        folder: gets train.jsonl, dev.jsonl and datasheet.json, .md; holds ``parts/`` until then.
        data_dir: folder of local data files.
        device: a torch device.
        progress: told how many rows of how many are there; may raise to stop, nothing is lost.
        batch: prompts in one batch; by device where absent. Changes results by rounding alone.
            What was drawn with another one is drawn anew, so that the files are those of this one.

    Raises:
        ResultError: The folder holds rows made otherwise.
        DataError: The text is absent, unreadable or too small.
        ConfigError: The generator cannot be loaded.
    """
    total = spec.sentences + spec.dev_sentences
    if whole_rows(spec, folder):
        shutil.rmtree(folder / "parts", ignore_errors=True)
        progress(total, total)
        return
    passages = read_passages(spec, folder, data_dir)
    sentences = halved(passages)
    pool_of = pools(sentences, spec)
    lm = generate.load(spec.generator, spec.gguf, device)
    source = TextSource(
        name=spec.text,
        sha256=text_digest(passages),
        licence=licence(spec.text),
        passages=len(passages),
        documents=len({passage.document for passage in passages}),
        sentences=len(sentences),
    )
    sampler = Sampler(
        lm=lm,
        spec=spec,
        parts=folder / "parts" / _key(spec, source, lm),
        batch=batch or usual_batch(lm.device.type),
        progress=progress,
    )
    texts: list[str] = []
    parts: list[Part] = []
    wanted = (spec.sentences, spec.dev_sentences)
    for split, pool, size in zip(SPLITS, pool_of, wanted, strict=True):
        rows, dropped, too_long = sampler.rows(split, pool, size)
        texts.append("".join(json.dumps(row.row(), ensure_ascii=False) + "\n" for row in rows))
        sha256 = hashlib.sha256(texts[-1].encode()).hexdigest()
        parts.append(part(rows, sha256=sha256, dropped=dropped, too_long=too_long))
    sheet = Datasheet(
        spec=spec,
        text=source,
        generator=lm.identity,
        versions=_versions(),
        device=lm.device.type,
        batch=sampler.batch,
        train=parts[0],
        dev=parts[1],
    )
    write_text(folder / "datasheet.md", markdown(sheet))
    write_text(folder / "datasheet.json", sheet.model_dump_json(indent=1) + "\n")
    for name, text in zip(ROWS, texts, strict=True):
        write_text(folder / name, text)
    shutil.rmtree(folder / "parts", ignore_errors=True)


def usual_batch(device: str) -> int:
    """Prompts in one batch on a torch device of some type, where nobody says otherwise."""
    return BATCH.get(device, BATCH["cuda"])


def _key(spec: Synthesis, source: TextSource, lm: LanguageModel) -> str:
    """Names what decides a batch's rows; parts of another run are never mixed in."""
    content = {"text": source.sha256, "generator": lm.identity, "versions": _versions()}
    return digest(content | {"spec": spec.model_dump(mode="json"), "device": lm.device.type})


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "tokenizers", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


SIZES = ("sentences", "dev_sentences", "seed", "top_p")
SpecFlags = flags_of(
    Synthesis,
    # a text of one's own has no commit or configuration unless they are given
    {"text": MISSING, "text_revision": None, "text_config": None}
    | {name: Synthesis.model_fields[name].default for name in SIZES},
)


def command(
    folder: Annotated[Path, tyro.conf.Positional],
    *,
    flags: Annotated[Any, tyro.conf.arg(name="", constructor=SpecFlags)],
    generator: str | None = None,
    filter_flawed: bool = False,
    data_dir: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    batch: int | None = None,
) -> int:
    """Generates the rows of SynthesisGPT2 from any text with any causal language model.

    Args:
        folder: gets train.jsonl, dev.jsonl and the datasheet; a second run goes on from the first.
        flags: fields of the synthesis.
        generator: Hub id as namespace/name@commit, a folder, a .gguf file, or wheel:NAME/PATH of
            either; GPT-2 medium from the Hub by default.
        filter_flawed: drop rows with an empty or repeated fake, or one equal to gold; draw others.
        data_dir: folder of local data files; STILT_DATA_DIR where absent.
        device: where the model computes; auto takes a GPU if there is one.
        threads: CPU threads; torch's own choice where absent.
        batch: prompts in one batch; by device where absent.
    """
    named = generator_fields(generator) if generator else {}
    spec = parse(Synthesis, vars(flags) | {"filter": filter_flawed} | named, "synthesize")
    require_counts(threads=threads, batch=batch)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no GPU here; allowed: auto, cpu.")
    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    console = Output(stderr=True)
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("rows", total=spec.sentences + spec.dev_sentences)
        synthesize(
            spec,
            writable_folder(folder),
            data_dir=data_folder(data_dir),
            device=device,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            batch=batch,
        )
    console.print(f"{folder}: train.jsonl, dev.jsonl, datasheet.md")
    return 0


def generator_fields(generator: str) -> dict[str, Any]:
    """Fields of a synthesis that a generator's name on the command line stands for.

    Raises:
        ConfigError: It is no folder, and no Hub id with a commit.
    """
    name, gguf = generator, None
    if name.endswith(".gguf"):
        path = Path(name)
        name, gguf = str(path.parent), path.name
    if name.startswith("wheel:"):
        wheel, _, inside = name.removeprefix("wheel:").partition("/")
        if not inside and not gguf:
            raise ConfigError(
                f"synthesize: field 'generator' = {generator!r}: a wheel's generator is named "
                "'wheel:NAME/PATH', PATH a folder or a .gguf file in it."
            )
        return {"generator": {"wheel": wheel, "path": inside or "."}, "gguf": gguf}
    if "@" in name and not Path(name).exists():
        hub, _, revision = name.partition("@")
        return {"generator": {"hub": hub, "revision": revision}, "gguf": gguf}
    if not gguf and not Path(name).is_dir():
        raise ConfigError(
            f"synthesize: field 'generator' = {generator!r}: no such folder; a Hub id needs its "
            f"commit, as {name}@<commit>."
        )
    return {"generator": {"path": name}, "gguf": gguf}


main = partial(run_command, command, "synthesize")


if __name__ == "__main__":
    sys.exit(main())
