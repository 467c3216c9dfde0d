"""Every metric is the one of the field's own libraries."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from stilt.records.measures import confusion_of, of_confusion, of_numbers

THEIRS = {
    "accuracy": metrics.accuracy_score,
    "mcc": metrics.matthews_corrcoef,
    "macro-f1": lambda gold, said: metrics.f1_score(gold, said, average="macro"),
}


@pytest.mark.parametrize("metric", THEIRS)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_metric_of_classes_is_scikit_learns(metric, classes):
    random = np.random.default_rng(classes)
    gold, said = random.integers(0, classes, (2, 60))
    ours = of_confusion(metric, confusion_of(gold, said, classes))
    assert ours == pytest.approx(THEIRS[metric](gold, said), abs=1e-12)


def test_f1_is_that_of_the_second_class():
    gold, said = np.array([1, 1, 1, 0, 0]), np.array([1, 0, 1, 1, 0])
    assert of_confusion("f1", confusion_of(gold, said, 2)) == pytest.approx(2 / 3)
    assert metrics.f1_score(gold, said) == pytest.approx(2 / 3)


def test_a_class_that_neither_is_nor_was_said_does_not_count_in_macro_f1():
    gold, said = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    theirs = metrics.f1_score(gold, said, average="macro")
    assert of_confusion("macro-f1", confusion_of(gold, said, 3)) == pytest.approx(theirs)


def test_f1_of_a_class_that_there_is_none_of_is_0():
    gold = np.zeros(4, int)
    assert of_confusion("f1", confusion_of(gold, gold, 2)) == 0


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_correlation_is_scipys_with_equal_numbers_too(metric):
    random = np.random.default_rng(3)
    gold = random.integers(0, 6, 80).astype(float)
    said = gold + random.normal(0, 2, 80).round(1)
    theirs = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[metric](gold, said).statistic
    assert of_numbers(metric, gold, said) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_correlation_with_one_number_is_0(metric):
    numbers = np.array([1.0, 2.0, 3.0])
    assert of_numbers(metric, numbers, np.full(3, 2.5)) == 0
    assert of_numbers(metric, np.full(3, 2.5), numbers) == 0


def test_numbers_that_differ_by_rounding_alone_are_one_number():
    said = np.float64(np.float32(2.5) + np.array([0, 2e-7, 4e-7, 0], np.float32))
    assert of_numbers("pearson", np.arange(4.0), said) == 0
