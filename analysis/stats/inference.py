"""Statistics of paired trials: what scipy and statsmodels have, wrapped; the rest, written here.

Trials of one configuration with several seeds are not independent. So configurations are what is
resampled or swapped, and a configuration brings all its seeds with it. Arrays of pairs have one row
per configuration and one column per seed, with NaN where a pair is not there (yet).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

LEVEL = 0.95
"""Of every interval."""

RESAMPLES = 9_999
"""Of every bootstrap and of a permutation test that cannot list all swaps."""

BUDGET = 4_000_000
"""Numbers drawn at once: the memory and time of studies with thousands of configurations."""

ASYMPTOTIC = 100
"""Blocks from which on Cochran's Q follows its limit closely enough."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval; None where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None


def wilson(count: float, of: float) -> Interval:
    """A proportion with its Wilson score interval.

    Source: ``statsmodels.stats.proportion.proportion_confint``.
    """
    if not of:
        return Interval(None, None, None)
    from statsmodels.stats.proportion import proportion_confint  # takes a second to import

    low, high = proportion_confint(count, of, alpha=1 - LEVEL, method="wilson")
    return Interval(count / of, float(low), float(high))


def clustered_wilson(counts: Counts, of: Counts) -> Interval:
    """A proportion of runs whose seeds share the fate of their configuration.

    Args:
        counts: of each configuration, how many of its runs it is true of.
        of: how many runs it has.

    Returns:
        Wilson's interval for as many independent runs as tell as much: runs divided by the design
        effect, the variance over configurations against that of independent runs, which lies
        between 1 and the number of seeds. Where all runs agree, so that nothing tells the design
        effect, for as many as there are configurations. With one run per configuration, or one
        configuration, it is ``wilson``. Measured coverage: docs/coverage.md.

    Source: Franco, Little, Louis and Slud 2019, section 2; Korn and Graubard 1998.
    """
    counts, of = counts[of > 0], of[of > 0]
    number, runs, count = len(of), int(of.sum()), int(counts.sum())
    if number < 2 or runs == number:
        return wilson(count, runs)
    share = count / runs
    if count in (0, runs):
        effective = float(number)
    else:
        clustered = ((counts - share * of) ** 2).sum() * number / (number - 1) / runs**2
        effect = clustered / (share * (1 - share) / runs)
        effective = runs / min(max(effect, 1.0), runs / number)
    found = wilson(share * effective, effective)
    return Interval(share, found.low, found.high)


def mcnemar(differences: Counts) -> float:
    """Exact two-sided p-value that paired runs are equally often degenerate.

    Args:
        differences: of each configuration, by how many of its pairs more the first is degenerate
            than the second.

    Returns:
        If neither is more prone, each configuration's runs, all seeds together, might as well have
        been the other's: the share of all ways to swap them that give a sum as far from 0. With
        one seed per configuration it is McNemar's exact test.
    """
    swapped = np.ones(1)
    for step in np.abs(differences[differences != 0]).astype(int).tolist():
        longer = np.zeros(len(swapped) + 2 * step)
        longer[: len(swapped)] += swapped / 2
        longer[2 * step :] += swapped / 2
        swapped = longer
    middle = (len(swapped) - 1) // 2
    far = np.abs(np.arange(len(swapped)) - middle) >= abs(int(differences.sum()))
    return float(min(swapped[far].sum(), 1.0))


def cochran(outcomes: Counts, *, seed: int = 0, resamples: int = RESAMPLES) -> float | None:
    """p-value that a factor has no effect on how many runs are degenerate, from complete blocks.

    Args:
        outcomes: one row per block (everything but factor and seeds held fixed), one column per
            level; how many of the block's runs at that level, all seeds together, are degenerate.
        seed: of the resampling.
        resamples: how many.

    Returns:
        If the level does not matter, the levels of a block might as well be exchanged: for two
        levels ``mcnemar``; for more the share of random exchanges within blocks whose column sums
        differ as much. Of more than 100 blocks that differ within themselves it is the tail of the
        chi-squared distribution, of the statistic that for single runs is Cochran's Q. None with
        fewer than two blocks or levels.
    """
    blocks, levels = outcomes.shape
    if blocks < 2 or levels < 2:
        return None
    if levels == 2:
        return mcnemar(outcomes[:, 0] - outcomes[:, 1])
    differing = outcomes[outcomes.min(axis=1) < outcomes.max(axis=1)].astype(np.float64)
    if not len(differing):
        return 1.0

    def spread(sums: Floats) -> Floats:
        return np.asarray(((sums - sums.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))

    seen = float(spread(differing.sum(axis=0)))
    if len(differing) > ASYMPTOTIC:
        statistic = (levels - 1) / levels * seen / differing.var(axis=1).sum()
        from scipy import stats  # takes a second to import

        return float(stats.chi2.sf(statistic, levels - 1))
    rng, hits = np.random.default_rng(seed), 0
    for size in chunks(resamples, max(1, BUDGET // differing.size)):
        several = np.broadcast_to(differing, (size, *differing.shape))
        sums = rng.permuted(several, axis=2).sum(axis=1)
        hits += int((spread(sums) >= seen - 1e-9).sum())
    return (hits + 1) / (resamples + 1)


def holm(p_values: list[float | None], waiting: int = 0) -> list[float | None]:
    """p-values adjusted for their number by Holm's method; None stays None and is not counted.

    Args:
        p_values: of the tests that can be made.
        waiting: tests that will be made but cannot yet: they count as if their p were 1, so that
            what is adjusted now can only become smaller.
    """
    from statsmodels.stats.multitest import multipletests  # takes a second to import

    known = [p for p in p_values if p is not None]
    if not known:
        return list(p_values)
    adjusted = iter(multipletests([*known, *[1.0] * waiting], method="holm")[1].tolist())
    return [None if p is None else next(adjusted) for p in p_values]


def permutation(
    first: Floats, second: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> float | None:
    """Two-sided p-value that the mean difference of pairs is 0.

    If it is 0, each configuration's trials, all seeds together, might as well have been the
    other's. Exact where the swaps can all be listed (up to 13 configurations), else from
    ``resamples`` random ones and the one that was seen; None with fewer than two configurations.
    (As ``scipy.stats.permutation_test``, which takes a hundred times as long.)
    """
    first, second = whole_pairs(first, second)
    number = len(first)
    if number < 2:
        return None
    sums = np.nansum(first - second, axis=1)
    seen = abs(float(sums.sum())) * (1 - 1e-12)
    if 2**number <= resamples:
        swaps = 1.0 - 2.0 * ((np.arange(2**number)[:, None] >> np.arange(number)) & 1)
        return float((np.abs(swaps @ sums) >= seen).mean())
    rng, hits = np.random.default_rng(seed), 0
    for size in chunks(resamples, max(1, BUDGET // number)):
        swaps = 1.0 - 2.0 * rng.integers(0, 2, size=(size, number), dtype=np.int8)
        hits += int((np.abs(swaps @ sums) >= seen).sum())
    return (hits + 1) / (resamples + 1)


def symmetry_wealth(differences: Floats) -> float:
    """Largest e-value so far that differences, in the order in which they came, are symmetric.

    If a source makes no difference, each configuration's runs might as well have been the other's,
    so a difference is as likely to be positive as negative, whatever came before. A gambler who
    bets on signs has then no more at the end than at the beginning, on average; whoever looks as
    often as they like sees a wealth of w or more with a probability of at most 1/w (Ville 1939).

    Args:
        differences: mean difference of each configuration that has all its pairs.

    Returns:
        The largest wealth of a gambler who begins with 1; at least 1. Its inverse is a p-value that
        stays valid however often it is looked at. The stake on each sign is what would have been
        best under a normal distribution with the mean and the variance of the differences before
        (the first counts for nothing), shrunk towards 0.

    Source: e-tests of symmetry, exp(bx) / cosh(bx), of Vovk and Wang 2024; betting by a predictable
    plug-in, of Waudby-Smith and Ramdas 2024.
    """
    wealth = largest = 1.0
    for place in range(1, len(differences)):
        before = differences[:place]
        # as if one more difference, of the usual size and without a sign, had come
        usual = float((before**2).sum())
        variance = max(usual / place - (before.sum() / (place + 1)) ** 2, 1e-12)
        bet = float(np.clip(before.sum() / (place + 1) / variance * differences[place], -20, 20))
        # exp(b) / cosh(b) in a form that cannot overflow
        wealth *= 2 / (1 + float(np.exp(-2 * bet)))
        largest = max(largest, wealth)
    return largest


def expected_best(scores: Floats, *, replacement: bool = False) -> Floats:
    """Expected best dev score against the number of trials.

    Args:
        scores: dev scores of the n trials of a finite grid, any order; no NaN.
        replacement: whether a trial may be drawn twice.

    Returns:
        Shape (n,): the expected best of 1, 2, ..., n trials. Without replacement it is exact for a
        search that tries k different points of this grid, ``sum x_(i) C(i-1, k-1) / C(n, k)``, and
        ends at the best score. With replacement it is the estimator of Dodge et al. (2019),
        ``sum x_(i) ((i/n)^k - ((i-1)/n)^k)``.

    Caveats: Dodge's estimator is biased low for a search over a continuous space, and bootstrap
    bands around it cover badly (Tang et al. 2020); the exact one is unbiased for random search and
    noisier (Dodge et al. 2021). Both speak of dev scores, and of this grid: a grid is not a sample
    of the space around it, and near k = n little is averaged.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    n = len(ordered)
    ranks = np.arange(1, n + 1)
    expected = np.empty(n)
    if replacement:
        share = np.arange(n + 1) / n if n else np.zeros(1)
        power = np.ones(n + 1)
        for k in range(n):
            power *= share
            expected[k] = np.diff(power) @ ordered
        return expected
    # from one k to the next by the ratio of the binomials: none of them can overflow
    weights = np.full(n, 1 / n) if n else ordered
    for k in range(1, n + 1):
        expected[k - 1] = weights @ ordered / weights.sum()
        weights *= np.maximum(ranks - k, 0) * ((k + 1) / (k * max(n - k, 1)))
    return expected


def whole_pairs(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Pairs of which one is absent become absent; configurations without a pair are dropped."""
    whole = np.isfinite(first) & np.isfinite(second)
    kept = whole.any(axis=1)
    return (np.where(whole, first, np.nan)[kept], np.where(whole, second, np.nan)[kept])


def chunks(total: int, size: int) -> list[int]:
    """A total in parts of at most a size."""
    return [min(size, total - start) for start in range(0, total, size)]
