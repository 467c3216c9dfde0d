"""Predicted seconds: load, updates, tokens and dev rows; refined by runs that have ended."""

import pytest

from stilt.folder import StudyFolder
from stilt.plan import cost
from stilt.records.finished import read_ending
from stilt.task import Size
from stilt.training.speed.forecast import forecast, predicted, seconds_of
from tests.support.bound_study import block, study
from tests.support.calibrated import calibration_of, setting
from tests.support.fake_study import make_study

ONE = setting()


def runs_on(bound, task, batch=8):
    return [
        run
        for run in bound.runs.values()
        if run.cell
        and run.task == task
        and run.hyperparameters
        and run.hyperparameters.batch_size == batch
    ]


def test_seconds_are_load_and_updates_and_dev_rows():
    bound = study()
    made, rte = calibration_of(bound), bound.tasks["rte"]
    run = runs_on(bound, "rte")[0]
    # 80 rows in batches of 8, 1.5 s each; 40 dev rows of 0.05 s; 2 s to load
    expected = 2 + 10 * rte.epochs * 1.5 + 40 * 0.05
    assert predicted(bound, made, ONE, run) == pytest.approx(expected)


def test_a_batch_that_was_not_measured_is_scaled_by_the_nearest():
    bound = study()
    run, epochs = runs_on(bound, "rte", 16)[0], bound.tasks["rte"].epochs
    # twice the tokens of an update with 8, in as many passes
    expected = 2 + 5 * epochs * (0.5 + 0.2 + 1.6) + 40 * 0.05
    assert predicted(bound, calibration_of(bound), ONE, run) == pytest.approx(expected)


def test_rows_that_were_read_win_over_those_that_were_measured():
    bound = study()
    run, epochs = runs_on(bound, "rte")[0], bound.tasks["rte"].epochs
    sizes = {"rte": Size(train=8, dev=4, tokens=50.0)}
    found = predicted(bound, calibration_of(bound), ONE, run, sizes=sizes)
    assert found == pytest.approx(2 + epochs * 1.5 + 4 * 0.05)


def test_scores_after_each_epoch_cost_what_they_cost():
    plain, curved = study(), study(curve=True)
    both = [predicted(s, calibration_of(s), ONE, runs_on(s, "rte")[0]) for s in (plain, curved)]
    assert both[1] - both[0] == pytest.approx(plain.tasks["rte"].epochs * 40 * 0.05)


def test_an_evaluation_is_a_load_and_a_pass_and_a_source_trains_on_its_own_rows():
    bound = study()
    made = calibration_of(bound)
    evaluation = next(run for run in bound.runs.values() if run.stage == "evaluate")
    assert predicted(bound, made, ONE, evaluation) == pytest.approx(2 + 40 * 0.05)
    sources = [run for run in bound.runs.values() if run.source]
    whole, few = (predicted(bound, made, ONE, run) for run in sources)
    assert whole == pytest.approx(few), "2,000 rows are more than were measured"


def test_a_task_that_was_not_measured_is_estimated_by_its_published_length():
    bound = study()
    made = calibration_of(bound)
    without = made.model_copy(update={"tasks": {}})
    run, rte = runs_on(bound, "rte")[0], bound.tasks["rte"]
    updates = -(-rte.size.train // 8) * rte.epochs
    found = predicted(bound, without, ONE, run)
    tokens = rte.size.train * rte.epochs * rte.size.tokens
    assert found == pytest.approx(
        2 + updates * (0.5 + 4 * 0.1) + tokens * 0.001 + rte.size.dev * rte.size.tokens * 0.0005
    )


def ended(path, **changes):
    """A study whose runs have ended, and their records."""
    bound = make_study(path, grid={**GRID, **changes})
    folder = StudyFolder(path)
    return bound, [(run, read_ending(bound, folder, run)) for run in bound.runs.values()]


GRID = {"name": "g", "model": {"hub": "org/encoder", "revision": "0"}, **block(targets=["rte"])}


def test_runs_that_ended_replace_what_was_calibrated(tmp_path):
    bound, records = ended(tmp_path / "s")
    made = calibration_of(bound)
    twice = [
        (run, record.model_copy(update={"timings": timings(2 * predicted(bound, made, ONE, run))}))
        for run, record in records
        if record is not None and run.hyperparameters is not None
    ]
    found = forecast(bound, made, ONE, ended=twice)
    assert found.known and found.ended == len([1 for _, r in twice if r.status == "ok"])
    run = runs_on(bound, "rte")[0]
    assert found.seconds(run) == pytest.approx(2 * predicted(bound, made, ONE, run))


def timings(seconds):
    from stilt.records.results import Timings

    return Timings(load=0.0, encode=0.0, train=seconds, evaluate=0.0)


def test_runs_of_another_device_refine_nothing(tmp_path):
    bound, records = ended(tmp_path / "s")
    made = calibration_of(bound, device="NVIDIA A100")
    found = forecast(bound, made, ONE, ended=[(r, e) for r, e in records if e is not None])
    assert found.ended == 0
    run = runs_on(bound, "rte")[0]
    assert found.seconds(run) == pytest.approx(predicted(bound, made, ONE, run))


def test_without_a_calibration_ended_runs_tell_by_their_work(tmp_path):
    bound, records = ended(tmp_path / "s")
    nothing = forecast(bound)
    run, record = next((r, e) for r, e in records if r.cell and e.status == "ok" and e.training)
    assert not nothing.known
    with pytest.raises(ValueError, match="neither a calibration nor a run"):
        nothing.seconds(run)
    found = forecast(bound, ended=[(run, record)])
    other = runs_on(bound, "rte", 16)[0]
    expected = seconds_of(record) * cost(bound, other) / cost(bound, run)
    assert found.seconds(other) == pytest.approx(expected)
