"""Work of batches of encoded rows, as the training and scoring of runs split them into passes."""

from collections.abc import Iterable, Iterator

import numpy as np

from stilt.data.encode import Encoded
from stilt.training.forward import evaluation_passes, passes_of
from stilt.training.speed.calibration import Work


def chosen(data: Encoded, rows: np.ndarray) -> Encoded:
    """Some examples of a split, in the order of ``rows``; one may come several times."""
    sequences = (rows[:, None] * data.options + np.arange(data.options)).ravel()
    lengths = data.lengths[sequences]
    places = [np.arange(data.offsets[s], data.offsets[s + 1]) for s in sequences]
    flat = np.concatenate(places) if places else np.array([], dtype=np.int64)
    return Encoded(
        ids=data.ids[flat],
        types=data.types[flat] if len(data.types) else data.types,
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        labels=data.labels[rows],
    )


def batches(order: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows of each backward pass, in the order in which training takes them."""
    for start in range(0, len(order), size):
        yield order[start : start + size]


def work_of(data: Encoded, rows: Iterable[np.ndarray], chunk: int, device: str) -> Work:
    """Work of some backward passes, each in parts of at most ``chunk`` examples."""
    found = Work()
    for batch in rows:
        for start in range(0, len(batch), chunk):
            found += _passes(data, batch[start : start + chunk], device)
    return found


def scoring_work(data: Encoded, device: str) -> Work:
    """Work of scoring a whole split."""
    found = Work()
    for rows in evaluation_passes(data):
        found += _passes(data, rows, device)
    return found


def longest(data: Encoded, count: int) -> np.ndarray:
    """The examples with the most tokens."""
    tokens = data.lengths.reshape(len(data), data.options).max(axis=1)
    return np.resize(np.argsort(-tokens, kind="stable")[:count], count)


def _passes(data: Encoded, rows: np.ndarray, device: str) -> Work:
    """Work of the forward passes of some examples."""
    found = Work()
    sequences, groups = passes_of(data, rows, device)
    for group in groups:
        length = float(data.lengths[sequences[group]].max())
        positions = length * len(group)
        found += Work(passes=1, positions=positions, squares=positions * length)
    return found
