"""Made-up runs whose truth is known: what intervals and p-values are held against.

Used by tests, with few tables and fixed seeds, and by ``benchmarks.coverage``, with many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr
from scipy.stats import multinomial

from analysis.stats.examples import draws
from analysis.stats.inference import clustered_wilson, cochran, mcnemar, symmetry_wealth
from analysis.stats.resampling import best_and_improvement, narrow_mean, whole_mean

SEEDS = 2
"""Of each configuration, as in the paper."""

RISK = 0.25
"""Of a degenerate run, where scores are bimodal."""

FATE = 0.5
"""Share of runs whose fate, degenerate or not, is that of their configuration."""

GOLD = 0.53
"""Share of the majority class, which is what a degenerate run answers."""


@dataclass(frozen=True)
class Setting:
    """A table of one source against ``none``."""

    scores: str
    """``normal``, or ``bimodal``: some runs are degenerate."""
    configurations: int
    examples: int
    source_seeds: int = 1
    source: float = 0.0
    """Standard deviation of what a source's seed changes, on the scale of the model below."""


def answers(rng: np.random.Generator, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Right or wrong: (source seeds, configurations, seeds, examples), and without the first axis.

    An example is answered well where noise is below its ease, plus what configuration, seed and
    source do to it; some examples profit from the source, others suffer, by chance.
    """
    count, rows = setting.configurations, setting.examples
    ease, profit = rng.normal(0.8, 1.0, rows), rng.normal(0, 0.3, rows)
    gold = rng.random(rows) < GOLD
    shared, own = rng.normal(0, 0.05, (2, count))
    sides = []
    for trained, seeds in ((1, setting.source_seeds), (0, 1)):
        level = (shared + trained * own)[None, :, None] + rng.normal(0, 0.06, (seeds, count, SEEDS))
        level = level + trained * rng.normal(0, setting.source, seeds)[:, None, None]
        right = rng.normal(0, 0.7, (*level.shape, rows)) < (
            level[..., None] + ease + trained * profit
        )
        if setting.scores == "bimodal":
            right = np.where(fates(rng, level.shape, RISK, FATE)[..., None], gold, right)
        sides.append(right)
    return sides[0], sides[1][0]


def mean_difference(setting: Setting) -> float:
    """The mean difference that ``answers`` has over everything that it draws."""
    plain = 1 + 0.7**2 + 0.05**2 + 0.06**2
    more = 0.3**2 + 0.05**2 + setting.source**2
    healthy = float(ndtr(0.8 / np.sqrt(plain + more)) - ndtr(0.8 / np.sqrt(plain)))
    return healthy * (1 - RISK if setting.scores == "bimodal" else 1)


def fates(
    rng: np.random.Generator, shape: tuple[int, ...], risk: float, shared: float
) -> np.ndarray:
    """Degenerate or not: a share of the runs has its configuration's fate (last axis: seeds)."""
    fate = np.where(rng.random(shape) < shared, rng.random((*shape[:-1], 1)), rng.random(shape))
    return fate < risk


def whole_covers(rng: np.random.Generator, setting: Setting, resamples: int = 999) -> bool:
    """Whether one table's default interval holds the truth."""
    first, second = answers(rng, setting)
    # columns of the first side: seeds of one source after the other, each beside the same none
    trained = np.moveaxis(first, 0, 1).reshape(setting.configurations, -1, setting.examples)
    plain = np.tile(second, (1, setting.source_seeds, 1))
    times = _drawn(setting.examples, resamples)
    again = [
        (side.astype(np.float32) @ times).astype(np.float64) / setting.examples
        for side in (trained, plain)
    ]
    found = whole_mean(
        trained.mean(axis=-1),
        plain.mean(axis=-1),
        (again[0], again[1]),
        setting.examples,
        np.repeat(np.arange(setting.source_seeds), SEEDS),
    )
    return holds(found, mean_difference(setting))


@cache
def _drawn(examples: int, resamples: int) -> np.ndarray:
    """The same resampled dev sets for every table, which are drawn independently of them."""
    return np.ascontiguousarray(draws(examples, resamples, 0).T)


def narrow_covers_new_examples(rng: np.random.Generator, setting: Setting) -> bool:
    """Whether the narrow interval, read as if it spoke of new dev examples, holds the truth."""
    first, second = answers(rng, setting)
    found = narrow_mean(first[0].mean(axis=-1), second.mean(axis=-1))
    return holds(found, mean_difference(setting))


def scores(
    rng: np.random.Generator, kind: str, configurations: int, gain: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Scores on one fixed dev set, shape (configurations, seeds), of a source and of ``none``."""
    shared = rng.normal(0, 0.01, (configurations, 1))
    shape = (configurations, SEEDS)
    sides = []
    for level in (0.7 + gain, 0.7):
        own = rng.normal(0, 0.008, (configurations, 1)) + rng.normal(0, 0.012, shape)
        side = level + shared + own
        if kind == "bimodal":
            low = GOLD + rng.normal(0, 0.002, shape)
            side = np.where(fates(rng, shape, RISK, FATE), low, side)
        sides.append(side)
    return sides[0], sides[1]


def narrow_covers(rng: np.random.Generator, kind: str, configurations: int) -> bool:
    """Whether the narrow interval holds the truth for its dev set."""
    return holds(narrow_mean(*scores(rng, kind, configurations)), 0.0)


def permutation_rejects(rng: np.random.Generator, kind: str, configurations: int) -> bool:
    """Whether the narrow p is at most .05 though there is no difference."""
    p = narrow_mean(*scores(rng, kind, configurations)).p
    return p is not None and p <= 0.05


def improvement_covers(rng: np.random.Generator, kind: str, configurations: int) -> bool:
    """Whether the interval of the probability of improvement, which is 1/2, holds it."""
    found = best_and_improvement(*scores(rng, kind, configurations), resamples=999)["improvement"]
    return holds(found, 0.5)


def proportion_coverage(risk: float, shared: float, configurations: int) -> float:
    """How often the interval of a share of degenerate runs holds the risk: exact, for two seeds.

    The sum over all tables, by how many configurations have 0, 1 and 2 degenerate runs, of their
    probability under ``fates``.
    """
    both = shared**2 * risk + (1 - shared**2) * risk**2
    one = 2 * (risk - both)
    tables = configuration_counts(configurations)
    chance = multinomial.pmf(tables[:, :3], configurations, [1 - one - both, one, both])
    return float(chance[(tables[:, 3] <= risk) & (risk <= tables[:, 4])].sum())


@cache
def configuration_counts(configurations: int) -> np.ndarray:
    """Configurations with 0, 1 and 2 degenerate runs, and the ends of the interval: all tables."""
    found = []
    for one in range(configurations + 1):
        for both in range(configurations - one + 1):
            none = configurations - one - both
            counts = np.repeat([0, 1, 2], [none, one, both])
            interval = clustered_wilson(counts, np.full(configurations, SEEDS))
            found.append((none, one, both, interval.low, interval.high))
    return np.array(found, dtype=float)


def mcnemar_rejects(rng: np.random.Generator, risk: float, shared: float, number: int) -> bool:
    """Whether two sides of the same risk are told apart."""
    first, second = (fates(rng, (number, SEEDS), risk, shared).sum(axis=1) for _ in range(2))
    return mcnemar(first - second) <= 0.05


def cochran_rejects(rng: np.random.Generator, risk: float, shared: float, number: int) -> bool:
    """Whether three levels of the same risk are told apart."""
    p = cochran(fates(rng, (number, 3, SEEDS), risk, shared).sum(axis=2), resamples=999)
    return p is not None and p <= 0.05


def interim_rejects(rng: np.random.Generator, kind: str, configurations: int) -> bool:
    """Whether the bound is at most .05 at any look, one after each configuration."""
    first, second = scores(rng, kind, configurations)
    gaps = (first - second).mean(axis=1)
    looks = [symmetry_wealth(gaps[:seen]) for seen in range(1, len(gaps) + 1)]
    return max(looks) >= 1 / 0.05


def naive_look_rejects(rng: np.random.Generator, kind: str, configurations: int) -> bool:
    """Whether the final test's p is at most .05 at any of the same looks."""
    first, second = scores(rng, kind, configurations)
    for seen in range(2, configurations + 1):
        p = narrow_mean(first[:seen], second[:seen]).p
        if p is not None and p <= 0.05:
            return True
    return False


def holds(interval: object, truth: float) -> bool:
    """Whether an interval holds a number."""
    return bool(interval.low <= truth <= interval.high)  # type: ignore[attr-defined]


def share(once: Callable[[np.random.Generator], bool], tables: int, seed: int) -> float:
    """How often something is so in tables drawn one after the other."""
    rng = np.random.default_rng(seed)
    return sum(once(rng) for _ in range(tables)) / tables
