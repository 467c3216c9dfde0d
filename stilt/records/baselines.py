"""What labels alone say: the score of the best constant answer, and of a random guess."""

import numpy as np

from stilt.records.answers import is_numbers
from stilt.records.measures import of_confusion
from stilt.task import Task


def majority(task: Task, gold: np.ndarray) -> float:
    """Score of the best constant answer: what a run that tells no two rows apart has at most.

    For accuracy and macro F1 that is the dev set's most frequent class, for F1 the class that it is
    of; a correlation with a constant counts as 0.

    Options whose gold always has the same place, as in SynthesisGPT2, have no frequent class: a
    model that scores each option by itself cannot see the place, so guessing is chance.

    Args:
        task: names the metric.
        gold: (N,) classes, or numbers in regression.
    """
    if task.metric == "mcc" or is_numbers(task.metric):
        return 0.0
    if task.kind == "multiple-choice" and len(set(gold.tolist())) == 1:
        return 1 / len(task.labels)
    counts = np.bincount(gold, minlength=len(task.labels))
    confusion = np.zeros((len(counts), len(counts)))
    confusion[:, 1 if task.metric == "f1" else counts.argmax()] = counts
    return of_confusion(task.metric, confusion)


def chance(task: Task, gold: np.ndarray) -> float:
    """Score of a random guess; of F1 that of the expected counts."""
    if task.chance is not None:
        return task.chance
    classes = len(task.labels)
    counts = np.bincount(gold, minlength=classes)
    return of_confusion(task.metric, np.tile(counts[:, None] / classes, classes))
