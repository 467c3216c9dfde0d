from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.stats.inference import (
    Interval,
    clustered_wilson,
    cochran,
    expected_best,
    holm,
    mcnemar,
    permutation,
    symmetry_wealth,
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


def test_one_run_per_configuration_has_wilsons_interval():
    counts = np.array([1, 0, 0, 1, 0, 0])
    assert clustered_wilson(counts, np.ones(6, int)) == wilson(2, 6)


def test_seeds_that_always_agree_count_once():
    # 2 of 6 configurations with both seeds: the design effect is the number of seeds
    counts = np.array([2, 0, 0, 2, 0, 0])
    found = clustered_wilson(counts, np.full(6, 2))
    assert (found.low, found.high) == (wilson(2, 6).low, wilson(2, 6).high)
    assert found.value == pytest.approx(1 / 3)


def test_seeds_that_disagree_as_often_as_chance_has_it_count_each():
    # counts 0, 1, 1, 2 have the variance of pairs of fair coins, 2/3 over n - 1 against 1/2: the
    # effect 4/3 leaves 6 of 8 runs
    found = clustered_wilson(np.array([0, 1, 1, 2]), np.full(4, 2))
    assert (found.low, found.high) == pytest.approx((wilson(3, 6).low, wilson(3, 6).high))


def test_where_no_run_is_degenerate_only_configurations_count():
    found = clustered_wilson(np.zeros(18, int), np.full(18, 2))
    assert found == wilson(0, 18)


def test_seeds_of_one_configuration_stand_alone():
    assert clustered_wilson(np.array([2]), np.array([5])) == wilson(2, 5)
    assert clustered_wilson(np.zeros(2, int), np.zeros(2, int)) == Interval(None, None, None)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # twice the tail of a fair coin: 2 (C(6,0) + C(6,1)) / 2^6, and so on
    [(5, 1, 14 / 64), (1, 5, 14 / 64), (6, 0, 2 / 64), (3, 3, 1.0), (0, 0, 1.0), (1, 0, 1.0)],
)
def test_mcnemar_is_a_sign_test_on_the_discordant_pairs(first, second, p):
    assert mcnemar(np.array([1] * first + [-1] * second + [0] * 3)) == pytest.approx(p)


def test_seeds_of_a_configuration_are_swapped_together_in_mcnemar():
    # sums of +-2 +-2 +-1: 5 and -5 reach 5, two of eight; six free runs would give 2 of 32
    assert mcnemar(np.array([2, 2, 1])) == pytest.approx(2 / 8)


def test_cochran_counts_exchanges_within_blocks():
    outcomes = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
    seen = outcomes.sum(axis=0)
    spread = ((seen - seen.mean()) ** 2).sum()
    places = [sorted(set(permutations(row))) for row in outcomes.tolist()]
    ways = [np.sum(rows, axis=0) for rows in product(*places)]
    exact = np.mean([((way - way.mean()) ** 2).sum() >= spread - 1e-9 for way in ways])
    assert cochran(outcomes) == pytest.approx(exact, abs=0.015)


def test_cochran_of_many_blocks_is_the_tail_of_the_chi_squared_distribution():
    from statsmodels.stats.contingency_tables import cochrans_q

    outcomes = np.random.default_rng(2).integers(0, 2, size=(400, 3))
    assert cochran(outcomes) == pytest.approx(cochrans_q(outcomes).pvalue)


def test_cochran_with_two_levels_is_mcnemar():
    outcomes = np.array([[1, 0]] * 5 + [[0, 1]] + [[1, 1]] * 3 + [[0, 0]] * 7)
    assert cochran(outcomes) == pytest.approx(14 / 64)


def test_cochran_says_one_where_no_block_differs_and_nothing_of_too_few():
    assert cochran(np.array([[1, 1, 1], [0, 0, 0]])) == 1.0
    assert cochran(np.array([[1, 0, 1]])) is None
    assert cochran(np.zeros((5, 1), int)) is None
    assert cochran(np.zeros((0, 3), int)) is None


def test_holm_multiplies_the_smallest_most_and_never_decreases():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_does_not_count_tests_that_could_not_be_made():
    assert holm([None, 0.01, None, 0.04]) == [None, pytest.approx(0.02), None, pytest.approx(0.04)]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_counts_tests_that_are_still_to_be_made():
    # as if their p were 1: an adjusted p can only become smaller
    assert holm([0.01, 0.04], waiting=2) == [pytest.approx(0.04), pytest.approx(0.12)]
    assert holm([0.01, 0.04, 0.9, 0.8])[:2] == [pytest.approx(0.04), pytest.approx(0.12)]


# --- interim looks


def test_a_gambler_on_signs_wins_what_the_formula_says():
    # the first difference counts for nothing; of one of 1, mean 1/2 and variance 1 - 1/4 give the
    # bet (1/2) / (3/4) on the second: exp(b x) / cosh(b x)
    bet = (1 / 2) / (3 / 4) * 2
    assert symmetry_wealth(np.array([1.0, 2.0])) == pytest.approx(np.exp(bet) / np.cosh(bet))


def test_wealth_is_the_largest_so_far_and_never_below_one():
    assert symmetry_wealth(np.array([])) == symmetry_wealth(np.array([1.0])) == 1.0
    assert symmetry_wealth(np.array([1.0, -5.0])) == 1.0
    gained = symmetry_wealth(np.array([1.0, 2.0, 1.0, 2.0]))
    assert symmetry_wealth(np.array([1.0, 2.0, 1.0, 2.0, -9.0])) == gained > 1


def test_wealth_does_not_depend_on_the_unit_or_on_the_side():
    gaps = np.random.default_rng(4).normal(0.5, 1, 18)
    assert symmetry_wealth(gaps / 100) == pytest.approx(symmetry_wealth(gaps))
    assert symmetry_wealth(-gaps) == pytest.approx(symmetry_wealth(gaps))


def test_eighteen_wins_of_eighteen_are_as_good_as_certain():
    assert symmetry_wealth(np.full(18, 0.02)) > 1000


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


scores = st.integers(0, 40).map(lambda x: x / 40)


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
