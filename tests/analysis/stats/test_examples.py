"""Scores on resampled dev sets, from stored predictions."""

import numpy as np
import polars as pl
import pytest

from analysis.stats.examples import Examples, answers_of, draws, resampled_scores
from analysis.stats.outcomes import outcome
from stilt.task import load_task
from tests.support.run_frame import frame

GOLD = "0110100110"


def run(predictions, **more):
    right = sum(a == b for a, b in zip(predictions, more.get("gold", GOLD), strict=False))
    return {"predictions": predictions, "gold": GOLD, "score": right / len(GOLD)} | more


def resampled(*cells, **options):
    return resampled_scores(frame(*cells).with_columns(outcome()), **options)


def test_examples_are_drawn_with_replacement_as_many_as_there_are():
    times = draws(10, 4000, seed=0)
    assert (times.sum(axis=1) == 10).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(10), abs=0.1)
    assert times.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.15)
    assert (draws(10, 5, seed=0) == draws(10, 5, seed=0)).all()
    assert (draws(10, 5, seed=0) != draws(10, 5, seed=1)).any()


def test_accuracy_is_that_of_the_drawn_examples_the_same_for_all_runs():
    found = resampled(run("0110100111"), run("1110100110"), resamples=50)
    times = draws(10, 50, seed=0)
    assert found[0] == pytest.approx(1 - times[:, 9] / 10)
    assert found[1] == pytest.approx(1 - times[:, 0] / 10)


@pytest.mark.parametrize("gold", [GOLD, "0120120112"])
def test_the_matthews_correlation_is_computed_anew_on_every_set(gold):
    from sklearn.metrics import matthews_corrcoef

    said = "0110000111" if gold == GOLD else "0120110002"
    score = matthews_corrcoef(list(gold), list(said))
    found = resampled(run(said, gold=gold, metric="mcc", score=score), resamples=60)[0]
    times = draws(10, 60, seed=0).astype(int)
    for drawn, value in zip(times, found, strict=True):
        rows = np.repeat(np.arange(10), drawn)
        expected = matthews_corrcoef([gold[i] for i in rows], [said[i] for i in rows])
        assert value == pytest.approx(expected)


def test_a_tie_shifts_a_run_by_what_its_predictions_do_not_tell():
    plain, tied = run("0110100111"), run("0110100111", score=0.85)
    found = resampled(plain, tied, resamples=20)
    assert found[1] == pytest.approx(found[0] - 0.05)


def test_a_diverged_run_answers_the_majority_class():
    gold = "0110100010"  # six of ten are 0
    ended = run("0110100010", gold=gold, majority=0.6)
    diverged = {"status": "diverged", "majority": 0.6}
    found = resampled(ended, diverged, resamples=20)
    zeros = draws(10, 20, seed=0)[:, [i for i, c in enumerate(gold) if c == "0"]].sum(axis=1)
    assert found[1] == pytest.approx(zeros / 10)
    # whose Matthews correlation is 0 on every set, as is the score where guesses have no majority
    found = resampled(ended, diverged | {"majority": 0.0}, resamples=20)
    assert (found[1] == 0).all()


def test_a_run_that_has_not_ended_has_no_score():
    found = resampled(run(GOLD), {"status": "failed"}, {}, resamples=5)
    assert np.isnan(found[1:]).all()


def test_without_common_predictions_there_is_nothing_to_resample():
    assert resampled(run(GOLD), run(GOLD, gold="0110100111", score=0.9)) is None
    assert resampled(run(GOLD), run(GOLD) | {"predictions": None}) is None
    assert resampled(run(GOLD), run("011")) is None
    assert resampled({"status": "diverged"}) is None


def test_two_studies_share_their_resampled_sets():
    first, second = frame(run(GOLD), run("1110100110")), frame(run("0110100111"))
    found = Examples([(first, answers_of(first)), (second, answers_of(second))]).of("rte")
    assert found is not None
    assert found.examples == 10
    assert found.rows == ({"c0": 0, "c1": 1}, {"c0": 2})
    assert found.scores.shape[0] == 3


def test_a_target_is_resampled_once_and_forgotten_where_it_is_too_much():
    asked = []

    def answers(target):
        asked.append(target)
        return cells.filter(pl.col("target") == target).select("cell", "predictions", "gold")

    cells = frame(run(GOLD), run(GOLD, target="wic"))
    for kept, calls in ((10_000, ["rte", "wic"]), (0, ["rte", "wic", "rte"])):
        asked.clear()
        examples = Examples([(cells, answers)], kept=kept)
        for target in ("rte", "rte", "wic", "rte"):
            assert examples.of(target) is not None
        assert asked == calls


def test_the_metric_is_that_of_training():
    from stilt.training.metrics import score

    rng = np.random.default_rng(0)
    gold, logits = rng.integers(0, 2, 40), rng.normal(size=(40, 2))
    dev = score(load_task("cola"), logits, gold)
    cell = {"metric": "mcc", "score": dev.score, "predictions": dev.predictions, "gold": dev.gold}
    found = resampled(cell, resamples=4000)[0]
    assert found.mean() == pytest.approx(dev.score, abs=0.02)
