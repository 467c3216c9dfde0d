"""A pretrained encoder with a task's head: what a start model gives, what is fresh."""

import copy
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_MULTIPLE_CHOICE_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from stilt.errors import ModelError
from stilt.model.loading import loading
from stilt.model.place import ModelPlace
from stilt.model.positions import require_positions
from stilt.model.tokenizer import load_tokenizer
from stilt.model.unchanged import Unchanged
from stilt.system.files import file_digest
from stilt.task import Task

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


SHOWN = 3
"""Names that a message has; of more there is the number."""
WRAPPER = re.compile(r"(?:(?:module|_orig_mod|model|auto_model|0)\.)+")
"""What torch (parallel, compiled), Lightning and sentence-transformers put before a name."""
CHOICE: Any = AutoModelForMultipleChoice, MODEL_FOR_MULTIPLE_CHOICE_MAPPING
CLASSES: Any = AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
"""What loads a model with a head of a kind, and the types of model that have one."""
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
    wrapper: str = ""
    """What was taken off the names of its weights, such as ``module.``."""

    @property
    def fresh_encoder(self) -> list[str]:
        """Fresh parameters of the encoder, whose pooler is a part of the head."""
        return [name for name in self.fresh if _of_encoder(name, self.model.base_model_prefix)]

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

    def __init__(self, base: ModelPlace, unchanged: Unchanged | None = None) -> None:
        """Keeps where the pretrained model lies; nothing is loaded yet.

        Args:
            base: the pretrained model.
            unchanged: is asked whether its files are still those of the study, before and after
                each load.
        """
        self.base = base
        self._unchanged = unchanged
        self._start = lru_cache(KEPT_MODELS)(self._loaded)

    @cached_property
    def tokenizer(self) -> Any:
        """The pretrained model's tokenizer; see ``load_tokenizer`` for what is refused."""
        with self._guarded():
            return load_tokenizer(self.base, int(self.config.get("vocab_size") or sys.maxsize))

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the pretrained model's config.json says, with its type's own values."""
        with self._guarded(), loading(self.base):
            found: dict[str, Any] = _config(self.base).to_dict()
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
            ModelError: It cannot be loaded, was changed, or lacks weights of its encoder.
        """
        require_positions([task], self.config)
        with self._guarded():
            return self._start(labels_of(task), source, head)

    def _loaded(self, labels: int | None, source: Path | None, head: str) -> Start:
        start = load_start(labels, self.base, source)
        if source is not None and head == "reset":
            return _with_encoder(self._start(labels, None, "keep"), start)
        return start

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Asks before and after a load: a file may be replaced while it is read."""
        if self._unchanged is not None:
            self._unchanged.require()
        yield
        if self._unchanged is not None:
            self._unchanged.require()


def labels_of(task: Task) -> int | None:
    """Which head a task needs: so many outputs, or multiple choice (None)."""
    return None if task.kind == "multiple-choice" else task.outputs


def _config(place: ModelPlace) -> Any:
    return AutoConfig.from_pretrained(place.name, revision=place.revision)


def load_start(labels: int | None, base: ModelPlace, source: Path | None = None) -> Start:
    """Loads a model with a head for some number of labels; None for one of multiple choice.

    Args:
        labels: see ``labels_of``.
        base: the pretrained model. Its config is a source's, too: whatever else stands in a
            source's config.json changes nothing.
        source: folder of a source's checkpoint, in place of the pretrained weights.

    Raises:
        ModelError: It cannot be loaded, has no such head, or lacks weights of its encoder.
    """
    place = base if source is None else ModelPlace(str(source))
    kind, known = CHOICE if labels is None else CLASSES
    with loading(base):
        config = _config(base)
        if labels is not None:
            config.num_labels = labels
    if type(config) not in known:
        raise ModelError(
            f"model {base.name} ({config.model_type}): transformers has no "
            f"{'multiple-choice' if labels is None else 'classification'} head for models of this "
            "type. Choose an encoder such as BERT, RoBERTa or DeBERTa-v3, or tasks of another kind."
        )
    start, unused = _load(kind, place, config)
    prefix = _wrapper(unused) if start.fresh_encoder else ""
    if prefix:
        start, unused = _load(kind, place, config, prefix)
    if lacking := start.fresh_encoder:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        names = sorted(unused)[:SHOWN] if not start.carried else []
        instead = f"; they hold {', '.join(names)}" if names else ""
        raise ModelError(
            f"{place.name}: its weights do not fit its config.json ({config.model_type}): they "
            f"lack, or have in another shape, {', '.join(lacking[:SHOWN])}{more}{instead}. An "
            "encoder is not trained from random weights."
        )
    return start


def _load(
    kind: Any, place: ModelPlace, config: Any, prefix: str = ""
) -> tuple[Start, frozenset[str]]:
    """Loads weights, without a prefix of their names; also the names that nothing took."""
    renamed = {"key_mapping": {f"^{re.escape(prefix)}": ""}} if prefix else {}
    with loading(place):
        model, info = kind.from_pretrained(
            place.name,
            revision=place.revision,
            config=copy.deepcopy(config),
            # a checkpoint's own precision is not to decide the precision of training
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **renamed,
        )
    # a mismatched one stands with its two shapes
    new = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    names = [name for name, _ in model.named_parameters()]
    fresh = tuple(name for name in names if name in new)
    start = Start(model, frozenset(names) - frozenset(fresh), fresh, prefix)
    return start, frozenset(info["unexpected_keys"])


def _wrapper(names: Iterable[str]) -> str:
    """What a wrapper of the model has put before the names of its weights; empty if nothing."""
    found = Counter(match[0] for name in names if (match := WRAPPER.match(name)))
    return found.most_common(1)[0][0] if found else ""


def _with_encoder(none: Start, source: Start) -> Start:
    """The source's encoder under everything else of the ``none`` start."""
    prefix = none.model.base_model_prefix
    model = copy.deepcopy(none.model)
    inside = frozenset(name for name in source.carried if _of_encoder(name, prefix))
    theirs = dict(source.model.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in inside:
                parameter.copy_(theirs[name])
    return Start(model, inside, none.fresh)


def _of_encoder(name: str, prefix: str) -> bool:
    return name.startswith(f"{prefix}.") and not name.startswith(f"{prefix}.pooler.")


def build(start: Start, init_seed: int) -> PreTrainedModel:
    """A model ready to train: the start's weights, and fresh ones drawn from a seed of their own.

    Fresh matrices are N(0, initializer_range), biases 0, norms 1, drawn in the model's order from a
    generator that nothing else uses, so that they do not depend on what ran before.

    Source: the models' own initialisation (0.02 for RoBERTa and BERT).
    """
    return draw(copy.deepcopy(start.model), start.fresh, init_seed)


def draw(model: PreTrainedModel, fresh: Iterable[str], init_seed: int) -> PreTrainedModel:
    """Draws a model's fresh weights in place, see ``build``."""
    new = frozenset(fresh)
    generator = torch.Generator().manual_seed(init_seed)
    spread = getattr(model.config, "initializer_range", 0.02)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in new:
                continue
            if parameter.dim() > 1:
                parameter.normal_(0.0, spread, generator=generator)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return model


def save(model: PreTrainedModel, tokenizer: Any, folder: Path) -> str:
    """Saves weights, config and tokenizer: a whole model folder.

    Returns:
        SHA-256 of the weights file.
    """
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    # safetensors makes files that their owner alone may read: a group could not share a study
    (folder / "model.safetensors").chmod(0o644)
    return file_digest(folder / "model.safetensors")
