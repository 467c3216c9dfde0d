"""What the curves of a run are summed up to."""

import math

import pytest

from stilt.schedule import plan_updates
from stilt.training.curves import Curves


def summary(losses):
    schedule = plan_updates(
        rows=8 * len(losses), epochs=1, batch_size=8, warmup_ratio=0.0, micro_batch=None
    )
    curves = Curves(8, loss=list(losses), norm=[1.0] * len(losses))
    return curves.summary(schedule, (), ())


def test_the_lowest_loss_is_that_of_a_whole_tenth_of_the_updates():
    # 23 updates make windows of two: the last one alone is no window
    losses = [1.0] * 22 + [0.2]
    found = summary(losses)
    assert found.lowest_loss == found.final_loss == pytest.approx(0.6)
    assert summary([1.0] * 20 + [0.4, 0.6, 1.0]).lowest_loss == pytest.approx(0.5)


def test_a_window_that_is_not_finite_is_not_the_lowest():
    found = summary([1.0] * 20 + [math.nan] * 3)
    assert found.lowest_loss == pytest.approx(1.0)
    assert found.final_loss is None
    assert summary([math.inf]).lowest_loss is None
