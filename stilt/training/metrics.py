"""Scores of a dev set from its logits."""

import numpy as np

from stilt.records.baselines import matthews, written
from stilt.records.results import Score
from stilt.task import Task


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
        mcc = matthews(np.eye(logits.shape[1])[gold].T @ (tied / count[:, None]))
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(gold)), gold]
    return Score(
        score=mcc if task.metric == "mcc" and mcc is not None else accuracy,
        accuracy=accuracy,
        mcc=mcc,
        loss=float(loss.mean()),
        predictions=written(predicted),
        gold=written(gold),
        ties=int((count > 1).sum()),
    )
