"""How long a sequence a model can read, told from its config.json without loading it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stilt.config import read_json
from stilt.errors import ConfigError, ModelError, shown
from stilt.task import Task

FROM_ZERO = frozenset(
    ("albert", "bert", "convbert", "distilbert", "electra", "ernie", "megatron-bert", "mobilebert")
)
"""Model types with one learnt vector per position, counted from 0."""
AFTER_PADDING = frozenset(
    (
        *("camembert", "data2vec-text", "longformer", "mpnet", "roberta", "roberta-prelayernorm"),
        *("xlm-roberta", "xlm-roberta-xl"),
    )
)
"""Model types that count positions from the padding token's id plus one."""
LARGEST = 10_000_000
"""Bytes: a thousand times those of a usual config.json."""
SIZES = {
    "hidden_size": 10**5,
    "num_hidden_layers": 10**3,
    "vocab_size": 10**7,
    "max_position_embeddings": 10**8,
}
"""Fields that decide a model's size, where a config has them, and far more than any model has."""
PADDING = 1
"""Id of the padding token where the config of such a type leaves it out; MPNet's is always 1."""


def longest_sequence(config: Mapping[str, Any]) -> int | None:
    """Longest sequence that a model has positions for; None where that is not certain.

    Models with relative or rotary positions may read more than their config names, so they and all
    unknown types are None.

    Source: the embeddings of these types in transformers 4 and 5.
    """
    kind, count = config.get("model_type"), config.get("max_position_embeddings")
    learnt = config.get("position_embedding_type") in (None, "absolute")
    if type(count) is not int or not learnt:
        return None
    if kind in FROM_ZERO:
        return count
    padding = PADDING if kind == "mpnet" else config.get("pad_token_id", PADDING)
    return count - padding - 1 if kind in AFTER_PADDING and type(padding) is int else None


def read_config(folder: Path) -> Mapping[str, Any]:
    """A model folder's config.json.

    Raises:
        ModelError: It is absent, no JSON object, larger than any, or a field that decides the
            model's size is not of its type; the message names file and field.
    """
    path = folder / "config.json"
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"model: {path}: over {LARGEST} bytes; it is no config of a model.")
        config: Any = read_json(path)
    except FileNotFoundError:
        raise ModelError(f"model: {path}: no such file.") from None
    except ModelError:
        raise
    except ConfigError as error:
        raise ModelError(f"model: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"model: {path}: a JSON object is expected.")
    kind = config.get("model_type", "")
    if not isinstance(kind, str):
        raise ModelError(
            f"model: {path}: field 'model_type' = {shown(kind)}: the name of a type of model is "
            'expected, such as "roberta".'
        )
    for name, most in SIZES.items():
        value = config.get(name)
        if value is not None and (type(value) is not int or not 0 < value <= most):
            raise ModelError(
                f"model: {path}: field '{name}' = {shown(value)}: a whole number from 1 to {most} "
                "is expected."
            )
    return config


def require_positions(tasks: Iterable[Task], config: Mapping[str, Any]) -> None:
    """Makes sure that a model can read the longest sequence of every task.

    Raises:
        ConfigError: It cannot; the message names each such task.
    """
    known = longest_sequence(config)
    if known is None:
        return
    wrong = [task for task in tasks if task.max_length > known]
    if wrong:
        raise ConfigError(
            "; ".join(f"task {t.name!r}, field 'max_length' = {t.max_length}" for t in wrong)
            + f": the model has {known} positions."
        )
