"""Differences of paired runs: values that can be worked out by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from analysis.stats.inference import Interval, permutation, wilson
from analysis.stats.resampling import (
    MeanDifference,
    best_and_improvement,
    narrow_mean,
    whole_mean,
)

NAN = float("nan")


def table(*rows):
    return np.array(rows, dtype=float)


def student(value, variance, degrees):
    half = stats.t.ppf(0.975, degrees) * variance**0.5
    return (pytest.approx(value - half), pytest.approx(value + half))


# --- the mean, for these dev examples


def test_the_narrow_interval_is_students_over_configurations():
    # configurations' mean differences 1, 2, 6: mean 3, variance 7, over 3
    found = narrow_mean(table([0, 2], [2, 2], [5, 7]), np.zeros((3, 2)))
    assert found.value == pytest.approx(3)
    assert (found.low, found.high) == student(3, 7 / 3, 2)
    assert found.error == found.error_runs == pytest.approx((7 / 3) ** 0.5)
    assert found.p == permutation(table([1], [2], [6]), np.zeros((3, 1)))
    assert found.error_examples is None


def test_seeds_come_along_with_their_configuration():
    # each configuration's mean difference is 1, however its seeds differ
    found = narrow_mean(table([0, 2], [2, 0], [-9, 11]), np.zeros((3, 2)))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_configuration_counts_by_its_pairs():
    found = narrow_mean(table([1, 1, 1], [0, NAN, NAN]), np.zeros((2, 3)))
    assert found.value == pytest.approx(3 / 4)


def test_one_configuration_has_an_estimate_and_no_interval():
    assert narrow_mean(table([1, 2]), table([0, 0])) == MeanDifference(1.5)
    again = table([1, 2])[..., None] * np.ones(9), np.zeros((1, 2, 9))
    assert whole_mean(table([1, 2]), table([0, 0]), again, 9) == MeanDifference(1.5)


def test_no_pair_has_no_estimate():
    for first in (np.zeros((0, 0)), table([NAN], [NAN])):
        assert narrow_mean(first, first) == MeanDifference()
        again = (first[..., None], first[..., None])
        assert whole_mean(first, first, again, 9) == MeanDifference()


def test_pairs_that_are_not_whole_are_not_seen():
    whole = narrow_mean(table([1, 2], [3, 4]), table([0, 1], [1, 1]))
    ragged = narrow_mean(
        table([1, 2, NAN], [3, 4, 8], [5, NAN, 6]), table([0, 1, 9], [1, 1, NAN], [NAN, 5, NAN])
    )
    assert ragged == whole


# --- the mean, for new dev examples


def resampled(right, times):
    """Scores of answers, shape (..., examples), on resampled dev sets."""
    return right @ times.T / right.shape[-1]


def test_what_examples_vary_is_added_and_what_both_vary_counts_once():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 6, 2, 40)) < 0.7
    times = rng.multinomial(40, np.full(40, 1 / 40), size=4000)
    again = resampled(first, times), resampled(second, times)
    found = whole_mean(first.mean(axis=-1), second.mean(axis=-1), again, 40)
    gaps = (first.mean(axis=1) - second.mean(axis=1)).astype(float)
    # the analysis of variance of two crossed ways, in closed form
    value, rows, columns = gaps.mean(), gaps.mean(axis=1), gaps.mean(axis=0)
    of_runs, of_examples = rows.var(ddof=1) / 6, columns.var() / 40
    rest = gaps - rows[:, None] - columns + value
    shared = (rest**2).sum() / (5 * 40) / (6 * 40)
    variance = max(of_runs + of_examples - shared, of_runs, of_examples)
    assert found.value == pytest.approx(value)
    assert found.error_runs == pytest.approx(of_runs**0.5)
    assert found.error_examples == pytest.approx(of_examples**0.5, rel=0.05)
    assert found.error == pytest.approx(variance**0.5, rel=0.05)
    degrees = found.error**4 / (found.error_runs**4 / 5 + found.error_examples**4 / 39)
    assert (found.low, found.high) == student(value, found.error**2, degrees)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(value) / found.error, degrees))
    assert found.error_sources is None


def test_examples_on_which_all_runs_agree_widen_the_interval_though_runs_do_not_vary():
    # the source answers a quarter of 100 examples that none does not: 25 points in every run
    first, second = np.zeros((2, 4, 1, 100))
    first[..., :25] = 1
    times = np.random.default_rng(1).multinomial(100, np.full(100, 1 / 100), size=4000)
    again = resampled(first, times), resampled(second, times)
    narrow = narrow_mean(first.mean(axis=-1), second.mean(axis=-1))
    assert (narrow.low, narrow.high) == (0.25, 0.25)
    found = whole_mean(first.mean(axis=-1), second.mean(axis=-1), again, 100)
    # a share of 1/4 of 100
    assert found.error == pytest.approx((0.25 * 0.75 / 100) ** 0.5, rel=0.05)
    assert found.error_runs == 0


def test_source_seeds_are_what_varies_where_there_are_several():
    # three source seeds that are 0, 1 and 2 better everywhere; one seed, two configurations
    first = np.tile([0.0, 1.0, 2.0], (2, 1)) + table([0], [0.5])
    second = np.zeros((2, 3))
    again = first[..., None] * np.ones(5), second[..., None] * np.ones(5)
    found = whole_mean(first, second, again, 50, np.array([7, 8, 9]))
    assert found.error_sources == pytest.approx((1 / 3) ** 0.5)
    assert found.error_runs == pytest.approx((0.125 / 2) ** 0.5)
    half = (stats.t.ppf(0.975, 1) ** 2 / 16 + stats.t.ppf(0.975, 2) ** 2 / 3) ** 0.5
    assert (found.low, found.high) == (pytest.approx(1.25 - half), pytest.approx(1.25 + half))


def test_what_source_seeds_vary_by_the_noise_of_runs_alone_counts_once():
    # source seeds differ by what their runs differ by: nothing is left for the source
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(8, 6)), np.zeros((8, 6))
    first -= first.reshape(8, 3, 2).mean(axis=(0, 2)).repeat(2)
    again = first[..., None] * np.ones(5), second[..., None] * np.ones(5)
    found = whole_mean(first, second, again, 50, np.repeat([1, 2, 3], 2))
    assert found.error_sources == pytest.approx(0, abs=1e-12)
    alone = whole_mean(first, second, again, 50)
    assert (found.low, found.high, found.p) == (alone.low, alone.high, alone.p)


@pytest.mark.parametrize("kept", [2, 4, 6])
def test_p_is_a_twentieth_where_the_interval_ends_at_0(kept):
    rng = np.random.default_rng(kept)
    first, second, seeds = rng.normal(size=(8, kept)), np.zeros((8, kept)), np.arange(kept) // 2
    first += seeds  # 1 better with each source seed
    again = first[..., None] + rng.normal(0, 0.1, 5), second[..., None] * np.ones(5)
    found = whole_mean(first, second, again, 50, seeds)
    assert (found.error_sources is None) == (kept == 2)
    ends = whole_mean(first - found.low, second, again, 50, seeds)
    assert (ends.low, ends.p) == (pytest.approx(0, abs=1e-12), pytest.approx(0.05))


@pytest.mark.parametrize("there", [1, 2])
def test_a_source_seed_without_a_pair_varies_nothing(there):
    first = np.tile([0.0, 1.0, 2.0], (2, 1)) + table([0], [0.5])
    first[:, there:] = np.nan
    second, seeds = np.zeros((2, 3)), np.array([7, 8, 9])
    again = first[..., None] * np.ones(5), second[..., None] * np.ones(5)
    found = whole_mean(first, second, again, 50, seeds)
    alone = tuple(side[:, :there] for side in again)
    known = whole_mean(first[:, :there], second[:, :there], alone, 50, seeds[:there])
    assert found == known
    assert (found.error_sources is None) == (there == 1)


def test_where_nothing_varies_the_swaps_decide():
    first, second = np.ones((3, 1)), np.zeros((3, 1))
    again = first[..., None] * np.ones(5), second[..., None] * np.ones(5)
    found = whole_mean(first, second, again, 50)
    assert (found.low, found.high, found.p) == (1.0, 1.0, 0.25)
    assert whole_mean(first, first, (again[0], again[0]), 50).p == 1.0


def test_pairs_that_are_not_whole_are_not_resampled():
    first, second = table([1, 2], [3, 5]), table([0, 1], [1, 1])
    more = table([1, 2, NAN], [3, 5, 8]), table([0, 1, 9], [1, 1, NAN])
    found = []
    for a, b in ((first, second), more):
        noise = 1 + 0.1 * np.arange(5)
        # where a run has not ended any score may stand
        again = np.nan_to_num(a, nan=77.0)[..., None] * noise, np.nan_to_num(b)[..., None] * noise
        found.append(whole_mean(a, b, again, 50))
    assert found[0] == found[1]


# --- the best, and how likely a run beats another


def best(first, second, **more):
    return best_and_improvement(first, second, **more)["best"]


def improvement(first, second, **more):
    return best_and_improvement(first, second, **more)["improvement"]


def test_a_constant_difference_of_the_best_has_a_range_without_width():
    first = np.random.default_rng(0).random((5, 2))
    found = best(first + 0.25, first)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_difference_of_the_best_takes_each_side_s_own_best():
    found = best(table([0.9], [0.5]), table([0.1], [0.8]))
    assert found.value == pytest.approx(0.1)
    # drawn twice, the first gives 0.8 and the second -0.3
    assert (found.low, found.high) == (pytest.approx(-0.3), pytest.approx(0.8))


def test_improvement_counts_every_trial_against_every_other_and_ties_by_half():
    # 1 > 0, 1 < 3, 2 > 0, 2 < 3
    assert improvement(table([1], [2]), table([0], [3])).value == 0.5
    # 1 > 0, 1 = 1, 1 > 0, 1 = 1
    assert improvement(table([1], [1]), table([0], [1])).value == 0.75


def test_improvement_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 6, size=(2, 7, 3)).astype(float)
    expected = stats.mannwhitneyu(first.ravel(), second.ravel()).statistic / 21**2
    assert improvement(first, second).value == pytest.approx(expected)


def test_improvement_has_students_interval_with_the_spread_of_the_resampled():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 8, 1))
    found = improvement(first, second, resamples=20_000)
    wins = (first > second.T).astype(float)
    times = rng.multinomial(8, np.full(8, 1 / 8), size=20_000)
    spread = (((times @ wins) * times).sum(axis=1) / 64).std() * (8 / 7) ** 0.5
    half = stats.t.ppf(0.975, 7) * spread
    assert found.low == pytest.approx(max(found.value - half, 0), abs=0.01)
    assert found.high == pytest.approx(min(found.value + half, 1), abs=0.01)


def test_an_improvement_without_exception_has_wilsons_interval_of_its_configurations():
    assert improvement(np.ones((5, 2)), np.zeros((5, 2))) == wilson(5, 5)
    assert improvement(np.zeros((5, 2)), np.ones((5, 2))) == wilson(0, 5)


def test_one_configuration_has_a_best_and_no_range():
    found = best_and_improvement(table([1, 2]), table([0, 0]))
    assert found == {"best": Interval(2.0, None, None), "improvement": Interval(1.0, None, None)}
    nothing = Interval(None, None, None)
    assert set(best_and_improvement(np.zeros((0, 0)), np.zeros((0, 0))).values()) == {nothing}


def test_the_same_seed_gives_the_same_range_and_another_seed_another():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 9, 2))
    assert best_and_improvement(first, second, seed=1) == best_and_improvement(
        first, second, seed=1
    )
    assert improvement(first, second, seed=1) != improvement(first, second, seed=2)


def test_many_configurations_are_drawn_in_parts():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 3000, 1))
    found = improvement(first, second)
    # the Mann-Whitney statistic's variance where neither is better: 1/12 (1/n + 1/m)
    assert found.high - found.low == pytest.approx(2 * 1.96 * (2 / 3000 / 12) ** 0.5, rel=0.1)


scores = st.integers(0, 40).map(lambda x: x / 40)
tables = st.integers(1, 6).flatmap(
    lambda c: st.integers(1, 3).flatmap(
        lambda s: st.tuples(
            hnp.arrays(float, (c, s), elements=scores), hnp.arrays(float, (c, s), elements=scores)
        )
    )
)


def every(first, second):
    mean = narrow_mean(first, second)
    return {
        "mean": Interval(mean.value, mean.low, mean.high),
        **best_and_improvement(first, second, resamples=99),
    }


@settings(max_examples=40)
@given(both=tables)
def test_swapping_the_sides_turns_every_interval_round(both):
    first, second = both
    there, back = every(first, second), every(second, first)
    for name, whole in (("mean", 0.0), ("best", 0.0), ("improvement", 1.0)):
        value, low, high = there[name].value, there[name].low, there[name].high
        other = back[name]
        assert value == pytest.approx(whole - other.value)
        if low is not None:
            assert low == pytest.approx(whole - other.high)
            assert high == pytest.approx(whole - other.low)


@settings(max_examples=40)
@given(both=tables)
def test_intervals_hold_their_estimate_and_lie_within_what_can_be(both):
    first, second = both
    found = every(first, second)
    gaps = first - second
    assert found["mean"].value == pytest.approx(gaps.mean())
    assert found["best"].value == pytest.approx(first.max() - second.max())
    if found["mean"].low is not None:
        slack = 1e-12
        assert found["mean"].low - slack <= found["mean"].value <= found["mean"].high + slack
        assert 0 <= found["improvement"].low <= found["improvement"].high <= 1
        assert found["best"].high <= first.max() - second.min() + slack
