"""How small a difference planned runs can show: by hand, by simulation, and from finished runs."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.power import TTestPower

from analysis.stats.examples import draws
from analysis.stats.resampling import whole_mean
from stilt.folder import StudyFolder
from stilt.training.power import (
    Outcome,
    Spread,
    assumed,
    comparisons,
    detectable,
    dev_rows,
    lowest_p,
    measured,
    parts,
    prospects,
    warnings,
)
from tests.support.cell_frame import study_of

RATES = [1e-5, 2e-5, 3e-5, 4e-5, 5e-5, 6e-5]
GOLD = "0011"


def test_one_configuration_has_no_test_and_what_never_varies_is_shown_however_small():
    assert detectable(1, 2, 277, Spread(0.01, 0.01, 0.1)) is None
    assert detectable(4, 8, 277, Spread(0.0, 0.0, 0.0)) == 0


def test_the_smallest_difference_is_that_of_a_paired_t_test():
    # in units of the standard deviation, for ten pairs and a two-sided .05
    found = detectable(10, 10, None, Spread(0.01, 0.0, None))
    assert found / 0.01 == pytest.approx(TTestPower().solve_power(nobs=10, alpha=0.05, power=0.8))
    assert found == pytest.approx(0.00996, rel=1e-3)
    power = stats.nct.sf(stats.t.ppf(0.975, 9), 9, found / 0.01 * 10**0.5)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_variances_of_configurations_seeds_and_examples_add_up():
    # 0.02**2 / 4 + 0.02**2 / 8 + 0.1**2 / 100 = 0.0001 + 0.00005 + 0.0001
    found = detectable(4, 8, 100, Spread(0.02, 0.02, 0.1))
    degrees = 0.00025**2 / (0.00015**2 / 3 + 0.0001**2 / 99)
    assert degrees == pytest.approx(8.22, abs=0.01)
    power = stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, found / 0.00025**0.5)
    assert power == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(
    ("configurations", "seeds", "examples"), [(6, 2, 277), (18, 2, 277), (18, 1, 1267)]
)
def test_the_default_test_has_the_promised_power_at_that_difference(
    configurations, seeds, examples
):
    spread = Spread(0.02, 0.03, 0.25)
    gap = detectable(configurations, configurations * seeds, examples, spread)
    rng = np.random.default_rng(11)
    times = draws(examples, 400, 0).T.astype(np.float64)
    shown, tables = 0, 400
    for _ in range(tables):
        rows = rng.normal(0, spread.examples, examples)
        runs = gap + rng.normal(0, spread.configurations, (configurations, 1))
        runs = runs + rng.normal(0, spread.seeds, (configurations, seeds))
        first, nothing = runs + rows.mean(), np.zeros_like(runs)
        again = runs[..., None] + rows @ times / examples
        p = whole_mean(first, nothing, (again, np.zeros_like(again)), examples).p
        shown += p < 0.05
    assert 0.75 <= shown / tables <= 0.85


@pytest.mark.parametrize(("number", "p"), [(1, 1.0), (2, 1 / 2), (3, 1 / 4), (6, 1 / 32)])
def test_swapping_configurations_gives_no_lower_p_than_both_ways_round(number, p):
    assert lowest_p(number) == p


def test_comparisons_are_pairs_of_equal_trials_and_each_plan_is_one_row(tmp_path):
    study = study_of(
        ("none", "hellaswag", "cola"), ("rte", "mednli"),
        learning_rate=RATES, batch_size=[8], seed=[12, 42],
    )  # fmt: skip
    planned = comparisons(study)
    assert [(one.target, one.source) for one in planned] == [
        ("rte", "hellaswag"), ("mednli", "hellaswag"), ("rte", "cola"), ("mednli", "cola"),
    ]  # fmt: skip
    assert all((len(one.pairs), one.configurations) == (12, 6) for one in planned)
    assert all(a.hyperparameters == b.hyperparameters for one in planned for a, b in one.pairs)
    rows = prospects(study, StudyFolder(tmp_path), {"rte": Spread(0.01, 0.01, 0.1, 12)})
    assert [(row.target, row.sources, row.dev) for row in rows] == [
        ("rte", ("hellaswag", "cola"), 277), ("mednli", ("hellaswag", "cola"), 1395),
    ]  # fmt: skip
    assert rows[0].smallest == detectable(6, 12, 277, Spread(0.01, 0.01, 0.1))
    assert rows[0].smallest_holm == detectable(6, 12, 277, Spread(0.01, 0.01, 0.1), 0.05 / 4)
    assert rows[1].spread == assumed("accuracy")
    # 2 / 2**6, four times
    assert (rows[0].lowest_p, rows[0].lowest_p_holm) == (1 / 32, 1 / 8)


def test_a_narrow_test_that_cannot_reject_has_no_smallest_difference(tmp_path):
    study = study_of(learning_rate=RATES[:5], batch_size=[8])
    (row,) = prospects(study, StudyFolder(tmp_path), {}, narrow=True)
    assert (row.lowest_p, row.smallest) == (1 / 16, None)
    (row,) = prospects(study, StudyFolder(tmp_path), {"rte": Spread(0.01, 0.01, None, 9)})
    assert row.smallest is None
    (row,) = prospects(study, StudyFolder(tmp_path), {})
    assert row.smallest > 0


def test_pinned_rows_are_the_dev_set_before_what_the_task_file_says(tmp_path):
    study, folder = study_of(), StudyFolder(tmp_path)
    assert dev_rows(study, folder, "rte") == 277
    path = folder.data_digest("rte")
    path.parent.mkdir()
    path.write_text('{"digest": "d", "train": 9, "dev": 12, "where": "here"}')
    assert dev_rows(study, folder, "rte") == 12


def test_warnings_name_the_lowest_p_that_can_come_out_and_where():
    lines = list(
        warnings([("rte", 3, 1 / 4, 0.5), ("wic", 3, 1 / 4, 0.5), ("cola", 18, 2**-17, 1e-4)])
    )
    assert lines == [
        "Tests that cannot reject on rte, wic: 3 configurations can be swapped in 8 ways, so the p "
        "of degenerate runs, of --interval narrow and of interim looks is never below 1/4."
    ]
    (line,) = warnings([("rte", 6, 1 / 32, 0.75)])
    assert line.endswith(
        "never below 1/32, and after Holm's method over the table never below 0.75."
    )
    (line,) = warnings([("rte", 1, 1.0, 1.0)])
    assert line.startswith("No test on rte: the grid pairs one configuration")


def test_variances_are_measured_from_finished_pairs_by_moments():
    study = study_of(learning_rate=RATES, batch_size=[8], seed=[12, 42])
    (one,) = comparisons(study)
    outcomes = {}
    # by configuration 0, .1, .2, ... on average, .1 more and less by seed
    for ours, none in one.pairs:
        place = RATES.index(ours.hyperparameters.learning_rate)
        sign = 1 if ours.seed == 12 else -1
        outcomes[ours.id] = Outcome(0.1 * place + 0.1 * sign, "0010", GOLD)
        outcomes[none.id] = Outcome(0.0, "0000" if sign == 1 else "0010", GOLD)
    found = measured([one], outcomes, "accuracy")
    # within: 12 squares of .01 over 6; between: .175 over 5, of which half of that is the seeds'
    assert found.seeds == pytest.approx(0.02**0.5)
    assert found.configurations == pytest.approx((0.175 / 5 - 0.01) ** 0.5)
    # the third example is gained in half of the runs: means 0, 0, .5, 0 vary by .0625, less the
    # variance of a mean of 12, .25 / 11 on one example of four
    assert found.examples == pytest.approx((0.0625 - 0.25 / 11 / 4) ** 0.5)
    assert found.pairs == 12


def test_too_few_configurations_measure_nothing_and_no_predictions_no_examples():
    study = study_of(learning_rate=RATES, batch_size=[8])
    (one,) = comparisons(study)
    outcomes = {c.id: Outcome(0.5, None, None) for pair in one.pairs for c in pair}
    assert measured([one], outcomes, "accuracy") == Spread(0.0, 0.0, None, 6)
    outcomes.pop(one.pairs[0][0].id)
    assert measured([one], outcomes, "accuracy") is None


def test_parts_of_accuracy_are_right_answers():
    assert parts(np.array([0, 1, 1, 0]), np.array([0, 1, 1, 1]), "accuracy").tolist() == [
        1,
        1,
        1,
        0,
    ]


CLASSES = {
    "mcc": metrics.matthews_corrcoef,
    "f1": metrics.f1_score,
    "macro-f1": partial(metrics.f1_score, average="macro"),
}
NUMBERS = {
    "pearson": lambda gold, said: np.corrcoef(said, gold)[0, 1],
    # with the ranks of all
    "spearman": lambda gold, said: np.corrcoef(said, gold)[0, 1],
}


@pytest.mark.parametrize("metric", [*CLASSES, *NUMBERS])
def test_parts_of_other_metrics_are_pseudo_values(metric):
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 2, 60)
    said = np.where(rng.random(60) < 0.8, gold, 1 - gold)
    if metric in NUMBERS:
        gold, said = gold + rng.normal(size=60), said + rng.normal(size=60)
    found = parts(said, gold, metric)
    if metric == "spearman":
        gold, said = stats.rankdata(gold), stats.rankdata(said)
    score = (CLASSES | NUMBERS)[metric]
    without = [score(np.delete(gold, i), np.delete(said, i)) for i in range(60)]
    assert found == pytest.approx(60 * score(gold, said) - 59 * np.array(without))


@pytest.mark.parametrize("metric", ["mcc", "f1", "macro-f1", "pearson", "spearman"])
def test_parts_of_a_constant_answer_to_one_label_are_finite(metric):
    same = np.ones(5, np.uint8)
    assert np.isfinite(parts(same, same, metric)).all()
