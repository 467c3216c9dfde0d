"""The score of the best constant answer, and of a guess, in each metric."""

import numpy as np
import pytest

from stilt.records.baselines import chance, majority
from stilt.task import CORRELATIONS, Task

COMMON = {"name": "t", "title": "t", "text_a": "{a}", "max_length": 9, "epochs": 1}
GOLD = np.array([0, 0, 0, 1, 1, 1, 1, 1])


def task(metric, classes=2):
    more = {"kind": "classification", "labels": [str(i) for i in range(classes)]}
    if metric in CORRELATIONS:
        more = {"kind": "regression"}
    return Task(**COMMON, **more, metric=metric, data=[{"train": "a", "dev": "b"}])


@pytest.mark.parametrize(
    ("metric", "best", "guess"),
    [
        ("accuracy", 5 / 8, 1 / 2),
        ("mcc", 0, 0),
        # all rows said to be of the class: precision 5/8, recall 1; a guess: 5/8 and 1/2
        ("f1", 2 * 5 / (8 + 5), 2 * 2.5 / (4 + 5)),
        ("macro-f1", 5 / (8 + 5), (2 * 2.5 / 9 + 2 * 1.5 / 7) / 2),
    ],
)
def test_the_best_constant_answer_and_a_guess_of_classes(metric, best, guess):
    assert majority(task(metric), GOLD) == pytest.approx(best)
    assert chance(task(metric), GOLD) == pytest.approx(guess)


def test_no_constant_answer_has_a_higher_f1():
    # where few rows are of the class, accuracy's best answer is the other one, with an F1 of 0
    gold = np.array([0] * 9 + [1])
    assert majority(task("f1"), gold) == pytest.approx(2 / 11)
    assert majority(task("accuracy"), gold) == 0.9


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_a_constant_and_a_guess_have_no_correlation(metric):
    gold = np.array([0.5, 2.0, 5.0])
    assert majority(task(metric), gold) == chance(task(metric), gold) == 0


def test_a_guess_has_the_f1_that_many_guesses_have():
    gold = np.random.default_rng(0).random(40_000) < 0.3
    said = np.random.default_rng(1).random(40_000) < 0.5
    found = 2 * (gold & said).sum() / (gold.sum() + said.sum())
    assert chance(task("f1"), gold.astype(int)) == pytest.approx(found, abs=0.01)
