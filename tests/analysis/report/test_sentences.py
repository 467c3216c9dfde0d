"""What the report says in words of a study's numbers."""

import re

from analysis.read.collect import collect
from analysis.report.sentences import sentences
from analysis.stats.summary import differences_against_none, summarize_cells
from stilt.folder import StudyFolder
from tests.support.fake_study import make_study
from tests.support.report_page import REPORT_GRID


def words(tmp_path, score, **options) -> list[str]:
    """Sentences about a study of two sources and one target."""
    block = REPORT_GRID["blocks"][0] | {"sources": ["none", "hellaswag"], "targets": ["rte"]}
    grid = REPORT_GRID | {"blocks": [block], "evaluate": []}
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=grid, score=score, dev_rows=100, **options)
    cells = collect(folder, study).cells
    summary = summarize_cells(cells)
    return sentences(study, summary, differences_against_none(cells), "majority")


def test_sentences_say_what_the_numbers_say(tmp_path):
    found = words(tmp_path, lambda cell: 0.80 if cell.source == "hellaswag" else 0.75)
    assert found == [
        "All 16 cells of the grid have a score.",
        "HellaSwag has a higher mean than None on 1 of 1 target (+5.0 points on RTE) and a higher "
        "best run on 1; after Holm's correction the mean is clearly higher on 0 and clearly lower "
        "on 0 (p < 0.05).",
        "Highest mean score × 100: on RTE HellaSwag (80.0).",
        "Degenerate runs (final dev score not above the majority class (MCC not above 0), or a "
        "non-finite loss), all targets: None 0 of 8 (0.0 %); HellaSwag 0 of 8 (0.0 %).",
    ]


def test_sentences_of_an_unfinished_study_say_that_numbers_may_change(tmp_path):
    found = words(tmp_path, None, failed=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ failed\.", found[0])
    assert "may still change" in found[1]


def test_sentences_say_what_a_diverged_run_counts_as(tmp_path):
    found = words(tmp_path, None, diverged=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ diverged\.", found[0])
    assert found[1] == "A diverged run counts as the majority class's score."
    assert not any("may still change" in sentence for sentence in found)
