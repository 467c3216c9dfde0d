import math
from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.degenerate import (
    DEFINITIONS,
    Definition,
    degenerate,
    every_definition,
    margin,
    missed,
)

RUN = {
    "status": "ok",
    "kind": "classification",
    "metric": "accuracy",
    "chance": 0.5,
    "score": 0.7,
    "majority": 0.527,
    "dev_rows": 277,
    "classes": 2,
    "constant": False,
    "lowest_loss": 0.3,
}
SCHEMA = {
    "status": pl.String,
    "kind": pl.String,
    "metric": pl.String,
    "chance": pl.Float64,
    "score": pl.Float64,
    "majority": pl.Float64,
    "dev_rows": pl.Int64,
    "classes": pl.Int64,
    "constant": pl.Boolean,
    "lowest_loss": pl.Float64,
}


def judge(definition, **changes):
    return pl.DataFrame([RUN | changes], schema=SCHEMA).select(degenerate(definition)).item()


def test_a_run_that_learnt_is_degenerate_under_no_definition():
    assert [judge(name) for name in get_args(Definition)] == [False] * 5


def test_every_definition_is_explained():
    assert set(DEFINITIONS) == set(get_args(Definition))


@pytest.mark.parametrize(
    ("score", "verdict"), [(0.527, True), (0.4, True), (0.527 + 1 / 277, False)]
)
def test_majority_means_not_above_the_majority_class(score, verdict):
    assert judge("majority", score=score) is verdict


@given(rows=st.integers(1, 5000), data=st.data())
def test_a_run_that_ties_with_the_majority_class_is_degenerate_whatever_the_rounding(rows, data):
    count = data.draw(st.integers(1, rows))
    ties = sum([1 / rows] * count)  # the same share, summed with other roundings
    assert judge("majority", score=ties, majority=count / rows, dev_rows=rows) is True
    above = (count + 1) / rows
    assert judge("majority", score=above, majority=count / rows, dev_rows=rows) is False


@pytest.mark.parametrize(("score", "verdict"), [(0.0, True), (-0.1, True), (0.01, False)])
def test_for_the_matthews_correlation_the_majority_class_scores_zero(score, verdict):
    assert judge("majority", metric="mcc", score=score, majority=0.0) is verdict


def test_margin_adds_the_one_sided_error_of_a_coin_that_knows_the_majority():
    # RTE: 0.527 + 1.645 sqrt(0.527 * 0.473 / 277) = 0.5763
    assert judge("margin", score=0.576) is True
    assert judge("margin", score=0.577) is False
    # CoLA: 1.645 / sqrt(1043) = 0.0509
    cola = {"metric": "mcc", "majority": 0.0, "dev_rows": 1043}
    assert judge("margin", score=0.050, **cola) is True
    assert judge("margin", score=0.052, **cola) is False


# dev sets of the published sizes, with about their most frequent class's share
WINOGRANDE = {"kind": "multiple-choice", "dev_rows": 1267, "majority": 639 / 1267, "chance": 0.5}
SOCIALIQA = {"kind": "multiple-choice", "dev_rows": 1954, "majority": 657 / 1954, "chance": 1 / 3}


@pytest.mark.parametrize(("target", "share"), [(WINOGRANDE, 0.368), (SOCIALIQA, 0.3827)])
def test_guesses_beat_the_majority_class_of_a_multiple_choice_by_luck(target, share):
    found = pl.DataFrame([RUN | target], schema=SCHEMA).select(missed()).item()
    assert found == pytest.approx(share, abs=5e-4)
    # a coin that is a point better than the majority class has learnt nothing by auto
    lucky = target["majority"] + 0.01
    assert judge("majority", score=lucky, **target) is False
    assert judge("auto", score=lucky, **target) is True
    assert judge("auto", score=target["majority"] + 0.03, **target) is False


def test_a_classifier_that_learnt_nothing_answers_one_class_and_none_is_missed():
    assert pl.DataFrame([RUN], schema=SCHEMA).select(missed()).item() == 0
    assert judge("auto", score=0.527 + 1 / 277) is False
    assert judge("auto", score=0.527) is True


def test_a_multiple_choice_whose_majority_is_far_above_chance_keeps_the_plain_rule():
    far = WINOGRANDE | {"majority": 0.55}
    assert pl.DataFrame([RUN | far], schema=SCHEMA).select(missed()).item() < 0.001
    assert judge("auto", score=0.56, **far) is False


def test_of_a_run_that_is_not_there_nothing_is_missed_or_not():
    nothing = {"majority": None, "dev_rows": None, "kind": "multiple-choice"}
    assert pl.DataFrame([RUN | nothing], schema=SCHEMA).select(missed()).item() is None


def test_constant_means_one_class_for_every_example():
    assert judge("constant", constant=True) is True
    assert judge("constant", constant=False, score=0.1) is False


def test_loss_means_never_below_that_of_a_uniform_guess():
    assert judge("loss", lowest_loss=math.log(2)) is True
    assert judge("loss", lowest_loss=math.log(2) - 0.001) is False
    assert judge("loss", lowest_loss=math.log(2) + 0.1, classes=4) is False
    assert judge("loss", lowest_loss=None) is None  # an evaluation has no training loss


@pytest.mark.parametrize("definition", get_args(Definition))
def test_a_diverged_run_is_degenerate_and_a_cell_without_a_run_is_not_judged(definition):
    nothing = {"score": None, "majority": None, "constant": None, "lowest_loss": None}
    assert judge(definition, status="diverged", **(nothing | {"majority": 0.5})) is True
    assert judge(definition, status="failed", **nothing) is None
    assert judge(definition, status="missing", **nothing) is None


def test_all_definitions_stand_side_by_side():
    frame = pl.DataFrame([RUN | {"constant": True}], schema=SCHEMA).select(every_definition())
    assert frame.to_dicts() == [
        {
            "degenerate_auto": False,
            "degenerate_majority": False,
            "degenerate_margin": False,
            "degenerate_constant": True,
            "degenerate_loss": False,
        }
    ]


REGRESSION = {"kind": "regression", "metric": "pearson", "chance": 0.0, "majority": 0.0,
              "classes": 1, "dev_rows": 900}  # fmt: skip


@pytest.mark.parametrize(("score", "verdict"), [(-0.2, True), (0.0548, True), (0.0549, False)])
def test_a_correlation_counts_where_it_is_above_0_by_its_margin(score, verdict):
    # 1.645 / sqrt(900) = 0.05483
    assert judge("auto", **REGRESSION, score=score) is verdict


def test_a_regression_that_answers_one_number_is_degenerate_whatever_follows_from_its_rounding():
    assert judge("auto", **REGRESSION, score=0.4, constant=True) is True
    assert judge("auto", **REGRESSION, score=0.4, constant=False) is False
    assert judge("auto", score=0.6, constant=True) is False  # of classes the score tells


def test_half_of_all_numbers_correlate_by_chance_and_no_loss_is_an_even_guess():
    assert pl.DataFrame([RUN | REGRESSION], schema=SCHEMA).select(missed()).item() == 0.5
    assert judge("loss", **REGRESSION) is None


def test_f1_is_judged_by_the_best_constant_answer():
    mrpc = {"metric": "f1", "majority": 0.8122, "dev_rows": 408}
    assert judge("auto", **mrpc, score=0.8122) is True
    assert judge("auto", **mrpc, score=0.0) is True
    assert judge("auto", **mrpc, score=0.83) is False


def test_the_margin_of_f1_is_that_of_many_constant_answers():
    rng = np.random.default_rng(0)
    gold = rng.random((4000, 408)) < 0.684
    right = gold.sum(axis=1)
    spread = (2 * right / (408 + right)).std()
    base = 2 * 0.684 / 1.684
    found = pl.DataFrame([RUN | {"metric": "f1", "majority": base, "dev_rows": 408}],
                          schema=SCHEMA).select(margin()).item()  # fmt: skip
    assert found / 1.645 == pytest.approx(spread, rel=0.04)
