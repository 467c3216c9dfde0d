"""Stored predictions of one target's runs -> their scores on resampled dev sets.

All runs of a target see the same resampled sets: what makes an example easy for one run makes it
easy for others, and differences of runs must keep that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.inference import Floats
from analysis.stats.outcomes import outcome

RESAMPLES = 1_999
"""Dev sets. Only their variance is used, whose root is then off by 1.6 %."""

ROUNDING = 1e-9
"""Scores that differ by less are equal: shares of at most millions of examples, in float64."""

_BUDGET = 8_000_000
"""Predictions that are in memory at once as numbers."""

_KEPT = 60_000_000
"""Resampled scores that are kept: of the paper's eight targets and many more runs."""

_Bytes = npt.NDArray[np.uint8]

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
        length = len(runs["gold"].drop_nulls()[0])
        return Resampled(length, scores, tuple(rows))


def resampled_scores(
    runs: pl.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES
) -> Floats | None:
    """Scores of one target's runs on dev sets drawn from its examples with replacement.

    The metric is computed anew on each set: accuracy, or the Matthews correlation of K classes
    (Gorodkin 2004; 0 where one side is constant).

    Args:
        runs: ``status``, ``outcome``, ``metric``, ``predictions`` and ``gold`` of runs of one
            target.
        seed: of the resampling.
        resamples: how many dev sets.

    Returns:
        Shape (runs, resamples), NaN where a run has not ended. A tie, which predictions do not
        tell, shifts its run's scores so that they centre on the recorded one; a diverged run
        answers the majority class. None where a scored run has no predictions, or where two runs
        have not the same gold labels: then there are no common examples to resample.
    """
    scored = runs.filter(pl.col("status") == "ok").select("outcome", "predictions", "gold")
    golds = scored["gold"].unique()
    if scored.is_empty() or scored.null_count().sum_horizontal().item() or len(golds) != 1:
        return None
    if not golds[0] or (scored["predictions"].str.len_bytes() != len(golds[0])).any():
        return None
    gold = _classes(golds[0])
    times = draws(len(gold), resamples, seed)
    matthews = runs["metric"][0] == "mcc"
    found = np.full((runs.height, resamples), np.nan)
    place = np.flatnonzero((runs["status"] == "ok").to_numpy())
    step = max(1, _BUDGET // len(gold))
    for start in range(0, len(place), step):
        some = scored.slice(start, step)
        said = _classes("".join(some["predictions"])).reshape(some.height, len(gold))
        score = _matthews if matthews else _accuracy
        shift = some["outcome"].to_numpy() - score(said, gold, np.ones_like(times[:1]))[:, 0]
        shift[np.abs(shift) < ROUNDING] = 0
        found[place[start : start + step]] = score(said, gold, times) + shift[:, None]
    diverged = (runs["status"] == "diverged").to_numpy()
    if diverged.any():
        found[diverged] = runs["outcome"].to_numpy()[diverged, None]
        values, counts = np.unique(gold, return_counts=True)
        constant = _accuracy(np.full((1, len(gold)), values[counts.argmax()]), gold, times)
        # where one answer is right for as many as the record says; MCC stays 0
        like = np.abs(runs["outcome"].to_numpy() - counts.max() / len(gold)) < ROUNDING
        found[diverged & like] = found[diverged & like] if matthews else constant
    return found


def draws(examples: int, resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each example is drawn: shape (resamples, examples)."""
    rng = np.random.default_rng([seed, examples])
    drawn = rng.integers(0, examples, size=(resamples, examples))
    drawn += np.arange(resamples)[:, None] * examples
    counts = np.bincount(drawn.ravel(), minlength=resamples * examples)
    return counts.reshape(resamples, examples).astype(np.float32)


def _classes(text: str) -> _Bytes:
    """One number per example, equal where the classes are; any text is taken."""
    return np.frombuffer(text.encode("ascii", errors="replace"), np.uint8)


def _accuracy(said: _Bytes, gold: _Bytes, times: npt.NDArray[np.float32]) -> Floats:
    """Share of right answers of each run (rows of ``said``) in each resample (``times``)."""
    # whole numbers below 2**24, so float32 is exact
    right = (said == gold).astype(np.float32) @ times.T
    return np.asarray(right.astype(np.float64) / times[0].sum(dtype=np.float64))


def _matthews(said: _Bytes, gold: _Bytes, times: npt.NDArray[np.float32]) -> Floats:
    """Matthews correlation of each run in each resample, from the marginals of its confusion."""
    total = times[0].sum(dtype=np.float64)
    right = _accuracy(said, gold, times) * total
    both, of_said, of_gold = 0.0, 0.0, 0.0
    for name in np.unique(np.append(np.unique(said), np.unique(gold))):
        ours = ((said == name).astype(np.float32) @ times.T).astype(np.float64)
        theirs = ((gold == name).astype(np.float32) @ times.T).astype(np.float64)
        both, of_said, of_gold = both + ours * theirs, of_said + ours**2, of_gold + theirs**2
    spread = (total**2 - of_said) * (total**2 - of_gold)
    there = spread > 0
    above = np.where(there, right * total - both, 0.0)
    return np.asarray(above / np.sqrt(np.where(there, spread, 1.0)))
