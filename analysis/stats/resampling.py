"""How certain a difference of paired runs is: the mean's variance from each of its causes.

Arrays of pairs have one row per configuration and one column per seed, with NaN where a pair is not
there. A configuration brings all its seeds with it.
"""

from dataclasses import dataclass

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
        source seeds (s), it is V_c + V_x - V_cx + V_s: what configurations and examples vary
        together is in both and counts once (Owen 2007; Cameron, Gelbach and Miller 2011). Interval
        and p by Student's t with Satterthwaite's (1946) degrees of freedom. No interval with fewer
        than two configurations. Measured coverage: docs/coverage.md.

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
    variance = max(of_runs + of_examples - shared, of_runs, of_examples)
    freedom = of_runs**2 / (len(gaps) - 1) + of_examples**2 / max(examples - 1, 1)
    of_sources = None
    by_source = [] if source_seed is None else _by_source_seed(gaps, source_seed)
    if len(by_source) > 1:
        of_sources = float(np.var(by_source, ddof=1)) / len(by_source)
        variance += of_sources
        freedom += of_sources**2 / (len(by_source) - 1)
    if not variance:
        p = permutation(np.where(whole, first, np.nan), np.where(whole, second, np.nan), seed=seed)
        return MeanDifference(value, value, value, p, 0.0, 0.0, 0.0)
    from scipy import stats  # takes a second to import

    degrees = variance**2 / freedom
    low, high = _student(value, variance, degrees)
    error = variance**0.5
    return MeanDifference(
        value,
        low,
        high,
        float(2 * stats.t.sf(abs(value) / error, degrees)),
        error,
        of_runs**0.5,
        of_examples**0.5,
        None if of_sources is None else of_sources**0.5,
    )


def _by_source_seed(gaps: Floats, source_seed: npt.NDArray[np.int64]) -> list[float]:
    """Mean of pairs for each source seed that has one."""
    of_seeds = (gaps[:, source_seed == name] for name in np.unique(source_seed))
    return [float(np.nanmean(some)) for some in of_seeds if np.isfinite(some).any()]


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
