"""Scores against numbers worked out by hand, and a constant model at chance."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from stilt.records.baselines import majority
from stilt.task import load_task
from stilt.training.metrics import score

COLA, RTE, MEDNLI, HELLASWAG = map(load_task, ("cola", "rte", "mednli", "hellaswag"))


def logits_for(predictions, classes):
    return np.eye(classes)[predictions] * 3.0


@pytest.mark.parametrize("level", [0.0, 7.5, -1e9])
@pytest.mark.parametrize("gold", [[0] * 8, [3] * 8, [0, 1, 2, 3, 3, 3, 0, 1]])
def test_a_constant_model_scores_exactly_chance_wherever_the_gold_option_stands(gold, level):
    found = score(HELLASWAG, np.full((8, 4), level), np.array(gold))
    assert found.score == found.accuracy == 0.25 == HELLASWAG.chance
    assert found.ties == 8
    assert found.mcc is None
    assert found.loss == pytest.approx(math.log(4))


def test_the_choices_of_a_constant_model_are_spread_and_the_same_each_time():
    gold = np.zeros(4_000, int)
    found = score(HELLASWAG, np.zeros((4_000, 4)), gold)
    counts = [found.predictions.count(digit) for digit in "0123"]
    # five standard deviations of a binomial draw
    assert all(abs(count - 1_000) < 5 * (4_000 * 0.25 * 0.75) ** 0.5 for count in counts)
    assert found == score(HELLASWAG, np.zeros((4_000, 4)), gold)


def test_a_tie_of_two_counts_half_and_only_tied_options_are_predicted():
    logits = np.array([[1.0, 1.0, 0.0, -1.0]] * 50)
    found = score(HELLASWAG, logits, np.array([0, 2] * 25))
    assert found.accuracy == 0.25  # half of 25, none of 25
    assert set(found.predictions) == {"0", "1"}


def test_no_tie_gives_the_plain_argmax():
    logits = np.array([[0.1, 0.2, 0.3], [3.0, 2.0, 1.0], [0.0, 5.0, 4.9]])
    found = score(MEDNLI, logits, np.array([2, 1, 1]))
    assert (found.predictions, found.gold, found.ties) == ("201", "211", 0)
    assert found.accuracy == pytest.approx(2 / 3)


def test_the_matthews_correlation_by_hand():
    # 4 true positives, 3 true negatives, 1 false positive, 2 false negatives:
    # (4 * 3 - 1 * 2) / sqrt(5 * 6 * 4 * 5)
    gold = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    predictions = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
    found = score(COLA, logits_for(predictions, 2), gold)
    assert found.score == found.mcc == pytest.approx(10 / math.sqrt(600))
    assert found.accuracy == pytest.approx(0.7)


@pytest.mark.parametrize("answer", [0, 1])
def test_always_the_same_class_has_no_correlation(answer):
    gold = np.array([1] * 7 + [0] * 3)
    assert score(COLA, logits_for([answer] * 10, 2), gold).score == 0.0


def test_a_constant_model_has_no_correlation_though_its_ties_are_drawn():
    gold = np.array([1] * 721 + [0] * 322)
    found = score(COLA, np.zeros((1_043, 2)), gold)
    assert found.score == 0.0
    assert found.accuracy == 0.5
    assert set(found.predictions) == {"0", "1"}


def test_a_dev_set_of_one_class_has_no_correlation():
    assert score(COLA, logits_for([1, 0, 1], 2), np.array([1, 1, 1])).score == 0.0


def test_all_right_and_all_wrong_are_plus_and_minus_one():
    gold = np.array([0, 1, 1, 0, 1])
    assert score(COLA, logits_for(gold, 2), gold).score == pytest.approx(1.0)
    assert score(COLA, logits_for(1 - gold, 2), gold).score == pytest.approx(-1.0)


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_the_matthews_correlation_is_scikit_learns_where_nothing_ties(pairs):
    gold, predictions = map(np.array, zip(*pairs, strict=True))
    assume(len(set(gold)) > 1)  # scikit-learn warns of a single class
    found = score(MEDNLI, logits_for(predictions, 3), gold)
    assert found.mcc == pytest.approx(matthews_corrcoef(gold, predictions), abs=1e-12)
    assert found.accuracy == pytest.approx(np.mean(gold == predictions))
    assert found.score == found.accuracy


@settings(max_examples=60)
@given(rows=st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=20))
def test_scoring_every_gold_option_in_turn_adds_up_to_one(rows):
    logits = np.array(rows, dtype=np.float32)
    accuracies = [score(HELLASWAG, logits, np.full(len(rows), k)).accuracy for k in range(4)]
    assert sum(accuracies) == pytest.approx(1.0)


def test_the_loss_is_the_mean_cross_entropy_in_nats_and_survives_large_logits():
    found = score(RTE, np.array([[0.0, math.log(3)], [1e4, 0.0]]), np.array([0, 0]))
    assert found.loss == pytest.approx((math.log(4) + 0) / 2)


def test_the_majority_baseline_is_the_most_frequent_classs_share():
    assert majority(RTE, np.array([0] * 146 + [1] * 131)) == 146 / 277
    assert majority(HELLASWAG, np.array([3, 3, 1, 0])) == 0.5
    assert majority(COLA, np.array([1] * 721 + [0] * 322)) == 0.0


def test_where_the_right_option_always_has_one_place_guessing_is_chance():
    assert majority(HELLASWAG, np.zeros(300, int)) == 0.25
    assert majority(RTE, np.zeros(300, int)) == 1.0


def test_classes_beyond_nine_are_written_as_letters():
    wide = RTE.model_copy(update={"labels": tuple((str(i),) for i in range(12))})
    found = score(wide, logits_for([11, 10, 9], 12), np.array([11, 9, 10]))
    assert (found.predictions, found.gold) == ("ba9", "b9a")
