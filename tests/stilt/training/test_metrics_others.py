"""F1 and correlations of a dev set, from its logits."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score

from stilt.records.answers import numbers_of
from stilt.task import load_task
from stilt.training.metrics import score

MRPC, CB, STSB = map(load_task, ("mrpc", "cb", "stsb"))


@pytest.mark.parametrize(("task", "classes"), [(MRPC, 2), (CB, 3)], ids=["f1", "macro-f1"])
def test_f1_is_scikit_learns(task, classes):
    random = np.random.default_rng(0)
    gold, said = random.integers(0, classes, (2, 50))
    found = score(task, np.eye(classes)[said] * 3.0, gold)
    average = "binary" if task is MRPC else "macro"
    assert found.score == found.f1 == pytest.approx(f1_score(gold, said, average=average))
    assert found.accuracy == pytest.approx(np.mean(gold == said))


def test_a_tie_of_both_classes_counts_half_in_f1():
    # of two rows of the class each is half found, and half of the two others is said to be of it
    found = score(MRPC, np.zeros((4, 2)), np.array([0, 0, 1, 1]))
    assert found.f1 == pytest.approx(2 * 1 / (2 + 2))


def test_correlations_of_numbers_are_scipys_and_those_of_what_is_recorded():
    random = np.random.default_rng(1)
    gold = random.uniform(0, 5, 200).round(1).astype(np.float32)
    said = (gold + random.normal(0, 1, 200)).astype(np.float32)
    found = score(STSB, said[:, None].astype(float), gold)
    assert found.score == found.pearson == pytest.approx(pearsonr(gold, said).statistic)
    assert found.spearman == pytest.approx(spearmanr(gold, said).statistic)
    assert found.loss == pytest.approx(float(np.mean((gold - said) ** 2)))
    assert (numbers_of(found.predictions) == said).all()
    assert found.predictions.count(" ") == found.gold.count(" ") == 199
    assert (found.accuracy, found.mcc, found.ties) == (None, None, 0)


def test_a_model_that_answers_one_number_has_no_correlation():
    assert score(STSB, np.full((9, 1), 2.5), np.arange(9.0)).score == 0
