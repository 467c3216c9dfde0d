"""How small a mean difference planned runs can show, and which tests can never show one.

A comparison's difference is taken to be the sum of what is looked for, of what each configuration,
each pair of seeds and each dev example adds by chance, all independent and normal. Its test is
Student's t with Satterthwaite's degrees of freedom, the default of the tables.

Source: Card et al. 2020, With Little Power Comes Great Responsibility, for the question and for
dev examples; Bloom 1995 for the smallest detectable difference; Owen 2007 for adding variances.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stilt.cell import NONE, Cell
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.records.answers import answers_of, is_numbers
from stilt.records.measures import of_confusion, ranks
from stilt.records.pins import pin_name, read_pin
from stilt.study import Study
from stilt.task import Size

ALPHA = 0.05
"""Below which a p, corrected over the table, is called clear."""
POWER = 0.8
"""Probability of showing a difference that is there (Cohen 1988, by convention)."""
LEAST_FREEDOM = 5
"""Configurations beyond the first of each comparison from which on variances are measured: their
roots are then off by a third."""
SEED_SD = 0.027
"""Assumed of one run's score: less where training is stable, more where runs degenerate."""
EXAMPLE_SHARE = 0.05
"""Assumed: by how much more of the dev examples source and none disagree than two seeds of one."""

ASSUMED = (
    "assumed: SD of a run's score over seeds 2.7 points, of the difference over hyperparameters "
    "as much, and 5 % of the dev examples answered otherwise with the source, whatever the seed "
    "(twice their weight for correlations, MCC too)"
)
"""What the variances are where nothing is measured, in words."""

_Floats = npt.NDArray[np.float64]
_Answers = npt.NDArray[Any]


class Outcome(NamedTuple):
    """How a run ended."""

    score: float
    """A fraction; of a diverged run the majority's."""
    predictions: str | None
    gold: str | None


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the difference between a source and none, as fractions."""

    configurations: float
    """Of what each configuration adds."""
    seeds: float
    """Of what each pair of runs adds within its configuration."""
    examples: float | None
    """Of what each dev example adds to the mean over runs; None where no predictions are stored,
    so that dev examples are held fixed."""
    pairs: int = 0
    """Finished pairs that it was measured on; 0 where it is assumed."""


@dataclass(frozen=True)
class Comparison:
    """What a grid plans of one source against none on one target."""

    target: str
    source: str
    pairs: tuple[tuple[Cell, Cell], ...]
    """Cells of equal hyperparameters and seeds, the source's first."""

    @property
    def configurations(self) -> int:
        """Settings of hyperparameters that differ in more than seeds."""
        return len({configuration(cell) for cell, _ in self.pairs})


@dataclass(frozen=True)
class Prospect:
    """What the comparisons of one plan on one target can show."""

    target: str
    sources: tuple[str, ...]
    pairs: int
    configurations: int
    dev: int | None
    """Dev examples; None where nobody knows yet."""
    spread: Spread
    smallest: float | None
    """Smallest mean difference that is shown with a probability of POWER at ALPHA by a single test;
    None where its test can never show any, or where dev examples are unknown."""
    smallest_holm: float | None
    """The same where Holm's correction is at its strictest, which is for the smallest p."""
    lowest_p: float
    """Of tests that swap configurations: see ``lowest_p``."""
    lowest_p_holm: float
    """After Holm's correction over the table's comparisons."""


def comparisons(study: Study) -> list[Comparison]:
    """Every comparison with ``none`` that a study plans, in the grid's order."""
    plain = {_trial(c): c for c in study.cells.values() if c.source == NONE and c.hyperparameters}
    found: dict[tuple[str, str], list[tuple[Cell, Cell]]] = defaultdict(list)
    for cell in study.cells.values():
        other = plain.get(_trial(cell))
        if cell.source != NONE and cell.hyperparameters is not None and other is not None:
            found[cell.target, cell.source].append((cell, other))
    return [Comparison(*place, tuple(pairs)) for place, pairs in found.items()]


def prospects(
    study: Study,
    folder: StudyFolder,
    spreads: Mapping[str, Spread],
    *,
    narrow: bool = False,
    sizes: Mapping[str, Size] | None = None,
) -> list[Prospect]:
    """What each target's comparisons can show; those with one plan are one row.

    Args:
        study: the plan.
        folder: where its rows are pinned, if they have been seen.
        spreads: what was measured, by target; ``assumed`` elsewhere.
        narrow: whether dev examples are held fixed on purpose.
        sizes: rows of targets whose task files do not tell them, where known.
    """
    planned = comparisons(study)
    groups: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for one in planned:
        groups[one.target, len(one.pairs), one.configurations].append(one.source)
    found = []
    for (target, pairs, count), sources in groups.items():
        spread = spreads.get(target) or assumed(study.tasks[target].metric)
        fixed = narrow or spread.examples is None
        dev, lowest = dev_rows(study, folder, target), lowest_p(count)
        if dev is None and sizes and target in sizes:
            dev = sizes[target].dev
        smallest: list[float | None] = []
        for level in (ALPHA, ALPHA / len(planned)):
            blind = (dev is None and not fixed) or (fixed and lowest > level)
            smallest.append(
                None if blind else detectable(count, pairs, None if fixed else dev, spread, level)
            )
        found.append(
            Prospect(
                target, tuple(sources), pairs, count, dev, spread, smallest[0], smallest[1],
                lowest, min(1.0, lowest * len(planned)),
            )
        )  # fmt: skip
    return found


def detectable(
    configurations: int, pairs: int, examples: int | None, spread: Spread, alpha: float = ALPHA
) -> float | None:
    """Smallest mean difference that is shown with a probability of ``POWER``, as a fraction.

    Args:
        configurations: settings of hyperparameters.
        pairs: of runs, seeds of all configurations together.
        examples: of the dev set; None where they are held fixed.
        spread: of the difference.
        alpha: p below which a difference counts as shown.

    Returns:
        The difference whose two-sided t test has that power, by the noncentral t distribution with
        the expected variances; None with fewer than two configurations, which have no test.
    """
    # half a second that other commands need not wait for
    from scipy.special import nctdtrinc, stdtrit

    if configurations < 2:
        return None
    runs = spread.configurations**2 / configurations + spread.seeds**2 / pairs
    rows = 0.0 if examples is None else (spread.examples or 0.0) ** 2 / examples
    variance = runs + rows
    if not variance:
        return 0.0
    freedom = runs**2 / (configurations - 1) + rows**2 / max((examples or 2) - 1, 1)
    degrees = variance**2 / freedom
    critical = stdtrit(degrees, 1 - alpha / 2)
    return float(nctdtrinc(degrees, 1 - POWER, critical)) * float(variance**0.5)


def lowest_p(configurations: int) -> float:
    """The lowest p that swapping configurations can give: both ways round of 2 to their number.

    It bounds the p of degenerate runs, the narrow p of means, and the bound of interim looks. Three
    configurations can never give less than 1/4.
    """
    return float(min(1.0, 2.0 ** (1 - configurations)))


def warnings(rows: Iterable[tuple[str, int, float, float]]) -> Iterator[str]:
    """A line for each number of configurations with which a test cannot reject.

    Args:
        rows: target, configurations, the lowest p that swapping them gives, and that after Holm.
    """
    groups: dict[tuple[int, float, float], list[str]] = defaultdict(list)
    for target, count, lowest, after in rows:
        if after >= ALPHA:
            groups[count, lowest, after].append(target)
    for (count, lowest, after), targets in groups.items():
        where = ", ".join(dict.fromkeys(targets))
        if count < 2:
            yield (
                f"No test on {where}: the grid pairs one configuration of a source with none, and "
                "what differs between configurations cannot be told from one."
            )
            continue
        what = f"1/{round(1 / lowest):,}"
        if lowest < ALPHA:
            what += f", and after Holm's method over the table never below {after:.2g}"
        yield (
            f"Tests that cannot reject on {where}: {count} configurations can be swapped in "
            f"{2**count:,} ways, so the p of degenerate runs, of --interval narrow and of interim "
            f"looks is never below {what}."
        )


def assumed(metric: str) -> Spread:
    """What is assumed where no results tell, see ``ASSUMED``."""
    # with two classes of equal size MCC is twice the accuracy less 1
    scale = 2.0 if metric == "mcc" or is_numbers(metric) else 1.0
    # a difference of two runs
    seeds = SEED_SD * 2**0.5
    return Spread(SEED_SD, seeds, scale * EXAMPLE_SHARE**0.5)


def measured(
    planned: Iterable[Comparison], outcomes: Mapping[str, Outcome], metric: str
) -> Spread | None:
    """Variances of one target's differences, pooled over its comparisons.

    Args:
        planned: comparisons of one target.
        outcomes: of the runs that ended, by cell.
        metric: the target's.

    Returns:
        By the moments of a nested analysis of variance, as for the variance components (negative
        moments are 0); that of examples from the mean over runs of each example's part in the
        score, less what single runs add to it. None where too few configurations have ended.
    """
    within = between = 0.0
    of_seeds = of_configurations = pairs = 0
    examples: list[tuple[int, float]] = []
    complete = True
    for one in planned:
        ended = [p for p in one.pairs if p[0].id in outcomes and p[1].id in outcomes]
        groups: dict[object, list[float]] = defaultdict(list)
        for ours, none in ended:
            groups[configuration(ours)].append(outcomes[ours.id].score - outcomes[none.id].score)
        if len(groups) < 2:
            continue
        means = np.array([np.mean(gaps) for gaps in groups.values()])
        within += sum(float(np.var(gaps)) * len(gaps) for gaps in groups.values())
        of_seeds += len(ended) - len(groups)
        between += float(((means - means.mean()) ** 2).sum())
        of_configurations += len(groups) - 1
        pairs += len(ended)
        parts = _examples([(outcomes[a.id], outcomes[b.id]) for a, b in ended], metric)
        complete = complete and parts is not None
        examples += [(len(ended), parts)] if parts is not None else []
    if of_configurations < LEAST_FREEDOM:
        return None
    # without a second seed all of it is the configurations'
    seeds = within / of_seeds if of_seeds else 0.0
    each = pairs / (pairs - of_seeds)
    configurations = max(between / of_configurations - seeds / each, 0.0)
    rows = sum(n * v for n, v in examples) / pairs if complete else None
    return Spread(configurations**0.5, seeds**0.5, None if rows is None else rows**0.5, pairs)


def _examples(ended: Sequence[tuple[Outcome, Outcome]], metric: str) -> float | None:
    """Variance over examples of the mean difference; None where predictions do not tell it."""
    golds = {run.gold for pair in ended for run in pair if run.predictions is not None}
    if len(golds) != 1 or not (text := golds.pop()):
        return None
    gold = answers_of(metric, text)
    whole = [
        (answers_of(metric, a.predictions), answers_of(metric, b.predictions))
        for a, b in ended
        if a.predictions and b.predictions
    ]
    if not whole or any(len(said) != len(gold) for pair in whole for said in pair):
        return None
    sums, squares = np.zeros(len(gold)), np.zeros(len(gold))
    for ours, none in whole:
        gap = parts(ours, gold, metric) - parts(none, gold, metric)
        sums, squares = sums + gap, squares + gap**2
    runs = len(whole)
    mean = sums / runs
    noise = (squares / runs - mean**2) / (runs - 1) if runs > 1 else np.zeros(len(gold))
    return max(float(mean.var(ddof=1) - noise.mean()), 0.0)


def parts(said: _Answers, gold: _Answers, metric: str) -> _Floats:
    """Each example's part in a score, shape (examples,); their mean is about the score.

    For accuracy whether it is right; for other metrics of n examples the jackknife's pseudo-value,
    n times the score less n - 1 times that without the example (Efron 1982), for Spearman's with
    the ranks that the examples have together.
    """
    if metric == "accuracy":
        return np.asarray(said == gold, np.float64)
    if is_numbers(metric):
        if metric == "spearman":
            said, gold = ranks(said), ranks(gold)
        return _parts_of_correlation(said, gold)
    names, places = np.unique(np.append(said, gold), return_inverse=True)
    ours, true = places[: len(said)], places[len(said) :]
    # F1 is of the second class, whichever of them occur
    count = max(len(names), 2)
    if len(names) == 1 and names[0] > 0:
        ours, true = ours + 1, true + 1
    confusion = np.bincount(true * count + ours, minlength=count**2).reshape(count, count)
    score, number = of_confusion(metric, confusion), len(true)
    values = np.zeros((count, count))
    for place in np.argwhere(confusion):
        less = confusion.copy()
        less[tuple(place)] -= 1
        values[tuple(place)] = number * score - (number - 1) * of_confusion(metric, less)
    return np.asarray(values[true, ours])


def _parts_of_correlation(x: _Floats, y: _Floats) -> _Floats:
    """The jackknife's pseudo-values of Pearson's correlation; 0 where a side is constant."""
    number = len(x)
    x, y = x - x.mean(), y - y.mean()
    if number < 3 or not x.any() or not y.any():
        return np.zeros(number)
    # sums without each example, about the means without it
    shrink = number / (number - 1)
    both, of_x, of_y = x @ y - shrink * x * y, x @ x - shrink * x**2, y @ y - shrink * y**2
    root = np.sqrt(np.clip(of_x, 0, None) * np.clip(of_y, 0, None))
    without = np.divide(both, root, out=np.zeros(number), where=root > 0)
    whole = float((x @ y) / np.sqrt((x @ x) * (y @ y)))
    return np.asarray(number * whole - (number - 1) * without)


def dev_rows(study: Study, folder: StudyFolder, target: str) -> int | None:
    """Dev examples of a target: as pinned, else as its task file says; None where neither does."""
    try:
        pin = read_pin(folder.data_digest(pin_name(target, None)))
    except ConfigError:
        pin = None
    if pin is not None:
        return pin.dev
    task = study.tasks[target]
    if task.size is None:
        return task.dev_size
    return min(task.dev_size or task.size.dev, task.size.dev)


def configuration(cell: Cell) -> tuple[Any, ...]:
    """What the seeds of a configuration have in common."""
    point = cell.hyperparameters
    assert point is not None
    return point.learning_rate, point.batch_size, point.warmup_ratio


def _trial(cell: Cell) -> tuple[Any, ...]:
    return cell.target, cell.hyperparameters
