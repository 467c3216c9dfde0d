"""How records write a dev set's labels and what a run answered: a character a class, or numbers."""

import numpy as np

from stilt.task import CORRELATIONS

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""How records write classes: one character each."""


def is_numbers(metric: str) -> bool:
    """Whether the labels that a metric compares are numbers: in regression."""
    return metric in CORRELATIONS


def written(answers: np.ndarray) -> str:
    """Answers as records write them.

    Args:
        answers: (N,) whole numbers, which are classes: a base-36 digit each. Others are those of
            regression: in the fewest digits that tell each float32, with a space between them.
    """
    if answers.dtype.kind == "f":
        return " ".join(str(value) for value in answers.astype(np.float32))
    return "".join(DIGITS[c] for c in answers)


def classes_of(text: str) -> np.ndarray:
    """Classes (N,) that a record wrote; 255 for a character that is no digit."""
    return _CLASSES[np.frombuffer(text.encode(errors="replace"), np.uint8)]


_CLASSES = np.full(256, 255, np.uint8)
_CLASSES[np.frombuffer(DIGITS.encode(), np.uint8)] = np.arange(len(DIGITS))


def numbers_of(text: str) -> np.ndarray:
    """Numbers (N,) that a record wrote, in float64; NaN for what is none."""
    parts = text.split(" ")
    try:
        found = np.array(parts, np.float32)
    except ValueError:
        return np.full(len(parts), np.nan)
    return found.astype(np.float64)


def answers_of(metric: str, text: str) -> np.ndarray:
    """Classes or numbers (N,) that a record wrote of a task with this metric."""
    return numbers_of(text) if is_numbers(metric) else classes_of(text)
