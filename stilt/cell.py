"""What is run: sources (trained once, shared), cells (points of the grid), generation of rows."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from stilt.config import Frozen

NONE = "none"
"""Name of the source that is no intermediate task: the pretrained model as it is."""
SYNTHESIS = "synthesis"
"""Id of the run that generates SynthesisGPT2's rows."""


def digest(content: Any, length: int = 12) -> str:
    """Short hash of the canonical JSON of ``content``: the same on every machine."""
    return digest_of(canonical(content), length)


def canonical(content: Any) -> str:
    """The one way to write ``content`` as JSON."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(text: str, length: int = 12) -> str:
    """``digest`` of the content whose canonical JSON is ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Hyperparameters(Frozen):
    """What the paper varies, and the two seeds it does not tell apart."""

    learning_rate: float = Field(gt=0)
    """Peak of the linear schedule."""
    batch_size: int = Field(ge=1)
    """Effective batch size, in examples per update."""
    warmup_ratio: float = Field(ge=0, lt=1)
    """Share of the updates in which the rate rises linearly."""
    seed: int = Field(ge=0)
    """Seeds fresh weights, data order and dropout, unless one of the next two says otherwise."""
    init_seed: int | None = Field(default=None, ge=0)
    """Seed of fresh weights alone."""
    order_seed: int | None = Field(default=None, ge=0)
    """Seed of the data order alone."""

    def __str__(self) -> str:
        """The values in words, as ``lr 1e-05 batch 8 warmup 0 seed 42``."""
        text = f"lr {self.learning_rate:g} batch {self.batch_size} warmup {self.warmup_ratio:g}"
        seeds = {"seed": self.seed, "init": self.init_seed, "order": self.order_seed}
        given = (f"{name} {seed}" for name, seed in seeds.items() if seed is not None)
        return " ".join([text, *given])


class Source(Frozen):
    """An intermediate task that a model is fine-tuned on before the target."""

    id: str
    task: str
    train_size: int | None
    """Training rows used; None for all."""
    name: str
    """Name in tables: the task, with ``@size`` and ``#seed`` where a grid varies them."""
    hyperparameters: Hyperparameters


class Cell(Frozen):
    """One fine-tuning run of the grid, or one evaluation without training."""

    id: str
    stage: Literal["target", "evaluate"] = "target"
    source: str
    """Name of the source, ``none`` for the pretrained model."""
    source_id: str | None
    target: str
    hyperparameters: Hyperparameters | None
    """None for an evaluation, whose only seed is ``seed``."""
    seed: int
    """The hyperparameters' seed; for an evaluation the seed of a fresh scoring head."""


@dataclass(frozen=True)
class Run:
    """One thing that is run: the generation of SynthesisGPT2's rows, a source, or a cell."""

    id: str
    """What claims, bundles and failure records call it."""
    stage: Literal["synthesis", "source", "target", "evaluate"]
    task: str = ""
    """The task that it trains on or scores; empty for the generation."""
    needs: tuple[str, ...] = ()
    """Ids of the runs that must be finished first: the cell's source, then the generation."""
    source: Source | None = None
    """The source that it trains."""
    cell: Cell | None = None

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """What it trains with; None where it does not train."""
        trained = self.source or self.cell
        return trained.hyperparameters if trained else None

    @property
    def source_name(self) -> str:
        """Name of the source that it trains or starts from; empty for the generation."""
        if self.cell is not None:
            return self.cell.source
        return self.source.name if self.source is not None else ""

    @property
    def name(self) -> str:
        """What a table of runs calls it."""
        if self.cell is not None:
            return f"{self.source_name} → {self.task} {self.hyperparameters or 'without training'}"
        return self.source_name or self.id

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        if self.source is not None:
            return f"source {self.name}"
        return self.name if self.cell is not None else "SynthesisGPT2"
