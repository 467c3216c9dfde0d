"""What intervals and p-values claim, against made-up runs whose truth is known.

Few tables with a fixed seed: the bounds are the stated ones and three standard errors. Many tables:
``benchmarks.coverage``, whose numbers are in docs/coverage.md.
"""

from functools import partial

import numpy as np
import pytest

from analysis.stats.inference import clustered_wilson
from tests.support.simulated_runs import (
    Setting,
    cochran_rejects,
    fates,
    improvement_covers,
    interim_rejects,
    mcnemar_rejects,
    naive_look_rejects,
    narrow_covers,
    narrow_covers_new_examples,
    permutation_rejects,
    proportion_coverage,
    share,
    whole_covers,
)

TABLES = 150


def error(stated, tables):
    """Three standard errors of a share."""
    return 3 * (stated * (1 - stated) / tables) ** 0.5


def check_coverage(once, tables=TABLES):
    slack = error(0.95, tables)
    assert 0.92 - slack <= share(once, tables, seed=1) <= 1.0


def check_error(once, tables=TABLES):
    assert share(once, tables, seed=1) <= 0.06 + error(0.05, tables)


@pytest.mark.parametrize("configurations", [6, 18])
@pytest.mark.parametrize("scores", ["normal", "bimodal"])
def test_the_default_interval_holds_the_truth_for_new_examples(scores, configurations):
    check_coverage(partial(whole_covers, setting=Setting(scores, configurations, 277)))


def test_the_pooled_interval_holds_the_truth_for_new_source_seeds():
    setting = Setting("normal", 6, 277, source_seeds=4, source=0.1)
    check_coverage(partial(whole_covers, setting=setting))


def test_the_narrow_interval_does_not_hold_for_new_examples():
    # why it is not the default
    setting = Setting("normal", 18, 277)
    assert share(partial(narrow_covers_new_examples, setting=setting), TABLES, seed=1) < 0.92


@pytest.mark.parametrize("configurations", [6, 18])
@pytest.mark.parametrize("kind", ["normal", "bimodal"])
def test_intervals_for_these_examples_hold_the_truth_for_them(kind, configurations):
    at = {"kind": kind, "configurations": configurations}
    check_coverage(partial(narrow_covers, **at))
    check_coverage(partial(improvement_covers, **at))
    check_error(partial(permutation_rejects, **at))


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("configurations", [6, 9, 18])
def test_the_interval_of_a_share_holds_it_whatever_seeds_share(shared, configurations):
    # exact: over risks from .02 to .5 as stated, at each of them as far as whole counts allow
    found = [proportion_coverage(risk / 100, shared, configurations) for risk in range(2, 51)]
    assert 0.93 <= sum(found) / len(found) <= 0.97
    assert min(found) > 0.85


def test_exact_coverage_of_a_share_is_what_drawing_tables_shows():
    rng = np.random.default_rng(1)
    counts = fates(rng, (2000, 6, 2), 0.4, 0.7).sum(axis=2)
    held = [clustered_wilson(table, np.full(6, 2)) for table in counts]
    drawn = np.mean([found.low <= 0.4 <= found.high for found in held])
    assert abs(drawn - proportion_coverage(0.4, 0.7, 6)) < error(0.93, 2000)


@pytest.mark.parametrize("rejects", [mcnemar_rejects, cochran_rejects])
def test_seeds_that_share_a_fate_do_not_make_a_difference_of_nothing(rejects):
    check_error(partial(rejects, risk=0.3, shared=0.7, number=18), 300)


@pytest.mark.parametrize("kind", ["normal", "bimodal"])
def test_the_interim_bound_holds_over_twenty_looks_and_the_final_p_does_not(kind):
    at = {"kind": kind, "configurations": 20}
    assert share(partial(interim_rejects, **at), 300, seed=1) <= 0.05 + error(0.05, 300)
    assert share(partial(naive_look_rejects, **at), 60, seed=1) > 0.08
