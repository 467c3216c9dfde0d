"""Stored predictions of one target's runs -> their scores on resampled dev sets.

All runs of a target see the same resampled sets: what makes an example easy for one run makes it
easy for others, and differences of runs must keep that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.inference import Floats
from analysis.stats.outcomes import outcome
from stilt.records.answers import answers_of as parsed

RESAMPLES = 1_999
"""Dev sets. Only their variance is used, whose root is then off by 1.6 %."""

ROUNDING = 1e-9
"""Scores that differ by less are equal: shares of at most millions of examples, in float64."""

_BUDGET = 8_000_000
"""Predictions that are in memory at once as numbers."""

_RANKS = 2_000_000
"""Ranks that are in memory at once."""

_KEPT = 60_000_000
"""Resampled scores that are kept: of the paper's eight targets and many more runs."""

SECOND = 1
"""The class that F1 is of."""
ROUNDED = 1e-20
"""Product of two variances that rounding makes of equal numbers."""

_Answers = npt.NDArray[Any]
"""Classes of examples, or numbers."""
_Times = npt.NDArray[np.float32]
"""How often each resample has each example."""

Answers = Callable[[str], pl.DataFrame]
"""Target -> ``cell``, ``predictions``, ``gold`` of its runs; of all targets they are too many."""


def answers_of(cells: pl.DataFrame) -> Answers:
    """Predictions that are in memory already, as columns of the frame of cells."""
    return lambda target: cells.filter(pl.col("target") == target).select(
        "cell", "predictions", "gold"
    )


@dataclass(frozen=True)
class Resampled:
    """Runs of one target on the same resampled dev sets."""

    examples: int
    """Dev examples."""
    scores: Floats
    """Shape (runs, resamples)."""
    rows: tuple[dict[str, int], ...]
    """For each frame of runs: cell -> row of ``scores``."""


class Examples:
    """What is known of each target's dev examples, from the predictions of its runs."""

    def __init__(
        self, sides: Sequence[tuple[pl.DataFrame, Answers]], seed: int = 0, kept: int = _KEPT
    ) -> None:
        """Takes frames of cells that share dev examples, each with its predictions."""
        self._sides, self._seed, self._kept = sides, seed, kept
        self._found: dict[str, Resampled | None] = {}

    def of(self, target: str) -> Resampled | None:
        """Runs of a target on resampled dev sets; None where they share no stored examples."""
        if target not in self._found:
            found = self._resample(target)
            # one target's alone where all of them would be too much
            sizes = (known.scores.size for known in [found, *self._found.values()] if known)
            if sum(sizes) > self._kept:
                self._found.clear()
            self._found[target] = found
        return self._found[target]

    def _resample(self, target: str) -> Resampled | None:
        parts = []
        for cells, answers in self._sides:
            runs = cells.filter(
                pl.col("stage") == "target",
                pl.col("target") == target,
                pl.col("status").is_in(["ok", "diverged"]),
            ).select("cell", "status", "metric", outcome())
            parts.append(runs.join(answers(target), on="cell", how="left", maintain_order="left"))
        runs = pl.concat(parts)
        scores = resampled_scores(runs, seed=self._seed)
        if scores is None:
            return None
        rows, start = [], 0
        for part in parts:
            rows.append({cell: start + place for place, cell in enumerate(part["cell"])})
            start += part.height
        length = len(parsed(str(runs["metric"][0]), runs["gold"].drop_nulls()[0]))
        return Resampled(length, scores, tuple(rows))


def resampled_scores(
    runs: pl.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES
) -> Floats | None:
    """Scores of one target's runs on dev sets drawn from its examples with replacement.

    The metric is computed anew on each set, as ``stilt.records.measures`` defines it; a correlation
    is 0 where one side is constant.

    Args:
        runs: ``status``, ``outcome``, ``metric``, ``predictions`` and ``gold`` of runs of one
            target.
        seed: of the resampling.
        resamples: how many dev sets.

    Returns:
        Shape (runs, resamples), NaN where a run has not ended. A tie, which predictions do not
        tell, shifts its run's scores so that they centre on the recorded one; a diverged run
        gives the best constant answer. None where a scored run has no predictions, or where two
        runs have not the same gold labels: then there are no common examples to resample.
    """
    scored = runs.filter(pl.col("status") == "ok").select("outcome", "predictions", "gold")
    golds = scored["gold"].unique()
    if scored.is_empty() or scored.null_count().sum_horizontal().item() or len(golds) != 1:
        return None
    metric = str(runs["metric"][0])
    if not golds[0]:
        return None
    gold = parsed(metric, golds[0])
    score = partial(SCORES[metric], gold=gold)
    times = draws(len(gold), resamples, seed)
    found = np.full((runs.height, resamples), np.nan)
    place = np.flatnonzero((runs["status"] == "ok").to_numpy())
    whole = np.ones_like(times[:1])
    step = max(1, _BUDGET // len(gold))
    for start in range(0, len(place), step):
        some = scored.slice(start, step)
        texts = [parsed(metric, text) for text in some["predictions"]]
        if any(len(text) != len(gold) for text in texts):
            return None
        said = np.stack(texts)
        shift = some["outcome"].to_numpy() - score(said, whole)[:, 0]
        shift[np.abs(shift) < ROUNDING] = 0
        found[place[start : start + step]] = score(said, times) + shift[:, None]
    diverged = (runs["status"] == "diverged").to_numpy()
    if diverged.any():
        found[diverged] = runs["outcome"].to_numpy()[diverged, None]
        constant = _constant(metric, gold)
        # where one answer scores as much as the record says; correlations stay 0
        like = np.abs(runs["outcome"].to_numpy() - score(constant, whole)[0, 0]) < ROUNDING
        found[diverged & like] = score(constant, times)
    return found


def draws(examples: int, resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each example is drawn: shape (resamples, examples)."""
    rng = np.random.default_rng([seed, examples])
    drawn = rng.integers(0, examples, size=(resamples, examples))
    drawn += np.arange(resamples)[:, None] * examples
    counts = np.bincount(drawn.ravel(), minlength=resamples * examples)
    return counts.reshape(resamples, examples).astype(np.float32)


def _constant(metric: str, gold: _Answers) -> _Answers:
    """The best constant answer (1, N) to labels."""
    values, counts = np.unique(gold, return_counts=True)
    answer = SECOND if metric == "f1" else values[counts.argmax()]
    return np.full((1, len(gold)), answer)


def _accuracy(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """Share of right answers of each run (rows of ``said``) in each resample (``times``)."""
    # whole numbers below 2**24, so float32 is exact
    right = (said == gold).astype(np.float32) @ times.T
    return np.asarray(right.astype(np.float64) / times[0].sum(dtype=np.float64))


def _count(answers: _Answers, name: int, times: _Times) -> Floats:
    """How often some answers are of a class, in each resample."""
    return np.asarray(((answers == name).astype(np.float32) @ times.T).astype(np.float64))


def _matthews(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """Matthews correlation of each run in each resample, from the marginals of its confusion."""
    total = times[0].sum(dtype=np.float64)
    right = _accuracy(said, times, gold) * total
    both: Any = 0.0
    of_said: Any = 0.0
    of_gold: Any = 0.0
    for name in _names(said, gold):
        ours, theirs = _count(said, name, times), _count(gold, name, times)
        both, of_said, of_gold = both + ours * theirs, of_said + ours**2, of_gold + theirs**2
    spread = (total**2 - of_said) * (total**2 - of_gold)
    return _ratio(right * total - both, np.sqrt(np.maximum(spread, 0)))


def _f1(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """F1 of the second class."""
    return _ratio(*_halves(said, times, gold, SECOND))


def _macro_f1(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """Mean F1 of the classes that a resample has, as labels or as answers."""
    whole: Any = 0.0
    there: Any = 0
    for name in _names(said, gold):
        above, below = _halves(said, times, gold, name)
        whole, there = whole + _ratio(above, below), there + (below > 0)
    return np.asarray(whole / there)


def _halves(said: _Answers, times: _Times, gold: _Answers, name: int) -> tuple[Floats, Floats]:
    """Numerator and denominator of a class's F1."""
    right = ((said == name) & (gold == name)).astype(np.float32) @ times.T
    return 2 * right.astype(np.float64), _count(said, name, times) + _count(gold, name, times)


def _names(said: _Answers, gold: _Answers) -> list[int]:
    """The classes that are answered or gold."""
    return [int(name) for name in np.unique(np.append(np.unique(said), np.unique(gold)))]


def _pearson(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """Pearson's correlation of each run in each resample, from weighted sums."""
    weights = times.astype(np.float64).T
    total = weights[:, 0].sum()
    # far from 0 the sums of squares would lose what is to be told
    x, y = (np.atleast_2d(side - side.mean(axis=-1, keepdims=True)) for side in (said, gold))
    first, second = x @ weights / total, y @ weights / total
    above = (x * y) @ weights / total - first * second
    spread = (x**2 @ weights / total - first**2) * (y**2 @ weights / total - second**2)
    return _ratio(above, np.sqrt(np.where(spread > ROUNDED, spread, 0)))


def _spearman(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    """Spearman's correlation: Pearson's of the ranks, which each resample has its own of."""
    step = max(1, _RANKS // times.shape[1])
    parts = [times[start : start + step] for start in range(0, len(times), step)]
    return np.hstack([_of_ranks(said, part, gold) for part in parts])


def _of_ranks(said: _Answers, times: _Times, gold: _Answers) -> Floats:
    weights = times.astype(np.float64)
    y = _ranks(gold, times)
    of_y = (weights * y**2).sum(axis=1)
    found = []
    for answers in said:
        x = _ranks(answers, times)
        of_x = (weights * x**2).sum(axis=1)
        found.append(_ratio((weights * x * y).sum(axis=1), np.sqrt(of_x * of_y)))
    return np.stack(found)


def _ranks(values: _Answers, times: _Times) -> Floats:
    """Mean rank, less the mean of all, of N numbers of which each stands so many times.

    Shape (resamples, N).
    """
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(times[:, order].astype(np.float64), starts, axis=1)
    ranks = counts.cumsum(axis=1) - (counts - 1) / 2
    return np.asarray(ranks[:, place] - (counts.sum(axis=1, keepdims=True) + 1) / 2)


def _ratio(above: Floats, below: Floats) -> Floats:
    """A quotient; 0 where it is not defined."""
    there = below > 0
    return np.asarray(np.where(there, above, 0.0) / np.where(there, below, 1.0))


SCORES: dict[str, Callable[..., Floats]] = {
    "accuracy": _accuracy,
    "mcc": _matthews,
    "f1": _f1,
    "macro-f1": _macro_f1,
    "pearson": _pearson,
    "spearman": _spearman,
}
"""Each metric of runs (rows of ``said``) in resamples (rows of ``times``): (runs, resamples)."""
