"""Notes on tests that cannot reject, and on answers that are not stored."""

from analysis.notes.prospects import hopeless, unanswered
from analysis.spread.flips import flips
from analysis.spread.power import power
from analysis.stats.examples import answers_of
from stilt.folder import StudyFolder
from tests.support.cell_frame import cells_of, study_of


def test_plans_too_small_for_a_test_are_named(tmp_path):
    study = study_of(learning_rate=[1e-5, 2e-5, 3e-5], batch_size=[8])
    (line,) = hopeless(power(study, StudyFolder(tmp_path), cells_of(study)))
    assert line.startswith("Tests that cannot reject on rte: 3 configurations")
    assert line.endswith("never below 1/4.")


def test_finished_runs_without_predictions_are_said_to_have_none():
    cells = cells_of(study_of())
    (line,) = unanswered(cells, flips(cells, answers_of(cells)))
    assert line == (
        "No flipped answers are told on rte: no two runs to compare have stored predictions."
    )


def test_nothing_is_said_before_runs_have_ended():
    cells = cells_of(study_of(), lambda *_: None)
    assert list(unanswered(cells, flips(cells))) == []
