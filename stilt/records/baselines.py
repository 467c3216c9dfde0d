"""What labels alone say: the score of the most frequent class, and Matthews correlation."""

import numpy as np

from stilt.task import Task

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""How records write classes: one character each."""


def written(classes: np.ndarray) -> str:
    """Classes as records write them."""
    return "".join(DIGITS[c] for c in classes)


def classes_of(text: str) -> np.ndarray:
    """Classes (N,) that a record wrote; 255 for a character that is no digit."""
    return _CLASSES[np.frombuffer(text.encode(errors="replace"), np.uint8)]


_CLASSES = np.full(256, 255, np.uint8)
_CLASSES[np.frombuffer(DIGITS.encode(), np.uint8)] = np.arange(len(DIGITS))


def majority(task: Task, gold: np.ndarray) -> float:
    """Score of always answering the dev set's most frequent class (MCC is then 0).

    Options whose gold always has the same place, as in SynthesisGPT2, have no frequent class: a
    model that scores each option by itself cannot see the place, so guessing is chance.
    """
    if task.metric == "mcc":
        return 0.0
    if task.kind == "multiple-choice" and len(set(gold.tolist())) == 1:
        return task.chance
    return float(np.bincount(gold).max() / len(gold))


def matthews(confusion: np.ndarray) -> float:
    """Matthews correlation of a (K, K) confusion matrix, gold by predicted; 0 if undefined.

    Source: Gorodkin 2004, the K-category correlation coefficient.
    """
    total = confusion.sum()
    gold, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    spread = (total**2 - gold @ gold) * (total**2 - predicted @ predicted)
    if spread <= 0:
        return 0.0
    return float((np.trace(confusion) * total - gold @ predicted) / np.sqrt(spread))
