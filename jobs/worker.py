"""What a worker process has loaded, shared by all cells of its bundle."""

import hashlib
import os
import platform
import resource
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import PreTrainedModel

from jobs.settings import Settings
from stilt.cell import Source
from stilt.data.encode import Encoded, encode_splits
from stilt.data.load import load_splits
from stilt.data.splits import Splits
from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.model.build import Start, StartModels, build
from stilt.model.place import ModelPlace
from stilt.model.tokenizer import require_telling, tokenizer_digest
from stilt.model.unchanged import Unchanged
from stilt.records.finished import checkpoint_flaw, read_ending
from stilt.records.pins import new_pin
from stilt.records.results import Provenance, SourceResult
from stilt.records.validity import judge_of
from stilt.study import Study
from stilt.system.energy import joules
from stilt.system.interrupt import StopRequest
from stilt.task import Task
from stilt.training.runtime import Runtime, default_threads, make_accelerator
from stilt.training.spent import Spent
from stilt.training.team import Team
from stilt.training.trial import Layout, require_padding_invariance, sample

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "submitit")
KEPT_TASKS = 4
"""Tasks whose encoded rows are kept in memory."""
FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
FOREIGN_PREFIXES = ("ACCELERATE_", "PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_", "MPI_LOCALRANKID")
"""Variables that accelerate would obey: how many processes, on what, in which precision."""


@dataclass(frozen=True)
class Attempt:
    """One try at an item: which one, how often it was begun, and how much memory it may take."""

    item: str
    chunk: int = 1
    """Examples in one pass at most; of the generation, prompts in one batch."""
    number: int = 1
    """Counted from 1 since the item last succeeded."""


class DeviceMissing(RuntimeError):  # noqa: N818 - what is at fault, not this program
    """This process was promised a GPU and finds none."""


class Worker:
    """The device, base weights, tokenizer and encoded data: loaded once, used by many cells."""

    def __init__(self, study: Study, folder: StudyFolder, settings: Settings) -> None:
        """Finds the device; where several processes train together, it waits for the others.

        Raises:
            DeviceMissing: No GPU where one was promised: a broken driver, or a CPU build of torch.
            ConfigError: The device cannot compute as the recipe wants.
        """
        self.study = study
        self.folder = folder
        self.settings = settings
        self.accelerator = make_accelerator(settings.device, study.grid.recipe)
        if settings.device == "gpu" and self.accelerator.device.type == "cpu":
            raise DeviceMissing(
                f"a GPU was promised and torch {torch.__version__} finds none on "
                f"{socket.gethostname()}: a broken driver, or a CPU build of "
                "torch. Run nvidia-smi on that node."
            )
        # after accelerate, which sets a number of its own for several processes
        torch.set_num_threads(settings.threads or default_threads())
        self.team = Team(self.accelerator)
        """The processes that train each cell together: most often this one alone."""
        place = ModelPlace(settings.model, settings.model_revision)
        unchanged = Unchanged(place, study.model_identity, settings.model_files)
        self.models = StartModels(place, unchanged)
        self.stop = StopRequest()
        self.encoded = lru_cache(KEPT_TASKS)(self._encoded)
        self.weights: dict[str, str] = {}
        """Source -> SHA-256 of its weights, which were read and are what its record says."""
        self._tried: set[tuple[type, Layout]] = set()

    def runtime(self, chunk: int) -> Runtime:
        """What training is told about the machine."""
        return Runtime(self.accelerator, chunk, self.stop, self.settings.checkpoint_seconds)

    @cached_property
    def tokenizer_digest(self) -> str:
        """What identifies the model's tokenizer in the cache of encoded data."""
        return tokenizer_digest(self.models.tokenizer, self.models.base)

    def _encoded(self, name: str, train_size: int | None = None) -> tuple[Encoded, Encoded, str]:
        """A task's encoded train split, or so many of its rows, dev split, and digest of all rows.

        Raises:
            DataError: No data, or other data than the study was begun with.
            ModelError: The tokenizer cannot be had, or cannot tell the task's texts apart.
        """
        task = self.study.tasks[name]
        if train_size is not None:
            task = task.model_copy(update={"train_size": train_size})
        # where several processes train together, the others read what the first one cached
        with self.accelerator.main_process_first():
            splits = self.splits(task, train_size)
            digest = splits.digest()
            pin = new_pin(
                *(digest, len(splits.train), splits.gold, splits.where),
                *(splits.odd, splits.parts, splits.text),
            )
            if said := judge_of(self.study, self.folder).pin(name, train_size, pin):
                log(said)
            parts = self.encode(task, splits)
        return *parts, digest

    def splits(self, task: Task, train_size: int | None = None) -> Splits:
        """A task's rows, those that the study was begun with where there are several.

        Args:
            task: the study's, or the same with so many training rows.
            train_size: that number, where it is a source's own.

        Raises:
            DataError: They cannot be had or used.
        """
        known = judge_of(self.study, self.folder).known(task.name, train_size)
        return load_splits(task, self.settings.data_dir, self.folder.synthesis(), known)

    def encode(self, task: Task, splits: Splits) -> tuple[Encoded, Encoded]:
        """Encodes a task's rows, or finds them in the cache.

        Raises:
            ModelError: See ``_encoded``.
        """
        tokenizer, key = self.models.tokenizer, self.tokenizer_digest
        parts = encode_splits(task, splits, tokenizer, key, self.settings.cache, log)
        for examples, part in zip((splits.train, splits.dev), parts, strict=True):
            require_telling(*sample(examples, part), tokenizer, task.name)
        return parts

    def build(self, start: Start, seed: int, task: Task) -> PreTrainedModel:
        """A model ready to train or to score; each is tried once on each layout of texts.

        Raises:
            ModelError: It cannot read them, or its logits depend on padding.
        """
        built = build(start, seed)
        layout = (type(built), Layout.of(task))
        if layout not in self._tried:
            require_padding_invariance(built, layout[1], self.models.tokenizer, self.settings.model)
            self._tried.add(layout)
            if start.wrapper:
                log(f"{start.wrapper!r} was taken off the names of the model's weights")
        return built

    def checkpoint(self, source: Source) -> Path:
        """A source's checkpoint folder, proven to be what its result says.

        Raises:
            ResultError: No valid result, another source's, or weights that are not those scored.
        """
        folder = self.folder.source(source.id)
        result = read_ending(self.study, self.folder, self.study.runs[source.id])
        if not isinstance(result, SourceResult):
            raise ResultError(f"source {source.name} ({source.id}) has no result; train it first.")
        if result.status != "ok":
            raise ResultError(f"source {source.name} diverged; its weights are of no use.")
        if source.id not in self.weights:
            flaw = checkpoint_flaw(folder, result)
            if flaw is not None:
                raise ResultError(f"{flaw}. Submit again: the source is trained anew.")
            self.weights[source.id] = result.checkpoint
        return folder

    def peak_memory(self) -> int:
        """Bytes that the run has used at most: of the GPU where there is one, else of the process.

        A process on the CPU counts what its runs before this one have used, too.
        """
        device = self.accelerator.device
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def energy(self) -> float | None:
        """Joules on the counter of this process's GPU; None where there is none, or nothing tells.

        Of a team's, which has several GPUs, the leader's alone would be too little.
        """
        return joules(self.accelerator.device) if self.team.size == 1 else None

    def provenance(self, spent: Spent) -> Provenance:
        """Where, when and with what the run that just ended was made."""
        device = self.accelerator.device
        on_gpu = device.type == "cuda"
        return Provenance(
            started=spent.began,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            host=socket.gethostname(),
            job=job_id(),
            attempt=spent.attempt,
            device=torch.cuda.get_device_name(device) if on_gpu else f"cpu {platform.machine()}",
            threads=torch.get_num_threads(),
            peak_memory=spent.peak_memory,
            energy=spent.energy,
            versions=versions(),
            commit=self.settings.commit,
            code=code_digest(),
            command=self.settings.command,
        )


def forget_launchers() -> None:
    """Drops what torchrun, accelerate or MPI told this process: no study may depend on it."""
    for name in list(os.environ):
        if name in FOREIGN or name.startswith(FOREIGN_PREFIXES):
            del os.environ[name]


def job_id() -> str | None:
    """SLURM's id of this array element, as ``array_task``; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


@cache
def versions() -> dict[str, str]:
    """Version of Python and of each package that decides results."""
    return {"python": platform.python_version()} | {p: version(p) for p in PACKAGES}


@cache
def code_digest() -> str:
    """Hash of the code that decides results: this package and ``stilt``."""
    seen = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in sorted([*root.glob("stilt/**/*.py"), *root.glob("jobs/**/*.py")]):
        seen.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return seen.hexdigest()[:12]


def log(message: str) -> None:
    """Writes a line of the job's log."""
    # a run does not end because its log cannot be written
    with suppress(OSError):
        sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {message}\n")
        sys.stdout.flush()
