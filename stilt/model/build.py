"""A pretrained encoder with a task's head: what a start model gives, what is fresh."""

import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from stilt.model.place import ModelPlace
from stilt.model.positions import require_positions
from stilt.system.files import file_digest
from stilt.task import Task

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


KEPT_MODELS = 3
"""Start models kept in memory, each with its own copy of the weights."""


@dataclass(frozen=True)
class Start:
    """A model as it stands before training, with its parameters sorted by where they came from."""

    model: PreTrainedModel
    carried: frozenset[str]
    """Names of parameters that came from the start checkpoint."""
    fresh: tuple[str, ...]
    """Names of parameters that it does not have, in the model's order."""

    def modules(self, which: str) -> tuple[str, ...]:
        """Modules with carried or fresh parameters, encoder layers folded into one."""
        names = self.carried if which == "carried" else self.fresh
        prefix = self.model.base_model_prefix
        found = []
        for name, _ in self.model.named_parameters():
            if name in names:
                parts = name.split(".")[:-1]
                inner = parts[0] == prefix and parts[1:2] != ["pooler"]
                found.append(".".join(parts[:2] if inner else parts))
        return tuple(dict.fromkeys(found))


class StartModels:
    """Loads start models and keeps the last few in memory, so that cells of a bundle share them."""

    def __init__(self, base: ModelPlace) -> None:
        """Keeps where the pretrained model lies; nothing is loaded yet."""
        self.base = base
        self._start = lru_cache(KEPT_MODELS)(self._loaded)

    def tokenizer(self) -> Any:
        """The pretrained model's tokenizer."""
        return AutoTokenizer.from_pretrained(self.base.name, revision=self.base.revision)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the pretrained model's config.json says, with its type's own values."""
        config = AutoConfig.from_pretrained(self.base.name, revision=self.base.revision)
        found: dict[str, Any] = config.to_dict()
        return found

    def start(self, task: Task, source: Path | None, head: str) -> Start:
        """The model that a run on ``task`` starts from; its fresh weights are not yet drawn.

        Args:
            task: decides the head: multiple choice, or classification with K labels.
            source: checkpoint folder of a source; None for the pretrained model.
            head: ``keep`` carries all that fits in name and shape; ``reset`` takes only the encoder
                from the source and everything else as ``none`` has it.

        Raises:
            ConfigError: The task's sequences are longer than the model can read.
        """
        require_positions([task], self.config)
        labels = None if task.kind == "multiple-choice" else len(task.labels)
        return self._start(labels, source, head)

    def _loaded(self, labels: int | None, source: Path | None, head: str) -> Start:
        start = _load(labels, self.base if source is None else ModelPlace(str(source)))
        if source is not None and head == "reset":
            return _with_encoder(self._start(labels, None, "keep"), start)
        return start


def _load(labels: int | None, place: ModelPlace) -> Start:
    """Loads a model with a head for some number of labels; None for one of multiple choice."""
    kind: Any = AutoModelForMultipleChoice
    config = AutoConfig.from_pretrained(place.name, revision=place.revision)
    if labels is not None:
        kind = AutoModelForSequenceClassification
        config.num_labels = labels
    model, info = kind.from_pretrained(
        place.name,
        revision=place.revision,
        config=config,
        # a checkpoint's own precision is not to decide the precision of training
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    # a mismatched one stands with its two shapes
    new = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    names = [name for name, _ in model.named_parameters()]
    fresh = tuple(name for name in names if name in new)
    return Start(model, frozenset(names) - frozenset(fresh), fresh)


def _with_encoder(none: Start, source: Start) -> Start:
    """The source's encoder under everything else of the ``none`` start."""
    prefix = none.model.base_model_prefix + "."
    model = copy.deepcopy(none.model)
    inside = frozenset(
        name
        for name in source.carried
        if name.startswith(prefix) and not name.startswith(prefix + "pooler.")
    )
    theirs = dict(source.model.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in inside:
                parameter.copy_(theirs[name])
    return Start(model, inside, none.fresh)


def build(start: Start, init_seed: int) -> PreTrainedModel:
    """A model ready to train: the start's weights, and fresh ones drawn from a seed of their own.

    Fresh matrices are N(0, initializer_range), biases 0, norms 1, drawn in the model's order from a
    generator that nothing else uses, so that they do not depend on what ran before.

    Source: the models' own initialisation (0.02 for RoBERTa and BERT).
    """
    model = copy.deepcopy(start.model)
    generator = torch.Generator().manual_seed(init_seed)
    spread = getattr(model.config, "initializer_range", 0.02)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in start.fresh:
                continue
            if parameter.dim() > 1:
                parameter.normal_(0.0, spread, generator=generator)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return model


def save(model: PreTrainedModel, folder: Path) -> str:
    """Saves weights and config; returns the SHA-256 of the weights file."""
    model.save_pretrained(folder)
    return file_digest(folder / "model.safetensors")
