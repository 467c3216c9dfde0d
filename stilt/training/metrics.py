"""Scores of a dev set from its logits."""

import numpy as np

from stilt.records.results import Score
from stilt.task import Task

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def score(task: Task, logits: np.ndarray, gold: np.ndarray) -> Score:
    """Scores logits against labels; ties are broken fairly.

    An example whose gold option ties with k - 1 others counts 1/k towards accuracy (and each tied
    class 1/k in the confusion matrix), so that a constant model scores chance wherever the gold
    option stands. Its recorded prediction is one of the tied options, drawn by the example's place
    in the file.

    Args:
        task: names the metric.
        logits: (N, K) finite scores.
        gold: (N,) classes in 0..K-1.
    """
    logits = logits.astype(np.float64)
    tied = logits == logits.max(axis=1, keepdims=True)
    count = tied.sum(axis=1)
    draw = np.random.Generator(np.random.PCG64(0)).random(len(gold))
    place = np.floor(draw * count).astype(int)
    predicted = (np.cumsum(tied, axis=1) > place[:, None]).argmax(axis=1)
    accuracy = float(np.mean(tied[np.arange(len(gold)), gold] / count))
    mcc = None
    if task.kind == "classification":
        mcc = _matthews(np.eye(logits.shape[1])[gold].T @ (tied / count[:, None]))
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(gold)), gold]
    return Score(
        score=mcc if task.metric == "mcc" and mcc is not None else accuracy,
        accuracy=accuracy,
        mcc=mcc,
        loss=float(loss.mean()),
        predictions=_digits(predicted),
        gold=_digits(gold),
        ties=int((count > 1).sum()),
    )


def _matthews(confusion: np.ndarray) -> float:
    """Matthews correlation of a (K, K) confusion matrix, gold by predicted; 0 if undefined.

    Source: Gorodkin 2004, the K-category correlation coefficient.
    """
    total = confusion.sum()
    gold, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    spread = (total**2 - gold @ gold) * (total**2 - predicted @ predicted)
    if spread <= 0:
        return 0.0
    return float((np.trace(confusion) * total - gold @ predicted) / np.sqrt(spread))


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


def _digits(classes: np.ndarray) -> str:
    return "".join(DIGITS[c] for c in classes)
