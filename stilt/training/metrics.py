"""Scores of a dev set from its logits."""

import numpy as np

from stilt.records.answers import answers_of, written
from stilt.records.measures import of_confusion, of_numbers
from stilt.records.results import Score
from stilt.task import CORRELATIONS, Task


def score(task: Task, logits: np.ndarray, gold: np.ndarray) -> Score:
    """Scores logits against labels; ties are broken fairly.

    An example whose gold option ties with k - 1 others counts 1/k towards accuracy (and each tied
    class 1/k in the confusion matrix), so that a constant model scores chance wherever the gold
    option stands. Its recorded prediction is one of the tied options, drawn by the example's place
    in the file.

    Args:
        task: names the metric.
        logits: (N, K) finite scores; (N, 1) predicted numbers in regression.
        gold: (N,) classes in 0..K-1, or numbers.
    """
    if task.kind == "regression":
        return _of_numbers(task, logits[:, 0], gold)
    logits = logits.astype(np.float64)
    tied = logits == logits.max(axis=1, keepdims=True)
    count = tied.sum(axis=1)
    draw = np.random.Generator(np.random.PCG64(0)).random(len(gold))
    place = np.floor(draw * count).astype(int)
    predicted = (np.cumsum(tied, axis=1) > place[:, None]).argmax(axis=1)
    accuracy = float(np.mean(tied[np.arange(len(gold)), gold] / count))
    of_classes = {}
    if task.kind == "classification":
        confusion = np.eye(logits.shape[1])[gold].T @ (tied / count[:, None])
        of_classes["mcc"] = float(of_confusion("mcc", confusion))
        if task.metric not in ("accuracy", "mcc"):
            of_classes["f1"] = float(of_confusion(task.metric, confusion))
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(gold)), gold]
    return Score.of(
        task.metric,
        accuracy=accuracy,
        mcc=of_classes.get("mcc"),
        f1=of_classes.get("f1"),
        loss=float(loss.mean()),
        predictions=written(predicted),
        gold=written(gold),
        ties=int((count > 1).sum()),
    )


def _of_numbers(task: Task, predicted: np.ndarray, gold: np.ndarray) -> Score:
    texts = {"predictions": written(predicted), "gold": written(gold.astype(np.float32))}
    # as they are recorded, so that whoever reads the record finds the same
    said, known = (answers_of(task.metric, texts[name]) for name in ("predictions", "gold"))
    found = {name: of_numbers(name, known, said) for name in CORRELATIONS}
    loss = float(np.mean((said - known) ** 2))
    return Score.of(task.metric, accuracy=None, mcc=None, loss=loss, ties=0, **found, **texts)
