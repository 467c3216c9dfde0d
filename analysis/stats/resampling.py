"""How certain a difference of paired runs is: the mean's variance from each of its causes.

Arrays of pairs have one row per configuration and one column per seed, with NaN where a pair is not
there. A configuration brings all its seeds with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.stats.inference import (
    BUDGET,
    LEVEL,
    RESAMPLES,
    Floats,
    Interval,
    chunks,
    permutation,
    whole_pairs,
    wilson,
)


@dataclass(frozen=True)
class MeanDifference:
    """A mean difference, its interval and p, and where its variance comes from."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Two-sided, that the mean difference is 0. The whole interval leaves 0 out just where it is
    below .05; the narrow one's p is of another test."""
    error: float | None = None
    """Standard error: the three below together, what two of them share counted once."""
    error_runs: float | None = None
    """Of configurations with their seeds alone."""
    error_examples: float | None = None
    """Of dev examples alone; None where they are held fixed."""
    error_sources: float | None = None
    """Of source seeds alone; None where the source's checkpoint is held fixed."""


def narrow_mean(first: Floats, second: Floats, *, seed: int = 0) -> MeanDifference:
    """The mean difference for these dev examples and source checkpoints.

    Args:
        first: scores, shape (configurations, seeds); NaN where absent.
        second: the same, of the runs they are compared with. Only whole pairs count.
        seed: of a permutation test that cannot list all swaps.

    Returns:
        Student's t interval over configurations; p of the permutation test, which is exact, so
        that it may lie on the other side of .05 than the interval. No interval with fewer than two
        configurations. Measured coverage: docs/coverage.md.
    """
    first, second = whole_pairs(first, second)
    if not len(first):
        return MeanDifference()
    value, variance = _by_configuration(first - second)
    if variance is None:
        return MeanDifference(value)
    low, high = _student(value, variance, len(first) - 1)
    error = variance**0.5
    p = permutation(first, second, seed=seed)
    return MeanDifference(value, low, high, p, error, error)


def whole_mean(
    first: Floats,
    second: Floats,
    resampled: tuple[Floats, Floats],
    examples: int,
    source_seed: npt.NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> MeanDifference:
    """The mean difference for new dev examples, configurations and seeds, and source seeds.

    The multi-bootstrap: dev examples are resampled; within every resampled dev set, and within
    the given one, configurations are what varies, and source seeds where there are several. Only
    dev examples are drawn at random: the variance of a mean over resampled configurations is known.

    Args:
        first: see ``narrow_mean``.
        second: likewise.
        resampled: both on the same resampled dev sets, shape (configurations, seeds, resamples);
            see ``analysis.stats.examples.resampled_scores``.
        examples: dev examples.
        source_seed: for each column of ``first`` which source seed it is of; None for one.
        seed: of a permutation test, which serves where nothing varies at all.

    Returns:
        With V the variance from configurations with their seeds (c), from examples (x) and from
        source seeds (s), it is V_c + V_x - V_cx + V_s - V_cs: what two of them vary together is in
        both and counts once (Owen 2007; Cameron, Gelbach and Miller 2011). The interval's half
        width is the root of two squares (Zou and Donner 2008): of Student's t interval for
        configurations and examples, with Satterthwaite's (1946) degrees of freedom, and of the one
        for source seeds, of which there are few. p is 1 less the level at which the interval would
        end at 0. No interval with fewer than two configurations. Measured coverage:
        docs/coverage.md.

    Source: Sellam et al. 2022, The MultiBERTs; Sälevä 2025 on what leaving a cause out does.
    """
    whole = np.isfinite(first) & np.isfinite(second)
    kept = whole.any(axis=1)
    if not kept.any():
        return MeanDifference()
    gaps = np.where(whole, first - second, np.nan)[kept]
    value, of_runs = _by_configuration(gaps)
    if of_runs is None:
        return MeanDifference(value)
    redrawn = np.where(whole[..., None], resampled[0] - resampled[1], np.nan)[kept]
    counts = whole[kept].sum(axis=1).astype(np.float64)
    sums = np.nansum(redrawn, axis=1)
    means = sums.sum(axis=0) / counts.sum()
    of_examples = float(means.var(ddof=1))
    deviations = sums - counts[:, None] * means
    within = (deviations**2).sum(axis=0) * _scale(counts)
    shared = max(float(within.mean()) - of_runs, 0.0)
    fixed = max(of_runs + of_examples - shared, of_runs, of_examples)
    freedom = of_runs**2 / (len(gaps) - 1) + of_examples**2 / max(examples - 1, 1)
    drawn = None if source_seed is None else _by_source_seed(gaps, source_seed)
    added = max(drawn.variance - drawn.shared, 0.0) if drawn else 0.0
    if not fixed + added:
        p = permutation(np.where(whole, first, np.nan), np.where(whole, second, np.nan), seed=seed)
        return MeanDifference(value, value, value, p, 0.0, 0.0, 0.0)
    shares = [(fixed, fixed**2 / freedom)] if fixed else []
    if drawn and added:
        shares.append((added, drawn.number - 1))
    half = _half_width(shares, 1 - LEVEL)
    return MeanDifference(
        value,
        value - half,
        value + half,
        _p_value(shares, abs(value)),
        (fixed + added) ** 0.5,
        of_runs**0.5,
        of_examples**0.5,
        drawn.variance**0.5 if drawn else None,
    )


class _SourceSeeds(NamedTuple):
    """What source seeds change."""

    number: int
    variance: float
    """Of the mean of all, from their own means."""
    shared: float
    """What of it configurations and their seeds bring about."""


def _by_source_seed(gaps: Floats, source_seed: npt.NDArray[np.int64]) -> _SourceSeeds | None:
    """None where fewer than two source seeds have pairs."""
    of_seeds = [gaps[:, source_seed == name] for name in np.unique(source_seed)]
    of_seeds = [some for some in of_seeds if np.isfinite(some).any()]
    number = len(of_seeds)
    if number < 2:
        return None
    variance = float(np.var([np.nanmean(some) for some in of_seeds], ddof=1)) / number
    kept = np.isfinite(gaps).all(axis=1)
    if kept.sum() < 2:
        return _SourceSeeds(number, variance, 0.0)
    means = np.stack([some[kept].mean(axis=1) for some in of_seeds], axis=1)
    own = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    freedom = (len(means) - 1) * (number - 1)
    return _SourceSeeds(number, variance, float((own**2).sum()) / freedom / means.size)


Shares = Sequence[tuple[float, float]]
"""Parts of a variance, each with its degrees of freedom."""


def _half_width(shares: Shares, alpha: float) -> float:
    """Of the interval that misses the truth with probability alpha."""
    from scipy import stats  # takes a second to import

    squares = (variance * stats.t.isf(alpha / 2, degrees) ** 2 for variance, degrees in shares)
    return float(sum(squares) ** 0.5)


def _p_value(shares: Shares, distance: float) -> float:
    """The alpha at which an interval ends at 0, from which the mean lies at a distance."""
    from scipy import optimize

    if not distance:
        return 1.0
    least = math.log(1e-100)
    if _half_width(shares, math.exp(least)) < distance:
        return 0.0
    log_p = optimize.brentq(
        lambda log: _half_width(shares, math.exp(log)) - distance, least, 0.0, xtol=1e-12
    )
    return float(math.exp(log_p))


def _by_configuration(gaps: Floats) -> tuple[float, float | None]:
    """Mean of pairs, and its variance over configurations, which a pair's number weighs."""
    counts = np.isfinite(gaps).sum(axis=1).astype(np.float64)
    sums = np.nansum(gaps, axis=1)
    value = float(sums.sum() / counts.sum())
    if len(gaps) < 2:
        return value, None
    return value, float(((sums - counts * value) ** 2).sum() * _scale(counts))


def _scale(counts: Floats) -> float:
    """From squared deviations of configurations' sums to the variance of the mean of all pairs."""
    number = len(counts)
    return float(number / (number - 1) / counts.sum() ** 2)


def _student(value: float, variance: float, degrees: float) -> tuple[float, float]:
    from scipy import stats  # takes a second to import

    half = float(stats.t.ppf((1 + LEVEL) / 2, degrees)) * variance**0.5
    return value - half, value + half


def best_and_improvement(
    first: Floats, second: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Difference of the best runs, and how likely a run beats another: for these dev examples.

    Args:
        first: see ``narrow_mean``.
        second: likewise.
        seed: of the resampling of configurations.
        resamples: how many; fewer, but at least 999, where there are over 400 configurations.

    Returns:
        ``best``: difference of the best runs with the central 95 % of resampled ones, which is a
        range and no confidence interval: a maximum can never exceed the best run seen, and the
        range held the truth in 86 to 92 % of simulated tables. ``improvement``: probability that
        a run of the first beats a run of the second, ties counted half (Agarwal et al. 2021,
        section 4.3), with Student's t interval from the bootstrap's standard error; where every
        run beats every other, Wilson's for as many trials as configurations. None with fewer than
        two configurations.
    """
    first, second = whole_pairs(first, second)
    configurations = len(first)
    if not configurations:
        return dict.fromkeys(("best", "improvement"), Interval(None, None, None))
    counts = np.isfinite(first).sum(axis=1).astype(np.float64)
    tops = np.nanmax(first, axis=1), np.nanmax(second, axis=1)
    wins = _wins(first, second)

    def statistics(times: Floats) -> tuple[Floats, Floats]:
        """Of resamples; ``times`` each configuration was drawn: (resamples, configurations)."""
        bests = [np.where(times > 0, top, -np.inf).max(axis=1) for top in tops]
        pairs = times @ counts
        return bests[0] - bests[1], ((times @ wins) * times).sum(axis=1) / pairs**2

    best, improvement = (float(v[0]) for v in statistics(np.ones((1, configurations))))
    if configurations < 2:
        return {
            "best": Interval(best, None, None),
            "improvement": Interval(improvement, None, None),
        }
    resamples = min(resamples, max(999, BUDGET // configurations))
    rng, even = np.random.default_rng(seed), np.full(configurations, 1 / configurations)
    parts = [
        statistics(rng.multinomial(configurations, even, size=size).astype(np.float64))
        for size in chunks(resamples, max(1, BUDGET // configurations))
    ]
    bests, improvements = (np.concatenate(draws) for draws in zip(*parts, strict=True))
    low, high = np.quantile(bests, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "best": Interval(best, float(low), float(high)),
        "improvement": _improvement(improvement, improvements, configurations),
    }


def _improvement(value: float, draws: Floats, configurations: int) -> Interval:
    if value in (0.0, 1.0):
        return wilson(round(value * configurations), configurations)
    variance = float(draws.var()) * configurations / (configurations - 1)
    low, high = _student(value, variance, configurations - 1)
    return Interval(value, max(low, 0.0), min(high, 1.0))


def _wins(first: Floats, second: Floats) -> Floats:
    """Trials of configuration c of the first that beat those of d of the second: a sum, (C, C)."""
    a, b = first[:, None, :, None], second[None, :, None, :]
    there = np.isfinite(a) & np.isfinite(b)
    return np.asarray(np.where(there, (a > b) + 0.5 * (a == b), 0.0).sum(axis=(2, 3)))
