"""What is run: a source (trained once, shared) and a cell (one point of the grid)."""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from stilt.config import Frozen

NONE = "none"
"""Name of the source that is no intermediate task: the pretrained model as it is."""


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
