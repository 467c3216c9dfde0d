"""Improvements over no source, by the size of the source's data."""

import math

import pytest

from analysis.stats.improvements import improvements, sized_tasks
from tests.support.cell_frame import cells_of, study_of


def test_improvements_are_differences_of_mean_and_best_in_the_grids_order():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1, 2], batch_size=[8])
    scores = iter([0.50, 0.60, 0.62, 0.58, 0.70, 0.90])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["rows"].to_list() == [2000, study.tasks["hellaswag-p"].size.train]
    assert found["mean"].to_list() == pytest.approx([0.05, 0.25])
    assert found["best"].to_list() == pytest.approx([0.02, 0.30])


def test_improvements_keep_two_sources_of_equally_many_rows_apart():
    rows = study_of(["hellaswag-p"]).tasks["hellaswag-p"].size.train
    sources = ["none", {"task": "hellaswag-p", "train_size": rows}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1], batch_size=[8])
    scores = iter([0.50, 0.60, 0.80])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["rows"].to_list() == [rows, rows]
    assert found["mean"].to_list() == pytest.approx([0.1, 0.3])


def test_improvements_count_a_diverged_run_as_the_majority_class():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1], batch_size=[8])
    scores = iter([0.60, math.nan, 0.80])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["mean"].to_list() == pytest.approx([-0.07, 0.2])


def test_improvements_ignore_runs_whose_twin_has_no_score():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1, 2], batch_size=[8])
    scores = iter([0.50, None, 0.62, 0.99, None, 0.90])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found["runs"].to_list() == [1, 0]
    assert found["mean"].to_list() == [pytest.approx(0.12), None]


def test_a_task_of_one_size_is_not_a_study_of_sizes():
    assert sized_tasks(cells_of(study_of(["none", "hellaswag"]))) == []


def test_improvements_tell_how_many_runs_were_planned_also_where_none_has_ended():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, learning_rate=[1e-5], seed=[1, 2], batch_size=[8])
    scores = iter([0.50, 0.60, None, None, 0.80, None])
    found = improvements(cells_of(study, lambda *_: next(scores)), study)
    assert found.select("runs", "planned").rows() == [(0, 2), (1, 2)]
    assert found["mean"].to_list() == [None, pytest.approx(0.30)]
