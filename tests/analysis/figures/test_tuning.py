"""Expected best score against trials."""

import pytest

from analysis.figures.tuning import tuning
from tests.support.cell_frame import cells_of, study_of


def test_expected_best_rises_from_the_mean_to_the_best_score():
    study = study_of(sources=["none"])
    scores = iter([0.60, 0.70, 0.80, 0.90])
    figure = tuning(cells_of(study, lambda *_: next(scores)), study)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata()[[0, -1]] == pytest.approx([75, 90])
