"""A model tried on made-up text of each layout: its logits may not depend on padding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from stilt.data.encode import Encoded, encode
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.errors import ModelError, first_line
from stilt.task import Task
from stilt.training.forward import inputs

PADDING_ERROR = 0.001
"""Largest share of a logit that padding may change: rounding in fp32 makes less than 1e-5."""
LONGEST = 64
"""Tokens of the longest made-up text."""
SAMPLE = 1000
"""Sequences of a split that are looked at."""
WORDS = 40


@dataclass(frozen=True)
class Layout:
    """How a task's texts are laid out: all that a model's logits may depend on but the words."""

    options: int
    """Sequences of an example: of multiple choice as many as classes, else 1."""
    first: int
    """Separators within the first segment."""
    second: int | None
    """Separators within the second segment; None where there is none."""
    longest: int
    """Tokens at most."""

    @classmethod
    def of(cls, task: Task) -> Self:
        """The layout of a task."""
        segments = [task.text_a, task.choices[0] if task.choices else task.text_b]
        counts = [text.count("{sep}") for text in segments if text is not None]
        options = len(task.choices) or 1
        second = counts[1] if len(counts) > 1 else None
        return cls(options, counts[0], second, min(task.max_length, LONGEST))

    def examples(self, words: Sequence[str]) -> list[Example]:
        """Three examples of very different lengths, made of words."""
        return [
            Example(tuple(self._pair(words, count + option) for option in range(self.options)), 0)
            for count in (1, max(2, self.longest // 4), self.longest)
        ]

    def _pair(self, words: Sequence[str], count: int) -> tuple[str, str | None]:
        text = " ".join(words[place % len(words)] for place in range(count))
        first = SEPARATOR.join([text] * (self.first + 1))
        return first, None if self.second is None else SEPARATOR.join([text] * (self.second + 1))


def require_padding_invariance(model: Any, layout: Layout, tokenizer: Any, name: str) -> None:
    """Makes sure that a sequence's logits do not depend on the padding behind it.

    Passes of several lengths rest on it. XLNet scores by the last position, for one.

    Args:
        model: with a head, on the CPU.
        layout: of the texts that it is to read.
        tokenizer: the model's.
        name: of the model, for the message.

    Raises:
        ModelError: They do, or the model cannot read such texts.
    """
    data = encode(layout.examples(_words(tokenizer)), tokenizer, layout.longest)
    every = np.arange(len(data.lengths))

    def logits(sequences: np.ndarray) -> torch.Tensor:
        batch = inputs(model, data, sequences, torch.device("cpu"))
        found: torch.Tensor = model(**batch).logits.float()
        return found

    model.eval()
    try:
        with torch.inference_mode():
            alone = torch.cat([logits(one) for one in np.split(every, len(every))])
            together = logits(every)
    except Exception as error:
        # whatever a foreign architecture says of an input that it does not know
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise
        raise ModelError(
            f"model {name} ({type(model).__name__}): cannot be given padded sequences "
            f"({type(error).__name__}: {first_line(error)})."
        ) from error
    if not torch.isfinite(alone).all():
        raise ModelError(f"model {name} ({type(model).__name__}): its logits are not finite.")
    if float((alone - together).abs().max()) > PADDING_ERROR * float(alone.abs().max()):
        raise ModelError(
            f"model {name} ({type(model).__name__}): the logits of a sequence change with the "
            "padding behind it, so that its scores would depend on what shares its batch. Choose "
            "a model that pools the first token or masks padding, such as BERT, RoBERTa or "
            "DeBERTa-v3."
        )


def _words(tokenizer: Any) -> list[str]:
    """Some pieces of a vocabulary, as text."""
    special = set(tokenizer.all_special_ids)
    ids = sorted(set(tokenizer.get_vocab().values()) - special)
    texts = (tokenizer.decode([token]).strip() for token in ids[:: max(1, len(ids) // WORDS)])
    return [text for text in texts if text.isalnum()] or ["a", "b"]


def sample(
    examples: Sequence[Example], encoded: Encoded
) -> tuple[list[tuple[str, str | None]], list[np.ndarray]]:
    """The first pairs of texts of a split, and their token ids."""
    pairs = [pair for example in examples[:SAMPLE] for pair in example.pairs][:SAMPLE]
    ends = encoded.offsets[1 : len(pairs)]
    return pairs, np.split(encoded.ids[: encoded.offsets[len(pairs)]], ends)
