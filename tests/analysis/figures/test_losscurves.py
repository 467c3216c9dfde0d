"""Loss curves of runs that diverged."""

import math

import numpy as np
import pytest

from analysis.figures.losscurves import PROGRESS, losses
from tests.support.cell_frame import cells_of, study_of
from tests.support.drawn_text import texts


def test_the_loss_of_a_diverged_run_ends_where_it_is_no_longer_finite():
    study = study_of(sources=["none"], learning_rate=[1e-5], batch_size=[8])
    # 16 rows in batches of 8, five epochs: ten updates were planned and six made
    points = [{"step": s, "value": v} for s, v in ((2, 0.7), (4, 0.6), (6, None))]
    cells = cells_of(study, lambda *_: math.nan, loss=lambda _: points, train_rows=lambda _: 16)
    figure = losses(cells, study)
    curve = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == len(PROGRESS))
    ends = curve.get_xdata()[np.isfinite(curve.get_ydata())].max()
    assert ends == pytest.approx(0.4)
    assert "0 + 1" in texts(figure.axes[0])


def test_a_run_whose_loss_was_never_finite_is_counted_and_breaks_nothing():
    study = study_of(sources=["none"], learning_rate=[1e-5], batch_size=[8])
    cells = cells_of(study, lambda *_: math.nan, loss=lambda _: [{"step": 1, "value": None}])
    assert "0 + 1" in texts(losses(cells, study).axes[0])


@pytest.mark.parametrize(("last", "bottom"), [(1.2, 1.05), (0.4, 0.0)])
def test_the_axis_begins_at_0_unless_all_curves_lie_far_above_it(last, bottom):
    study = study_of(targets=["socialiqa"], learning_rate=[1e-5], batch_size=[8])
    end = 2 * study.tasks["socialiqa"].epochs
    points = [{"step": 1, "value": 1.2}, {"step": end, "value": last}]
    cells = cells_of(study, loss=lambda _: points, train_rows=lambda _: 16)
    (ax,) = losses(cells, study).axes
    low, high = ax.get_ylim()
    assert bottom <= low < last
    assert (low == 0) == (bottom == 0)
    assert low < math.log(3) < high


def test_a_regression_target_of_which_every_run_diverged_at_once_breaks_nothing():
    study = study_of(["none"], ["stsb"], learning_rate=[1e-5], batch_size=[8])
    cells = cells_of(study, lambda *_: math.nan, loss=lambda _: [{"step": 1, "value": None}])
    assert "0 + 1" in texts(losses(cells, study).axes[0])
