"""How long a sequence a model can read, told from its config.json without loading it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stilt.config import read_json
from stilt.errors import ConfigError
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
    """A model folder's config.json; empty where there is none.

    Raises:
        ConfigError: It is there and is no JSON object.
    """
    path = folder / "config.json"
    try:
        config: Any = read_json(path)
    except FileNotFoundError:
        return {}
    except ConfigError as error:
        raise ConfigError(f"model: {error}") from None
    if not isinstance(config, dict):
        raise ConfigError(f"model: {path}: a JSON object is expected.")
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
