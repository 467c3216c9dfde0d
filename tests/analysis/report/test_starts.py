"""What was carried over and what was fresh, by source and target."""

from analysis.read.collect import collect
from analysis.report.starts import StartParts, starts
from stilt.folder import StudyFolder
from stilt.records.results import Result, read_record, write_record
from tests.support.fake_study import EIGHT_CELLS, make_study


def test_each_pair_has_a_row_and_one_whose_runs_differ_has_more(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=EIGHT_CELLS)
    first = next(iter(study.cells.values()))
    result = read_record(Result, folder.result(first.id))
    training = result.training.model_copy(update={"carried": (), "fresh": ("encoder", "head")})
    write_record(result.model_copy(update={"training": training}), folder.result(first.id))
    found = starts(study, collect(folder, study).cells)
    assert found[:2] == [
        StartParts("None", "RTE", 1, "nothing", "encoder, head"),
        StartParts("None", "RTE", 1, "encoder", "classifier"),
    ]
    assert [(row.source, row.target, row.runs) for row in found[2:]] == [
        ("None", "CoLA", 2),
        ("HellaSwag", "RTE", 2),
        ("HellaSwag", "CoLA", 2),
    ]


def test_a_study_without_a_trained_model_has_no_row(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=EIGHT_CELLS, missing=1.0, sources=False)
    assert starts(study, collect(folder, study).cells) == []


def test_the_report_shows_them(report):
    path, _, _ = report
    text = path.read_text(encoding="utf-8")
    assert "What models took over from where they started, and what was drawn anew" in text
    assert "<td>encoder</td><td>classifier</td></tr>" in text
