"""Paired runs -> differences, each with its interval and p: from ``none``, or between two studies.

A comparison is final when every pair that the grid plans has ended. Before that it has an estimate
and neither interval nor p: whoever looks while runs come in, and stops when it pleases, would be
misled by both. What may be looked at as often as one likes stands beside them: an e-value.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.degenerate import DEFAULT, Definition, degenerate
from analysis.stats.examples import Answers, Examples, Resampled
from analysis.stats.inference import Floats, Interval, holm, mcnemar, symmetry_wealth
from analysis.stats.outcomes import outcome
from analysis.stats.resampling import (
    MeanDifference,
    best_and_improvement,
    narrow_mean,
    whole_mean,
)
from analysis.stats.scope import Scope, generalises
from analysis.stats.summary import CONFIGURATION, SAME_SOURCE, SEEDS, TRIAL, in_order
from stilt.cell import NONE
from stilt.records.measures import range_of


@dataclass(frozen=True)
class Question:
    """What is asked of every comparison."""

    definition: Definition = DEFAULT
    """Of a degenerate run."""
    scope: Scope = "whole"
    """What intervals of mean differences generalise to, where predictions allow it."""
    interim: bool = False
    """Whether what is shown is valid at any look, instead of final or nothing."""
    seed: int = 0
    """Of everything that is drawn."""


DIFFERENCES: dict[str, pl.DataType | type[pl.DataType]] = {
    "target": pl.String,
    "source": pl.String,
    "metric": pl.String,
    **dict.fromkeys(("pairs", "scored", "ended", "configurations", "source_seeds"), pl.Int64),
    "final": pl.Boolean,
    "interval": pl.String,
    "generalises_to": pl.String,
    **{f"{name}{end}": pl.Float64 for name in ("mean", "best") for end in ("", "_low", "_high")},
    **dict.fromkeys(("p", "p_holm"), pl.Float64),
    **dict.fromkeys(("error", "error_runs", "error_examples", "error_sources"), pl.Float64),
    **{f"improvement{end}": pl.Float64 for end in ("", "_low", "_high")},
    **dict.fromkeys(("wins", "ties", "losses", "judged"), pl.Int64),
    **dict.fromkeys(("degenerate", "degenerate_other", "only", "only_other"), pl.Int64),
    **dict.fromkeys(("mcnemar", "mcnemar_holm"), pl.Float64),
    **dict.fromkeys(("interim_e", "interim_p", "interim_p_holm"), pl.Float64),
}
"""Columns of a frame of differences."""


def differences_against_none(
    cells: pl.DataFrame, answers: Answers | None = None, question: Question | None = None
) -> pl.DataFrame:
    """Each source against ``none`` on each target, cells paired by hyperparameters and seed.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        answers: predictions of each target's runs; None where there are none.
        question: what is asked.

    Returns:
        See ``differences``; empty where the grid has no ``none``.
    """
    first, second = _sides(cells)
    return differences(first, second, (), [(cells, answers)] if answers else [], question)


def pooled_differences(
    cells: pl.DataFrame, answers: Answers | None = None, question: Question | None = None
) -> pl.DataFrame:
    """Sources of several seeds against ``none``, all seeds of a source taken together.

    Args:
        cells: see ``differences_against_none``.
        answers: likewise.
        question: likewise.

    Returns:
        See ``differences``: a row for each target, task and size of a source with more than one
        seed, named without the seed; ``p_holm`` is over these rows.
    """
    first, second = _sides(cells)
    sides = [(cells, answers)] if answers else []
    return differences(first, second, (), sides, question, pooled=True)


def differences_between(
    first: pl.DataFrame,
    second: pl.DataFrame,
    answers: tuple[Answers, Answers] | None = None,
    question: Question | None = None,
) -> pl.DataFrame:
    """The first study minus the second, cells paired by source, target, hyperparameters and seed.

    Returns:
        See ``differences``: rows for the sources, under the first one's names, and targets that
        both have. Pairs of one and the same run (``same_runs``) are left out.
    """
    parts = [cells.filter(pl.col("stage") == "target") for cells in (first, second)]
    parts[0] = parts[0].join(same_runs(*parts), on="cell", how="anti", maintain_order="left")
    sides = list(zip((first, second), answers, strict=True)) if answers else []
    return differences(parts[0], parts[1], SAME_SOURCE, sides, question)


def same_runs(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Cells of the first study whose run is also the second's, taken over by one or by both.

    A record that is taken over keeps when and where its run was, and how long it took.
    """
    run = ("started", "finished", "host", "job", "seconds")
    on = (*TRIAL, *SAME_SOURCE, *run)
    theirs = second.select(*on, pl.col("taken_from").alias("taken_other"))
    # a cell without a result has no times
    return (
        first.drop_nulls("finished")
        .join(theirs, on=on, how="inner", nulls_equal=True, maintain_order="left")
        .filter(pl.col("taken_from").is_not_null() | pl.col("taken_other").is_not_null())
    )


def _sides(cells: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    targets = cells.filter(pl.col("stage") == "target")
    none = pl.col("source") == NONE
    return targets.filter(~none), targets.filter(none)


def differences(
    first: pl.DataFrame,
    second: pl.DataFrame,
    also: Sequence[str],
    sides: Sequence[tuple[pl.DataFrame, Answers]] = (),
    question: Question | None = None,
    *,
    pooled: bool = False,
) -> pl.DataFrame:
    """Differences of paired cells, per target and source of the first frame.

    Args:
        first: cells, ``analysis.read.columns.FRAME``.
        second: cells they are paired with.
        also: columns that pairs have in common, besides target, hyperparameters and seeds.
        sides: frames with predictions: one for both, or one for each of them; none without.
        question: what is asked.
        pooled: whether the seeds of a source are taken together; then sources with one are left
            out.

    Returns:
        ``pairs`` of the grid, those that are ``scored`` on both sides, and those that have
        ``ended`` on both, in so many ``configurations``, of so many ``source_seeds``; whether the
        comparison is ``final``, which is when all pairs have ended. ``mean`` of the ended with
        ``_low`` and ``_high``, its ``interval`` (whole or narrow), what that and ``p``
        ``generalises_to``, ``p_holm`` over the table, and standard errors (see
        ``resampling.MeanDifference``). ``best`` with a range, ``improvement`` (probability, with
        ends), ``wins``, ``ties``, ``losses``. Of the pairs ``judged`` on both sides how many are
        degenerate: ``degenerate`` in the first, ``degenerate_other`` in the second, ``only`` and
        ``only_other`` in one alone, with ``mcnemar`` and ``mcnemar_holm``, by configuration. Ends
        and p are null until final. ``interim_e``: the largest e-value so far over configurations
        in the order in which they were done; ``interim_p`` is its inverse, valid at any look,
        ``interim_p_holm`` over the table; for these dev examples and source checkpoints.
    """
    asked = question or Question()
    pairs = _paired(first, second, also, asked.definition)
    if pairs.is_empty():
        return pl.DataFrame(schema=DIFFERENCES)
    examples = Examples(sides, asked.seed) if sides and asked.scope == "whole" else None
    rows = []
    for target, source, part in _comparisons(pairs, pooled=pooled):
        resampled = examples.of(target) if examples else None
        rows.append({"target": target, "source": source, **_difference(part, resampled, asked)})
    frame = pl.DataFrame(rows, schema=DIFFERENCES)
    waiting = int((~frame["final"]).sum())
    return frame.with_columns(
        pl.Series(f"{name}_holm", holm(frame[name].to_list(), more), dtype=pl.Float64)
        for name, more in (("p", waiting), ("mcnemar", waiting), ("interim_p", 0))
    )


def _paired(
    first: pl.DataFrame, second: pl.DataFrame, also: Iterable[str], definition: Definition
) -> pl.DataFrame:
    """Pairs of cells that the grids plan; what the second has is called ``_other``."""
    columns = (*TRIAL, *also)
    taken = ("cell", "score", "outcome", "degenerate", "finished")
    judged = [cells.with_columns(outcome(), degenerate(definition)) for cells in (first, second)]
    return judged[0].join(
        judged[1].select(*columns, *(pl.col(name).alias(f"{name}_other") for name in taken)),
        on=columns,
        how="inner",
        nulls_equal=True,
        maintain_order="left",
    )


def _comparisons(pairs: pl.DataFrame, *, pooled: bool) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Target, source and their pairs, in the grid's order; pooled over the seeds of a source."""
    if pooled:
        pairs = pairs.with_columns(pl.col("source").str.replace(r"#\d+$", ""))
    for target, source in in_order(pairs).select("target", "source").iter_rows():
        part = pairs.filter(pl.col("target") == target, pl.col("source") == source)
        if not pooled or part["source_seed"].n_unique() > 1:
            yield target, source, part


def _difference(
    pairs: pl.DataFrame, resampled: Resampled | None, asked: Question
) -> dict[str, object]:
    rows, columns = _codes(pairs, CONFIGURATION), _codes(pairs, ("source_seed", *SEEDS))
    first, second = (
        _matrix(rows, columns, pairs[name].fill_null(np.nan).to_numpy())
        for name in ("outcome", "outcome_other")
    )
    whole = np.isfinite(first) & np.isfinite(second)
    gaps = (first - second)[whole]
    final = int(whole.sum()) == pairs.height
    ended = pairs.drop_nulls(("outcome", "outcome_other"))
    # a seed without a pair varies nothing yet
    checkpoints = (ended if ended.height else pairs)["source_seed"].n_unique()
    scope: Scope = "narrow" if resampled is None else "whole"
    # before any pair there is nothing that falls short of what was asked
    scope = scope if ended.height else asked.scope
    if resampled is None:
        mean = narrow_mean(first, second, seed=asked.seed)
    else:
        again = tuple(
            resampled.scores[_matrix(rows, columns, at, missing=-1).astype(int)]
            for at in _places(pairs, resampled)
        )
        seeds = _matrix(np.zeros_like(columns), columns, pairs["source_seed"].fill_null(0))[0]
        mean = whole_mean(
            first, second, (again[0], again[1]), resampled.examples, seeds, seed=asked.seed
        )
    found: dict[str, object] = {
        "metric": pairs["metric"][0],
        "pairs": pairs.height,
        "scored": pairs.select("score", "score_other").drop_nulls().height,
        "ended": int(whole.sum()),
        "configurations": int(whole.any(axis=1).sum()),
        "source_seeds": checkpoints,
        "final": final,
        "interval": scope,
        "generalises_to": generalises(scope, checkpoints),
        "wins": int((gaps > 0).sum()),
        "ties": int((gaps == 0).sum()),
        "losses": int((gaps < 0).sum()),
        **_judged(pairs, rows, final=final),
        **_interim(pairs, rows),
    }
    others = best_and_improvement(first, second, seed=asked.seed)
    return found | _known(_possible(mean, pairs["metric"][0]), others, final=final)


def _possible(mean: MeanDifference, metric: str) -> MeanDifference:
    """A mean difference whose interval ends where no difference of two scores can lie.

    Every truth lies within, so the interval misses it as rarely as before.
    """
    if mean.low is None or mean.high is None:
        return mean
    lowest, highest = range_of(metric)
    widest = highest - lowest
    return replace(mean, low=max(mean.low, -widest), high=min(mean.high, widest))


def _known(mean: MeanDifference, others: dict[str, Interval], *, final: bool) -> dict[str, object]:
    """Estimates, and where the comparison is final all that makes a claim of them."""
    found: dict[str, object] = {"mean": mean.value, **{k: v.value for k, v in others.items()}}
    if final:
        found |= {"p": mean.p, "mean_low": mean.low, "mean_high": mean.high}
        found |= {name: value for name, value in asdict(mean).items() if name.startswith("error")}
        for name, interval in others.items():
            found |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return found


def _judged(pairs: pl.DataFrame, rows: npt.NDArray[np.int64], *, final: bool) -> dict[str, object]:
    """Degenerate runs of the pairs that are judged on both sides."""
    both = ("degenerate", "degenerate_other")
    known = pairs.with_columns(pl.Series("row", rows)).drop_nulls(both)
    a, b = known["degenerate"], known["degenerate_other"]
    more = (a.cast(pl.Int64) - b.cast(pl.Int64)).to_numpy()
    by_configuration = np.zeros(int(rows.max()) + 1, np.int64)
    np.add.at(by_configuration, known["row"].to_numpy(), more)
    return {
        "judged": known.height,
        "degenerate": int(a.sum()),
        "degenerate_other": int(b.sum()),
        "only": int((more > 0).sum()),
        "only_other": int((more < 0).sum()),
        "mcnemar": mcnemar(by_configuration) if final and known.height == pairs.height else None,
    }


def _interim(pairs: pl.DataFrame, rows: npt.NDArray[np.int64]) -> dict[str, object]:
    """The e-value over configurations whose pairs have all ended, in the order of their ends."""
    gap = pl.col("outcome") - pl.col("outcome_other")
    done = (
        pairs.with_columns(pl.Series("row", rows))
        .group_by("row", maintain_order=True)
        .agg(
            gap.mean().alias("gap"),
            gap.null_count().alias("open"),
            pl.max_horizontal(pl.col("finished").max(), pl.col("finished_other").max()).alias("at"),
        )
        .filter(pl.col("open") == 0)
        .sort("at", "row", nulls_last=False)
    )
    wealth = symmetry_wealth(done["gap"].to_numpy())
    return {"interim_e": wealth, "interim_p": 1 / wealth}


def _codes(pairs: pl.DataFrame, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Which of the distinct values of some columns each pair has: 0, 1, ..."""
    return pairs.select(pl.struct(names).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _matrix(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    values: npt.ArrayLike,
    missing: float = np.nan,
) -> Floats:
    """Values as (configurations, seeds); ``missing`` where the grid has no such cell."""
    matrix = np.full((int(rows.max()) + 1, int(columns.max()) + 1), missing)
    matrix[rows, columns] = values
    return matrix


def _places(pairs: pl.DataFrame, resampled: Resampled) -> Iterator[list[int]]:
    """Where the scores of each pair's two runs stand, -1 where a run has not ended."""
    sides = resampled.rows[0], resampled.rows[-1]
    for name, rows in zip(("cell", "cell_other"), sides, strict=True):
        yield [rows.get(cell, -1) for cell in pairs[name]]
