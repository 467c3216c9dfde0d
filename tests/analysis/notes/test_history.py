"""Tables say which revision they are of, and the report whether it was planned after a look."""

import json

import pytest

from analysis.notes.history import history, title
from analysis.summarize import main as summarize
from stilt.folder import StudyFolder, write_study
from stilt.study import Revision
from tests.support.fake_study import TINY, make_study


def revision(number, day, came="", went="", looked=None):
    when = f"2026-11-{day}T10:00:00+00:00"
    return Revision(
        number=number, when=when, digest="d", cells=16, came=came, went=went, looked=looked
    )


LOOKED = "2026-11-21T09:30:00+00:00"
FIRST = revision(1, 20, "8 cells")
GREW = revision(2, 22, "+8 cells: target cola", looked=LOOKED)
TITLED = revision(3, 23, 'no other runs: grid.title "" -> "x"', looked=LOOKED)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "s", grid=TINY)


def grown(study, *revisions):
    return study.model_copy(update={"revisions": revisions})


def test_a_study_that_never_changed_has_no_history(study):
    for one in (study, grown(study, FIRST)):
        assert title(one) == ""
        assert history(one) == []


def test_a_study_that_grew_after_a_look_says_so(study):
    later = grown(study, FIRST, GREW)
    assert title(later) == "Revision 2 of 2026-11-22."
    assert history(later) == [
        "Revision 2 of 2026-11-22: +8 cells: target cola.",
        "Planned after a look: results were summarised (2026-11-21 09:30 before revision 2), and "
        "cells came or went afterwards; what is said of these was not planned before any result "
        "was known.",
    ]


@pytest.mark.parametrize("later", [revision(2, 22, "+8 cells: target cola"), TITLED])
def test_what_grew_before_a_look_or_did_not_grow_is_not_said_to_be_planned_after_it(study, later):
    (line,) = history(grown(study, FIRST, later))
    assert line.startswith(f"Revision {later.number} of ")


def test_tables_texts_and_the_report_name_the_revision(study, tmp_path, capsys):
    folder = StudyFolder(tmp_path / "s")
    assert summarize([str(folder.path)]) == 0
    assert "Revision" not in capsys.readouterr().out
    write_study(grown(study, FIRST, GREW), folder)
    assert summarize([str(folder.path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Revision 2 of 2026-11-22." in printed
    assert "Planned after a look" in printed
    tex = (folder.summary / "summary.tex").read_text()
    assert tex.count("Revision 2 of 2026-11-22.") == tex.count("\\caption{")
    for name in ("summary.md", "report.html"):
        text = (folder.summary / name).read_text()
        assert "Revision 2 of 2026-11-22" in text
        assert "Planned after a look: results were summarised" in text
    content = json.loads((folder.summary / "summary.json").read_text())
    assert content["revision"] == 2
    assert [one["came"] for one in content["revisions"]] == ["8 cells", "+8 cells: target cola"]
