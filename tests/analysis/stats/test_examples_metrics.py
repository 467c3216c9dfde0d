"""F1 and correlations on resampled dev sets are those of the drawn rows."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score

from analysis.stats.examples import draws, resampled_scores
from analysis.stats.outcomes import outcome
from stilt.records.answers import written
from tests.support.run_frame import frame

ROWS, SETS = 12, 40


def resampled(*cells, **options):
    return resampled_scores(frame(*cells).with_columns(outcome()), **options)


def drawn():
    for times in draws(ROWS, SETS, seed=0).astype(int):
        yield np.repeat(np.arange(ROWS), times)


@pytest.mark.parametrize(("metric", "classes"), [("f1", 2), ("macro-f1", 3)])
def test_f1_is_computed_anew_on_every_set(metric, classes):
    random = np.random.default_rng(5)
    gold, *said = random.integers(0, classes, (3, ROWS))
    average = "binary" if metric == "f1" else "macro"

    def theirs(rows, answers):
        return f1_score(gold[rows], answers[rows], average=average, zero_division=0)

    cells = [
        {"predictions": written(answers), "gold": written(gold), "metric": metric,
         "score": theirs(np.arange(ROWS), answers)}
        for answers in said
    ]  # fmt: skip
    found = resampled(*cells, resamples=SETS)
    for run, answers in zip(found, said, strict=True):
        assert run == pytest.approx([theirs(rows, answers) for rows in drawn()])


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_correlation_is_computed_anew_on_every_set(metric, monkeypatch):
    monkeypatch.setattr("analysis.stats.examples._RANKS", 7 * ROWS)
    random = np.random.default_rng(6)
    gold = (1000 + random.integers(0, 5, ROWS)).astype(np.float32)
    said = [(gold + random.normal(0, 1, ROWS)).round(1).astype(np.float32) for _ in range(2)]
    by = {"pearson": pearsonr, "spearman": spearmanr}[metric]
    cells = [
        {"predictions": written(answers), "gold": written(gold), "metric": metric,
         "score": by(gold, answers).statistic}
        for answers in said
    ]  # fmt: skip
    found = resampled(*cells, resamples=SETS)
    for run, answers in zip(found, said, strict=True):
        expected = [by(gold[rows], answers[rows]).statistic for rows in drawn()]
        assert run == pytest.approx(expected, abs=1e-6)


def test_a_diverged_run_answers_the_class_that_f1_is_of():
    ok = {"predictions": "0100", "gold": "0001", "metric": "f1", "score": 0.0}
    diverged = {"status": "diverged", "score": None, "majority": 2 / 5, "metric": "f1"}
    found = resampled(ok, diverged | {"predictions": None, "gold": None}, resamples=30)[1]
    times = draws(4, 30, seed=0)
    assert found == pytest.approx(2 * times[:, 3] / (4 + times[:, 3]))


def test_runs_of_different_numbers_of_examples_share_none():
    cell = {"gold": "1.0 2.0 3.0", "metric": "pearson", "score": 1.0}
    assert resampled(cell | {"predictions": "1.0 2.0"}) is None


def test_the_number_of_examples_is_that_of_the_numbers():
    from analysis.stats.examples import Examples, answers_of

    cell = {"gold": "1.0 2.0 3.0", "predictions": "1.5 2.0 2.5", "metric": "pearson", "score": 1.0}
    cells = frame(cell)
    target = cells["target"][0]
    found = Examples([(cells, answers_of(cells))]).of(target)
    assert found.examples == 3
