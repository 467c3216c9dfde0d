"""The time left of a study that was planned by a calibration: told from the first moment on."""

import time

import pytest

from launcher.watch.observer import Observer
from stilt.records import claims
from stilt.training.speed.calibration import write_calibration
from stilt.training.speed.forecast import predicted
from tests.support.calibrated import calibration_of, setting


def hold(folder, item, **fields):
    claim = claims.new_claim(item, "local-1", "bundle").model_copy(update=fields)
    claims.take(claim, folder.claim(item))


def undone(study, folder, target):
    """Two cells of a target that have no result any more: a small batch first."""
    cells = [c for c in study.cells.values() if c.target == target and c.source == "none"][:2]
    for cell in cells:
        folder.result(cell.id).unlink()
    return [cell.id for cell in cells]


@pytest.fixture
def calibrated(made):
    study, folder = made
    calibration = calibration_of(study)
    write_calibration(calibration, folder.calibration)
    return study, folder, calibration


def test_before_any_run_has_ended_the_calibration_tells(calibrated):
    study, folder, calibration = calibrated
    for path in folder.results.glob("*.json"):
        path.unlink()
    first, second = [c.id for c in study.cells.values() if c.target == "rte"][:2]
    hold(folder, first, running=True, started=time.time(), done=0, total=100)
    hold(folder, second)
    for source in study.sources:
        (folder.source(source) / "result.json").unlink()
    seconds = sum(predicted(study, calibration, setting(), study.runs[c]) for c in (first, second))
    assert Observer(folder, study).look().left == pytest.approx(seconds, rel=0.01)


def test_runs_that_ended_on_a_target_correct_it_for_that_target(calibrated):
    study, folder, calibration = calibrated
    first, _ = undone(study, folder, "rte")
    hold(folder, first, running=True, started=time.time(), done=50, total=100)
    look = Observer(folder, study).look()
    ended = [i for i in look.items if i.target == "rte" and i.state == "done" and not i.diverged]
    took = sum(item.seconds for item in ended) / sum(item.cost for item in ended)
    estimate = predicted(study, calibration, setting(), study.runs[first])
    assert look.left == pytest.approx(0.5 * estimate * took)
