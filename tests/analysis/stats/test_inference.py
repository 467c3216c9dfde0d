from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.stats.inference import (
    Interval,
    bootstrap,
    cochran,
    expected_best,
    holm,
    mcnemar,
    permutation,
    wilson,
)

NAN = float("nan")


def table(*rows):
    return np.array(rows, dtype=float)


# --- proportions


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.95996, by hand
    [(5, 36, 0.0608, 0.2866), (0, 36, 0.0, 0.0964), (36, 36, 0.9036, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilson_intervals_are_those_of_the_formula(count, of, low, high):
    found = wilson(count, of)
    assert found.value == count / of
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_a_proportion_of_nothing_has_no_interval():
    assert wilson(0, 0) == Interval(None, None, None)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # twice the tail of a fair coin: 2 (C(6,0) + C(6,1)) / 2^6, and so on
    [(5, 1, 14 / 64), (1, 5, 14 / 64), (6, 0, 2 / 64), (3, 3, 1.0), (0, 0, 1.0), (1, 0, 1.0)],
)
def test_mcnemar_is_a_sign_test_on_the_discordant_pairs(first, second, p):
    assert mcnemar(first, second) == pytest.approx(p)


def test_cochran_has_the_hand_computed_value():
    # column sums 4, 2, 1; row sums 1, 2, 1, 3: Q = 2 (3 * 21 - 49) / (21 - 15) = 14/3 on 2 degrees
    # of freedom, whose chi-squared tail is exp(-Q/2)
    outcomes = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=bool)
    assert cochran(outcomes) == pytest.approx(np.exp(-7 / 3))


def test_cochran_with_two_levels_is_mcnemar():
    outcomes = np.array([[1, 0]] * 5 + [[0, 1]] + [[1, 1]] * 3 + [[0, 0]] * 7, dtype=bool)
    assert cochran(outcomes) == mcnemar(5, 1)


def test_cochran_says_one_where_no_block_differs_and_nothing_of_too_few():
    assert cochran(np.array([[1, 1, 1], [0, 0, 0]], dtype=bool)) == 1.0
    assert cochran(np.array([[1, 0, 1]], dtype=bool)) is None
    assert cochran(np.zeros((5, 1), dtype=bool)) is None
    assert cochran(np.zeros((0, 3), dtype=bool)) is None


def test_holm_multiplies_the_smallest_most_and_never_decreases():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_does_not_count_tests_that_could_not_be_made():
    assert holm([None, 0.01, None, 0.04]) == [None, pytest.approx(0.02), None, pytest.approx(0.04)]
    assert holm([None]) == [None]
    assert holm([]) == []


# --- permutation


def test_a_permutation_test_counts_the_swaps_as_extreme():
    # differences 1 and 2: of the four swaps, (+ +) and (- -) reach 1.5
    assert permutation(table([1], [2]), table([0], [0])) == pytest.approx(0.5)
    # three equal differences: (+ + +) and (- - -) of eight
    assert permutation(table([1], [1], [1]), table([0], [0], [0])) == pytest.approx(0.25)


def test_seeds_of_a_configuration_are_swapped_together():
    # with four free pairs it would be 2 of 16 swaps; with two configurations it is 2 of 4
    first = table([3, 3], [1, 1])
    assert permutation(first, np.zeros((2, 2))) == pytest.approx(0.5)


def test_a_permutation_test_needs_two_configurations():
    assert permutation(table([1, 2]), table([0, 0])) is None
    assert permutation(table([1], [NAN]), table([0], [0])) is None
    assert permutation(np.zeros((0, 0)), np.zeros((0, 0))) is None


def test_a_permutation_test_does_not_see_pairs_that_are_not_whole():
    whole = permutation(table([1], [1], [1]), table([0], [0], [0]))
    ragged = permutation(
        table([1, NAN], [1, 9], [1, NAN], [NAN, 5]), table([0, 7], [0, NAN], [0, 1], [2, NAN])
    )
    assert ragged == whole


def test_a_permutation_test_of_no_effect_rejects_as_often_as_it_says():
    rng = np.random.default_rng(7)
    draws = 200
    rejected = 0
    for _ in range(draws):
        both = rng.normal(size=(2, 8, 1))
        p = permutation(both[0], both[1])
        assert p is not None
        rejected += p <= 0.1
    # exact, so the rate is at most 0.1; four standard errors of slack above
    assert rejected / draws <= 0.1 + 4 * np.sqrt(0.1 * 0.9 / draws)
    assert rejected > 0


# --- bootstrap


def test_a_constant_difference_has_an_interval_without_width():
    first = np.random.default_rng(0).random((5, 2))
    found = bootstrap(first + 0.25, first)
    for name in ("mean", "best"):
        assert found[name].value == pytest.approx(0.25)
        assert found[name].low == pytest.approx(0.25)
        assert found[name].high == pytest.approx(0.25)


def test_two_configurations_are_drawn_as_a_pair_of_coins():
    # differences 0 and 1: resampled means are 0, 1/2, 1 with chances 1/4, 1/2, 1/4
    found = bootstrap(table([1], [2]), table([1], [1]))["mean"]
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_seeds_come_along_with_their_configuration():
    # each configuration's mean difference is 1, however its seeds differ
    found = bootstrap(table([0, 2], [2, 0], [-9, 11]), np.zeros((3, 2)))["mean"]
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_configuration_counts_by_its_pairs():
    found = bootstrap(table([1, 1, 1], [0, NAN, NAN]), np.zeros((2, 3)))["mean"]
    assert found.value == pytest.approx(3 / 4)


def test_the_difference_of_the_best_takes_each_side_s_own_best():
    found = bootstrap(table([0.9], [0.5]), table([0.1], [0.8]))["best"]
    assert found.value == pytest.approx(0.1)
    # drawn twice, the first gives 0.8 and the second -0.3
    assert (found.low, found.high) == (pytest.approx(-0.3), pytest.approx(0.8))


def test_improvement_counts_every_trial_against_every_other_and_ties_by_half():
    # 1 > 0, 1 < 3, 2 > 0, 2 < 3
    assert bootstrap(table([1], [2]), table([0], [3]))["improvement"].value == 0.5
    # 1 > 0, 1 = 1, 1 > 0, 1 = 1
    assert bootstrap(table([1], [1]), table([0], [1]))["improvement"].value == 0.75


def test_improvement_is_the_mann_whitney_statistic():
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 6, size=(2, 7, 3)).astype(float)
    expected = mannwhitneyu(first.ravel(), second.ravel()).statistic / 21**2
    assert bootstrap(first, second)["improvement"].value == pytest.approx(expected)


def test_one_configuration_has_an_estimate_and_no_interval():
    found = bootstrap(table([1, 2]), table([0, 0]))
    assert found["mean"] == Interval(1.5, None, None)
    assert found["best"] == Interval(2.0, None, None)
    assert found["improvement"] == Interval(1.0, None, None)


def test_no_pair_has_no_estimate():
    nothing = Interval(None, None, None)
    for first in (np.zeros((0, 0)), table([NAN], [NAN])):
        assert set(bootstrap(first, first).values()) == {nothing}


def test_pairs_that_are_not_whole_are_not_seen():
    whole = bootstrap(table([1, 2], [3, 4]), table([0, 1], [1, 1]))
    ragged = bootstrap(
        table([1, 2, NAN], [3, 4, 8], [5, NAN, 6]), table([0, 1, 9], [1, 1, NAN], [NAN, 5, NAN])
    )
    assert ragged == whole


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 9, 2))
    assert bootstrap(first, second, seed=1) == bootstrap(first, second, seed=1)
    assert bootstrap(first, second, seed=1) != bootstrap(first, second, seed=2)


def test_many_configurations_are_drawn_in_parts():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 3000, 1))
    found = bootstrap(first, second)["mean"]
    error = (first - second).std() / np.sqrt(3000)
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


scores = st.integers(0, 40).map(lambda x: x / 40)
tables = st.integers(1, 6).flatmap(
    lambda c: st.integers(1, 3).flatmap(
        lambda s: st.tuples(
            hnp.arrays(float, (c, s), elements=scores), hnp.arrays(float, (c, s), elements=scores)
        )
    )
)


@settings(max_examples=40)
@given(both=tables)
def test_swapping_the_sides_turns_every_interval_round(both):
    first, second = both
    there, back = (
        bootstrap(first, second, resamples=99),
        bootstrap(second, first, resamples=99),
    )
    for name, whole in (("mean", 0.0), ("best", 0.0), ("improvement", 1.0)):
        value, low, high = there[name].value, there[name].low, there[name].high
        other = back[name]
        assert value == pytest.approx(whole - other.value)
        if low is not None:
            assert low == pytest.approx(whole - other.high)
            assert high == pytest.approx(whole - other.low)


@settings(max_examples=40)
@given(both=tables)
def test_intervals_lie_within_what_can_be(both):
    first, second = both
    found = bootstrap(first, second, resamples=99)
    gaps = first - second
    assert found["mean"].value == pytest.approx(gaps.mean())
    assert found["best"].value == pytest.approx(first.max() - second.max())
    if found["mean"].low is not None:
        slack = 1e-12
        assert gaps.min() - slack <= found["mean"].low <= found["mean"].high <= gaps.max() + slack
        assert 0 <= found["improvement"].low <= found["improvement"].high <= 1
        assert found["best"].high <= first.max() - second.min() + slack


# --- expected best


def test_expected_best_has_the_hand_computed_values():
    # pairs of 1, 2, 3 without replacement: 2, 3, 3; with: 1 once, 2 three times, 3 five times
    assert expected_best(np.array([3.0, 1, 2])) == pytest.approx([2, 8 / 3, 3])
    assert expected_best(np.array([3.0, 1, 2]), replacement=True)[:2] == pytest.approx([2, 22 / 9])


@settings(max_examples=40)
@given(values=st.lists(scores, min_size=1, max_size=6))
def test_expected_best_is_the_mean_over_every_choice_of_trials(values):
    exact = expected_best(np.array(values))
    again = expected_best(np.array(values), replacement=True)
    for k in range(1, len(values) + 1):
        assert exact[k - 1] == pytest.approx(np.mean([max(c) for c in combinations(values, k)]))
        if len(values) ** k <= 10_000:
            drawn = [max(c) for c in product(values, repeat=k)]
            assert again[k - 1] == pytest.approx(np.mean(drawn))


@settings(max_examples=40)
@given(values=hnp.arrays(float, st.integers(1, 60), elements=scores))
def test_expected_best_rises_from_the_mean_to_the_best(values):
    exact = expected_best(values)
    assert exact[0] == pytest.approx(values.mean())
    assert exact[-1] == pytest.approx(values.max())
    assert (np.diff(exact) >= -1e-12).all()
    assert (expected_best(values, replacement=True) <= exact + 1e-12).all()


def test_expected_best_of_thousands_of_trials_does_not_overflow():
    values = np.arange(3000) / 3000
    exact = expected_best(values)
    # the expected largest rank of k from 1..n is k (n + 1) / (k + 1)
    ranks = np.arange(1, 3001) * 3001 / np.arange(2, 3002)
    assert exact == pytest.approx((ranks - 1) / 3000, rel=1e-9)


def test_expected_best_of_nothing_is_nothing():
    assert expected_best(np.array([])).shape == (0,)
