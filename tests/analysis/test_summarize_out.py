"""Another's study: summarized into a folder of one's own, and nothing is written to hers."""

import json

import pytest

from analysis.summarize import main
from stilt.folder import StudyFolder
from tests.support.fake_study import TINY, make_study
from tests.support.result_files import first_cell


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def hers(tmp_path):
    make_study(tmp_path / "hers/tiny", grid=TINY)
    make_study(tmp_path / "hers/other", grid=TINY)
    return tmp_path / "hers"


def test_a_study_is_summarized_into_a_folder_of_ones_own_and_only_read(hers, tmp_path, capsys):
    before = tree(hers)
    out = tmp_path / "mine"
    for _ in range(2):
        assert main(["tiny", "--root", str(hers), "--out", str(out)]) == 0
    assert "16 cells: 16 scored." in capsys.readouterr().out
    assert tree(hers) == before
    assert {"summary.md", "cells.parquet", "cache", "report.html"} <= {
        path.name for path in (out / "tiny").iterdir()
    }
    assert main(["--root", str(hers), "--no-figures", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"tiny", "other"}
    compared = ["--compare", "tiny", "other", "--root", str(hers), "--out", str(out)]
    assert main(compared) == 0
    assert (out / "tiny/compare-other.md").is_file()
    assert tree(hers) == before


def test_a_folder_that_cannot_be_written_is_told_with_the_flag_that_helps(hers, capsys):
    (hers / "tiny/summary").write_text("")
    assert main(["tiny", "--root", str(hers), "--no-figures"]) == 2
    said = capsys.readouterr().err
    assert "tiny/summary: cannot be written (" in said
    assert "Name a folder of your own with --out." in said


def test_two_studies_of_one_name_do_not_share_a_folder(hers, tmp_path, capsys):
    make_study(tmp_path / "his/tiny", grid=TINY)
    names = [str(hers / "tiny"), str(tmp_path / "his/tiny")]
    assert main([*names, "--no-figures", "--out", str(tmp_path / "mine")]) == 2
    assert "two of the studies are called 'tiny'" in capsys.readouterr().err


def test_no_text_of_a_failure_becomes_html_a_formula_or_a_link(tmp_path, capsys):
    message = '=HYPERLINK("http://x") <img src=x onerror=alert(1)> [a](http://x) & _under_'
    study = make_study(tmp_path / "tiny", grid=TINY)
    folder = StudyFolder(tmp_path / "tiny")
    cell = first_cell(study)
    folder.result(cell).unlink()
    record = {"study": study.digest, "cell": study.cells[cell].model_dump(mode="json")}
    record |= {"kind": "bug", "message": message, "attempts": 1, "host": "h", "job": None}
    folder.failures.mkdir()
    folder.failure(cell).write_text(json.dumps(record | {"finished": "2026-11-20T08:00:00+00:00"}))
    assert main(["tiny", "--root", str(tmp_path)]) == 0
    for name in ("summary.md", "report.html"):
        text = (folder.summary / name).read_text()
        assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text.replace("alert(1)>", "alert(1)&gt;")
    assert "[a](http" not in (folder.summary / "summary.md").read_text()
    table = (folder.summary / "cells.csv").read_text()
    assert "\"'=HYPERLINK(" in table
    assert ',"=HYPERLINK(' not in table
