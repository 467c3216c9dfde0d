"""What the report says in words of a study's numbers."""

import re

from analysis.read.collect import collect
from analysis.report.sentences import sentences
from analysis.stats.differences import (
    Question,
    differences_against_none,
    pooled_differences,
)
from analysis.stats.examples import answers_of
from analysis.stats.summary import summarize_cells
from stilt.folder import StudyFolder
from tests.support.fake_study import make_study
from tests.support.report_page import REPORT_GRID


def words(tmp_path, score, asked=None, sources=("none", "hellaswag"), **options) -> list[str]:
    """Sentences about a study of two sources and one target."""
    block = REPORT_GRID["blocks"][0] | {"sources": list(sources), "targets": ["rte"]}
    grid = REPORT_GRID | {"blocks": [block], "evaluate": []}
    folder = StudyFolder(tmp_path / "s")
    study = make_study(folder.path, grid=grid, score=score, dev_rows=100, **options)
    cells = collect(folder, study).cells
    asked, answers = asked or Question(), answers_of(cells)
    pair = (differences_against_none(cells, answers, asked), pooled_differences(cells, answers))
    return sentences(study, summarize_cells(cells), *pair, asked)


def test_sentences_say_what_the_numbers_say(tmp_path):
    found = words(tmp_path, lambda cell: 0.80 if cell.source == "hellaswag" else 0.75)
    assert found == [
        "All 16 cells of the grid have a score.",
        "In these runs HellaSwag has a higher mean than None on 1 of 1 target (+5.0 points on RTE) "
        "and a higher best run on 1; after Holm's correction the mean is clearly higher on 1 "
        "(p < 0.05, for new dev examples, configurations and seeds, for this "
        "source checkpoint).",
        "Highest mean score × 100 of these runs: on RTE HellaSwag (80.0). How certain that is, the "
        "differences from None tell.",
        "Degenerate runs (final dev score not above that of the best constant answer (the majority "
        "class; for MCC 0); where "
        "over a tenth of guesses would be, as in multiple choice, not above it by 1.645 standard "
        "errors; in regression a correlation not above 0 by as much, or all but one number "
        "predicted, or a non-finite loss), all targets, for these dev examples and source "
        "checkpoints: None 0 of 8 (0.0 %); HellaSwag 0 of 8 (0.0 %).",
    ]


def test_narrow_numbers_are_said_to_be_for_these_examples(tmp_path):
    found = words(tmp_path, lambda cell: 0.75, Question(scope="narrow"))
    assert (
        "(p < 0.05, for other configurations and seeds, for these dev examples and source "
        "checkpoints)."
    ) in found[1]


def test_nothing_is_claimed_of_a_comparison_that_is_not_final(tmp_path):
    found = words(tmp_path, None, failed=0.3)
    assert not any("clearly" in line or "Highest mean" in line for line in found)
    (line,) = [line for line in found if line.startswith("Not final")]
    assert re.fullmatch(
        r"Not final, so nothing is claimed of it yet: HellaSwag on 1 target \(\d of 8 pairs\)\.",
        line,
    )


def test_an_interim_look_says_that_its_bound_is_valid_at_any_look(tmp_path):
    found = words(tmp_path, None, Question(interim=True), failed=0.3)
    (line,) = [line for line in found if "after Holm" in line]
    assert (
        "(p < 0.05, a bound that stays valid at any look, for these dev examples and source "
        "checkpoints)."
    ) in line


def test_seeds_of_a_source_are_spoken_of_together(tmp_path):
    sources = ("none", {"task": "hellaswag", "seeds": [1, 2]})
    found = words(tmp_path, lambda cell: 0.75, sources=sources)
    (line,) = [line for line in found if line.startswith("All seeds together, in these runs ")]
    assert line.startswith("All seeds together, in these runs HellaSwag has ")
    assert "for new dev examples, configurations, seeds and source seeds)." in line


def test_sentences_of_an_unfinished_study_say_that_numbers_may_change(tmp_path):
    found = words(tmp_path, None, failed=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ failed\.", found[0])
    assert "may still change" in found[1]


def test_sentences_say_what_a_diverged_run_counts_as(tmp_path):
    found = words(tmp_path, None, diverged=0.4)
    assert re.match(r"\d+ of the grid's 16 cells have a score; \d+ diverged\.", found[0])
    assert found[1] == "A diverged run counts as the best constant answer's score."
    assert not any("may still change" in sentence for sentence in found)


def test_an_interim_look_claims_nothing_but_its_bound(tmp_path):
    found = words(tmp_path, None, Question(interim=True), failed=0.3)
    (line,) = [line for line in found if line.startswith("Not final, so ")]
    assert line.startswith("Not final, so but for this bound, nothing is claimed of it yet: ")
    (line,) = [
        line for line in words(tmp_path / "again", None, failed=0.3) if line.startswith("Not final")
    ]
    assert line.startswith("Not final, so nothing is claimed of it yet: ")
