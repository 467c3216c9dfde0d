"""Update counts and learning rates; those of the paper's tasks are in test_fidelity.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilt.schedule import Schedule, plan_updates


@pytest.mark.parametrize(
    ("total", "ratio", "warmup"),
    [
        (101, 0.2, 20),
        (5345, 0.2, 1069),
        (104, 0.2, 20),
        (14_967, 0.1, 1496),
        (3, 0.2, 0),
        (9, 0, 0),
    ],
)
def test_warmup_updates_are_rounded_down(total, ratio, warmup):
    schedule = plan_updates(rows=total, epochs=1, batch_size=1, warmup_ratio=ratio)
    assert (schedule.total, schedule.warmup) == (total, warmup)


def test_a_partial_batch_counts_and_leftover_micro_batches_do_not():
    assert plan_updates(rows=17, epochs=3, batch_size=8, warmup_ratio=0).total == 9
    # 17 rows are five micro-batches of 4: two updates of two, the fifth makes none
    accumulated = plan_updates(rows=17, epochs=3, batch_size=8, warmup_ratio=0, micro_batch=4)
    assert (accumulated.total, accumulated.accumulation) == (6, 2)


@pytest.mark.parametrize("micro_batch", [3, 16])
def test_a_micro_batch_that_does_not_divide_the_batch_is_not_used(micro_batch):
    schedule = plan_updates(
        rows=20, epochs=1, batch_size=8, warmup_ratio=0, micro_batch=micro_batch
    )
    assert (schedule.micro_batch, schedule.accumulation) == (8, 1)


def test_fewer_rows_than_a_batch_still_make_one_update_an_epoch():
    assert plan_updates(rows=3, epochs=2, batch_size=32, warmup_ratio=0, micro_batch=4).total == 2


def test_the_factor_rises_from_zero_to_one_and_falls_to_zero_by_hand():
    with_warmup = Schedule(micro_batch=8, accumulation=1, total=10, warmup=4)
    assert [with_warmup.factor(update) for update in range(11)] == pytest.approx(
        [0, 1 / 4, 2 / 4, 3 / 4, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]
    )
    without = Schedule(micro_batch=8, accumulation=1, total=4, warmup=0)
    assert [without.factor(update) for update in range(5)] == [1, 0.75, 0.5, 0.25, 0]


@settings(max_examples=100)
@given(
    rows=st.integers(1, 3_000),
    epochs=st.integers(1, 10),
    batch_size=st.sampled_from([1, 2, 3, 8, 16, 32]),
    warmup_ratio=st.floats(0, 0.99),
    micro_batch=st.none() | st.integers(1, 8),
)
def test_a_schedule_is_whole_and_its_factor_stays_between_zero_and_one(
    rows, epochs, batch_size, warmup_ratio, micro_batch
):
    schedule = plan_updates(
        rows=rows,
        epochs=epochs,
        batch_size=batch_size,
        warmup_ratio=warmup_ratio,
        micro_batch=micro_batch,
    )
    assert schedule.micro_batch * schedule.accumulation == batch_size
    assert 0 <= schedule.warmup < schedule.total
    assert schedule.total % epochs == 0
    places = {0, 1, schedule.warmup, schedule.warmup + 1, schedule.total - 1, schedule.total}
    factors = {place: schedule.factor(place) for place in places}
    assert all(0 <= factor <= 1 for factor in factors.values())
    assert factors[schedule.warmup] == 1
    assert factors[schedule.total] == 0
    assert factors[0] == (0 if schedule.warmup else 1)
    assert schedule.factor(schedule.total + 1) == 0
