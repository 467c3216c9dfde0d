"""A model's tokenizer: loaded, identified, and refused where it cannot tell texts apart."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from stilt.cell import digest
from stilt.errors import ModelError
from stilt.model.loading import loading
from stilt.model.place import ModelPlace

BLANK = 2
"""Tokens beside the special ones that a tokenizer without a vocabulary has at most."""
UNKNOWN = 0.5
"""Share of unknown tokens from which on a tokenizer is not for these texts."""
ALIKE = 0.1
"""Share of different texts below which too few are different once they are tokens."""
FEW_TEXTS = 10
"""Different texts that say too little of a tokenizer."""


def load_tokenizer(place: ModelPlace, rows: int) -> Any:
    """Loads a tokenizer.

    Args:
        place: where it lies, with its model.
        rows: of the model's embedding.

    Raises:
        ModelError: It cannot be loaded, has no vocabulary (transformers makes a blank one where
            there are no files), or is not the model's.
    """
    with loading(place):
        tokenizer = AutoTokenizer.from_pretrained(place.name, revision=place.revision)
        vocabulary: dict[str, int] = tokenizer.get_vocab()
    ordinary = len(set(vocabulary.values()) - set(tokenizer.all_special_ids))
    if ordinary <= BLANK:
        raise ModelError(
            f"{place.name}: its tokenizer has no vocabulary ({type(tokenizer).__name__} with "
            f"{len(vocabulary)} tokens), so that every text would be read alike. Save the model's "
            "own beside the weights: tokenizer.save_pretrained(folder)."
        )
    size = max(vocabulary.values()) + 1
    if size > rows:
        raise ModelError(
            f"{place.name}: the tokenizer has {size} tokens, the model {rows}; they are not of "
            "one kind."
        )
    return tokenizer


def tokenizer_digest(tokenizer: Any, place: ModelPlace) -> str:
    """What decides the token ids of a text: the tokenizer as it was loaded, and the library.

    The files alone do not: config.json may decide which kind of tokenizer reads them.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    state = json.loads(backend.to_str()) if backend is not None else {"place": place.name}
    # set by whatever was encoded last
    state |= {"truncation": None, "padding": None}
    known = [str(tokenizer.sep_token), str(tokenizer.eos_token), tokenizer.truncation_side]
    libraries = [version(name) for name in ("transformers", "tokenizers")]
    vocabulary = tokenizer.get_vocab() if backend is None else None
    return digest([type(tokenizer).__name__, state, known, libraries, vocabulary], 32)


def require_telling(
    texts: Sequence[Any], sequences: Sequence[np.ndarray], tokenizer: Any, name: str
) -> None:
    """Makes sure that a tokenizer knows a task's texts and that they differ once encoded.

    Args:
        texts: some of a task's texts (or pairs of them).
        sequences: token ids of each.
        tokenizer: that encoded them.
        name: of the task.

    Raises:
        ModelError: At least half of the tokens are unknown, or of the different texts nearly all
            become the same tokens.
    """
    if len(sequences) == 0:
        return
    ids = np.concatenate(sequences)
    unknown = tokenizer.unk_token_id
    special = [token for token in tokenizer.all_special_ids if token != unknown]
    said = ids[~np.isin(ids, special)]
    share = float((said == unknown).mean()) if len(said) and unknown is not None else 0.0
    if share >= UNKNOWN:
        raise ModelError(
            f"task {name!r}: the model's tokenizer ({type(tokenizer).__name__}) does not know "
            f"{100 * share:.0f} % of the tokens of its texts; it is not for these texts."
        )
    different, left = len(set(texts)), len({one.tobytes() for one in sequences})
    if different > FEW_TEXTS and left < ALIKE * different:
        raise ModelError(
            f"task {name!r}: of {different} different texts only {left} are different once they "
            f"are tokens: the model's tokenizer ({type(tokenizer).__name__}) cannot read them, or "
            "the task's 'max_length' cuts off what tells them apart."
        )
