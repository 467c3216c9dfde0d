"""Examples -> token ids, once per task and tokenizer, kept in a content-addressed cache."""

import copy
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from stilt.cell import digest
from stilt.data.oddities import SEPARATOR
from stilt.data.render import Example
from stilt.data.splits import Splits
from stilt.errors import DataError, disk_full, disk_trouble, shown
from stilt.system.sealed import flaw, sealing
from stilt.task import Task

ENCODING_VERSION = 2
"""Counts changes of this module that change token ids, so that old cache entries are not used."""


@dataclass(frozen=True)
class Encoded:
    """A split as flat token ids: no padding is stored.

    S sequences = N examples x O options; sequence ``i * O + o`` is option ``o`` of example ``i``.
    """

    ids: np.ndarray
    """int32 (T,): token ids of all sequences, one after the other."""
    types: np.ndarray
    """int8 (T,): token type ids; empty where the tokenizer makes none."""
    offsets: np.ndarray
    """int64 (S + 1,): where each sequence starts in ``ids``."""
    labels: np.ndarray
    """int64 (N,): class of each example; float32 in regression: its number."""

    @property
    def options(self) -> int:
        """Sequences per example."""
        return int((len(self.offsets) - 1) // max(1, len(self.labels)))

    @property
    def lengths(self) -> np.ndarray:
        """int64 (S,): tokens of each sequence."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)


def cache_folder() -> Path:
    """Folder of tokenised data: ``STILT_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("STILT_CACHE") or platformdirs.user_cache_dir("stilt"))


def encode_splits(
    task: Task,
    splits: Splits,
    tokenizer: Any,
    tokenizer_digest: str,
    folder: Path,
    tell: Callable[[str], None] = lambda message: None,
) -> tuple[Encoded, Encoded]:
    """Encodes both splits with a fast tokenizer of transformers, or reads them from the cache.

    ``tell`` is told, in a line, of a cached file that is not what it should be: it is replaced. And
    of a disk that does not take the file: the run goes on without it.
    """
    parts = []
    for name, examples in (("train", splits.train), ("dev", splits.dev)):
        path = cache_path(task, name, splits.digest(), tokenizer_digest, folder)
        part = _cached(path, tell)
        if part is None:
            part = encode(examples, tokenizer, task.max_length)
            _keep(part, path, tell)
        parts.append(part)
    return parts[0], parts[1]


def _cached(path: Path, tell: Callable[[str], None]) -> Encoded | None:
    """What a cached file holds; None where there is none, or none that can be trusted."""
    try:
        problem = flaw(path, {"file": path.name})
        if problem is None:
            with np.load(path) as arrays:
                return Encoded(**{key: arrays[key] for key in arrays.files})
        tell(f"{path}: {problem}; its rows are encoded again")
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        tell(f"{path}: cannot be used ({error.strerror}); its rows are encoded again")
    return None


def _keep(part: Encoded, path: Path, tell: Callable[[str], None]) -> None:
    try:
        with sealing(path, {"file": path.name}) as file:
            np.savez(file, **part.__dict__)
    except OSError as error:
        if not disk_trouble(error):
            raise
        tell(f"disk: {disk_full(error)}: what was encoded is not kept for other runs")


def cache_path(
    task: Task, split: str, data_digest: str, tokenizer_digest: str, folder: Path
) -> Path:
    """File of an encoded split, named by everything that decides its content."""
    content = [ENCODING_VERSION, split, data_digest, task.identity(), tokenizer_digest]
    return folder / "encoded" / f"{task.name}-{split}-{digest(content, 20)}.npz"


def encode(examples: list[Example], tokenizer: Any, max_length: int) -> Encoded:
    """Tokenises examples as ``<s> A </s></s> B </s>`` (or the tokenizer's own pair layout).

    A pair longer than ``max_length`` loses tokens of its longer side, one at a time. A text that
    holds what the tokenizer calls its own tokens (``</s>``, ``[SEP]``) is read as these characters.

    Raises:
        DataError: The tokenizer has no separator, or cannot read its own tokens' names as text.

    Source: the released code's ``encode_plus`` with ``longest_first`` (transformers 4.3.2).
    """
    separator = tokenizer.sep_token or tokenizer.eos_token
    if separator is None:
        raise DataError("the model's tokenizer has no separator token; an encoder is expected.")
    pairs = [pair for example in examples for pair in example.pairs]
    ids, types = _tokenise(pairs, tokenizer, separator, max_length)
    own = re.compile("|".join(map(re.escape, tokenizer.all_special_tokens)))
    odd = [i for i, pair in enumerate(pairs) if any(part and own.search(part) for part in pair)]
    if odd:
        literal = _literal(tokenizer)
        found = _tokenise([pairs[i] for i in odd], literal, SEPARATOR, max_length)
        mark = literal.convert_tokens_to_ids(SEPARATOR)
        end = tokenizer.convert_tokens_to_ids(separator)
        for place, i in enumerate(odd):
            ids[i] = [end if token == mark else token for token in found[0][place]]
            if types:
                types[i] = found[1][place]
            _require_read_as_text(ids[i], pairs[i], tokenizer, i // len(examples[0].pairs) + 1)
    return Encoded(
        ids=_flat(ids, np.int32),
        types=_flat(types, np.int8),
        offsets=np.cumsum([0, *map(len, ids)], dtype=np.int64),
        labels=_labels([example.label for example in examples]),
    )


def _labels(labels: Sequence[float]) -> np.ndarray:
    found = np.array(labels)
    return found.astype(np.float32 if found.dtype.kind == "f" else np.int64)


def _tokenise(
    pairs: Sequence[tuple[str, str | None]], tokenizer: Any, separator: str, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and token type ids of each pair; no types where the tokenizer makes none."""
    first = [a.replace(SEPARATOR, separator) for a, _ in pairs]
    # one kind per task: either every sequence has a second segment or none has
    second = [b.replace(SEPARATOR, separator) for _, b in pairs if b is not None] or None
    encoded = tokenizer(
        first,
        second,
        truncation="longest_first",
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
    )
    return encoded["input_ids"], encoded.get("token_type_ids", [])


def _literal(tokenizer: Any) -> Any:
    """A copy that finds none of its special tokens in a text; ``SEPARATOR`` is a token of it."""
    from tokenizers import AddedToken

    found = copy.deepcopy(tokenizer)
    found.add_tokens([AddedToken(SEPARATOR, normalized=False, special=False)])
    found.split_special_tokens = True
    found.backend_tokenizer.encode_special_tokens = True
    return found


def _require_read_as_text(
    ids: list[int], pair: tuple[str, str | None], tokenizer: Any, number: int
) -> None:
    """Refuses a sequence in which a token's name became that token all the same.

    Raises:
        DataError: The vocabulary of the tokenizer's model holds it as a piece of text.
    """
    marks = sum(part.count(SEPARATOR) for part in pair if part)
    placed = tokenizer.num_special_tokens_to_add(pair=pair[1] is not None)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    if sum(token in special for token in ids) > placed + marks:
        text = next(part for part in pair if part)
        raise DataError(
            f"row {number} as drawn, {shown(text, 60)}: the tokenizer reads the name of a token of "
            "its own there, and cannot read it as text. Write it in another way."
        )


def _flat(sequences: list[list[int]], kind: Any) -> np.ndarray:
    return np.array([token for sequence in sequences for token in sequence], dtype=kind)
