"""Predicted seconds of runs beside those that they took."""

from statistics import median

import polars as pl
import pytest

from analysis.read.collect import collect
from analysis.report.facts import facts
from analysis.report.forecasts import predictions
from analysis.stats.differences import Question
from analysis.stats.summary import summarize_cells
from stilt.folder import StudyFolder
from stilt.training.speed.calibration import write_calibration
from stilt.training.speed.forecast import predicted
from tests.support.calibrated import calibration_of, setting
from tests.support.fake_study import TINY, make_study


@pytest.fixture
def made(tmp_path):
    return make_study(tmp_path / "s", grid=TINY, diverged=0.2), StudyFolder(tmp_path / "s")


def calibrate(study, folder, **changes):
    calibration = calibration_of(study, **changes)
    write_calibration(calibration, folder.calibration)
    return calibration


def test_errors_are_medians_over_the_runs_that_trained_to_their_end(made):
    study, folder = made
    calibration = calibrate(study, folder)
    collection = collect(folder, study)
    told, table = predictions(collection)
    both = pl.concat([collection.cells, collection.sources], how="vertical_relaxed")
    rows = both.filter(pl.col("status") == "ok", pl.col("stage") != "evaluate")
    assert 0 < rows.height < both.height, "some diverged"
    errors = [
        abs(predicted(study, calibration, setting(), study.runs[item]) / took - 1)
        for item, took in rows.select("cell", "seconds").iter_rows()
    ]
    assert told.startswith(f"median relative error {100 * median(errors):.0f} % over ")
    assert f"{rows.height} runs, by the calibration of 2026-11-30" in told
    counts = [int(row[1]) for section in table.sections for row in section.rows]
    assert sum(counts) == rows.height
    assert [section.title for section in table.sections] == ["Sources", "Targets"]


def test_the_report_tells_them_among_the_costs(made):
    study, folder = made
    calibrate(study, folder)
    collection = collect(folder, study)
    groups = facts(collection, summarize_cells(collection.cells), Question())
    (group,) = [group for group in groups if group.letter == "C1"]
    (fact,) = [fact for fact in group.facts if fact.what == "Predicted seconds of a run"]
    assert fact.file == "calibration.json"
    assert [table.name for table in group.tables] == ["forecast"]


def test_nothing_is_told_without_a_calibration_or_of_another_device(made):
    study, folder = made
    assert predictions(collect(folder, study)) is None
    calibrate(study, folder, device="NVIDIA A100")
    assert predictions(collect(folder, study)) is None
    folder.calibration.write_text("{")
    assert predictions(collect(folder, study)) is None
