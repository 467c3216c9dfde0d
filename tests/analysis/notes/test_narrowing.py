from analysis.notes.narrowing import narrowed
from analysis.stats.differences import differences_against_none
from tests.support.run_frame import frame, runs


def test_targets_whose_intervals_hold_examples_fixed_are_named_where_that_was_not_asked_for():
    cells = frame(*runs("none", [0.5, 0.6]), *runs("a", [0.6, 0.7]))
    found = differences_against_none(cells)
    (line,) = narrowed(found, "whole")
    assert line.startswith("Dev examples are held fixed on rte: ")
    assert "for these dev examples and source checkpoints" in line
    assert list(narrowed(found, "narrow")) == []


def test_of_a_comparison_without_a_pair_there_is_nothing_to_say():
    cells = frame(*runs("none", [None, None]), *runs("a", [0.6, 0.7]))
    assert list(narrowed(differences_against_none(cells), "whole")) == []
