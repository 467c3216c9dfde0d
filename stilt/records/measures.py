"""Every metric from what was answered: of classes by their confusion, of numbers by themselves."""

import numpy as np

ALIKE = 1e-6
"""Numbers that differ by a smaller share of their size are equal: float32 has seven digits."""


def range_of(metric: str) -> tuple[float, float]:
    """The lowest and the highest value of a metric: correlations, MCC among them, begin at -1."""
    return (-1.0 if metric in ("mcc", "pearson", "spearman") else 0.0), 1.0


def of_confusion(metric: str, confusion: np.ndarray) -> float:
    """A metric of classes: ``accuracy``, ``mcc``, ``f1`` (of the second class) or ``macro-f1``.

    Args:
        metric: its name.
        confusion: (K, K) counts, gold by predicted; they need not be whole.

    Returns:
        0 where it is not defined.

    Source: MCC of K classes: Gorodkin 2004. Macro F1 is the mean of the F1 of every class that is
    or was predicted, as SuperGLUE scores CB (Opitz and Burst 2019 tell it from another measure of
    this name).
    """
    gold, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    total = confusion.sum()
    if metric == "accuracy":
        return float(np.trace(confusion) / total)
    if metric == "mcc":
        spread = (total**2 - gold @ gold) * (total**2 - predicted @ predicted)
        if spread <= 0:
            return 0.0
        return float((np.trace(confusion) * total - gold @ predicted) / np.sqrt(spread))
    both = gold + predicted
    every = 2 * np.diagonal(confusion) / np.where(both > 0, both, 1.0)
    return float(every[both > 0].mean() if metric == "macro-f1" else every[1])


def confusion_of(gold: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) counts of classes (N,), gold by predicted."""
    pairs = gold.astype(np.int64) * classes + predicted
    counts = np.bincount(pairs, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


def of_numbers(metric: str, gold: np.ndarray, predicted: np.ndarray) -> float:
    """``pearson`` or ``spearman``: the correlation of (N,) numbers; 0 where a side is constant."""
    if metric == "spearman":
        gold, predicted = ranks(gold), ranks(predicted)
    x, y = (side - side.mean() for side in (gold, predicted))
    lengths = [float(np.sqrt(side @ side)) for side in (x, y)]
    sizes = [float(np.sqrt(side @ side)) for side in (gold, predicted)]
    if any(n <= ALIKE * size for n, size in zip(lengths, sizes, strict=True)):
        return 0.0
    return float(np.clip((x / lengths[0]) @ (y / lengths[1]), -1.0, 1.0))


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each number; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[place])
