"""On how many dev examples two runs answer otherwise: of two seeds, and of a source and none.

Two runs can score the same and still answer differently.

Source: Du and Nguyen 2023, Measuring the Instability of Fine-Tuning (pairwise disagreement); Zhou
et al. 2025, Assessing the Macro and Micro Effects of Random Seeds (consistency of single answers).
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from analysis.stats.examples import Answers
from analysis.stats.summary import CONFIGURATION, SEEDS, TRIAL, in_order
from stilt.cell import NONE
from stilt.records.answers import classes_of, is_numbers

FLIPS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("target", "source"), pl.String),
    **dict.fromkeys(("seed_pairs", "seed_pairs_planned"), pl.Int64),
    "seed_flips": pl.Float64,
    **dict.fromkeys(("none_pairs", "none_pairs_planned"), pl.Int64),
    **dict.fromkeys(("none_flips", "gained", "lost"), pl.Float64),
}
"""Columns of a frame of flips."""

_Answers = dict[str, npt.NDArray[np.uint8]]


def flips(cells: pl.DataFrame, answers: Answers | None = None) -> pl.DataFrame:
    """How often single answers change with the seed, and with the source.

    Args:
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        answers: predictions of each target's runs; None where there are none.

    Returns:
        One row per target and source. ``seed_flips``: the share of dev examples that two runs
        answer otherwise which have all but their seeds in common, on average over so many
        ``seed_pairs`` of those that the grid plans; null without one. ``none_flips``: the same of
        a source's run and that of none with equal hyperparameters and seeds; ``gained`` is the
        share that the source alone has right and ``lost`` that it alone has wrong, whose
        difference is the mean difference in accuracy. A diverged run has no answers, and its pairs
        are left out, as are those of runs without predictions or with other gold labels than the
        first, and all of a regression task; which of several seeds of a source is in its name.
    """
    targets = cells.filter(pl.col("stage") == "target")
    rows = []
    said: _Answers = {}
    gold: npt.NDArray[np.uint8] | None = None
    current = None
    for target, source in in_order(targets).select("target", "source").iter_rows():
        if target != current:
            current, (said, gold) = target, _answers(targets, target, answers)
        part = targets.filter(pl.col("target") == target, pl.col("source") == source)
        plain = targets.filter(pl.col("target") == target, pl.col("source") == NONE)
        row = {"target": target, "source": source, **_between_seeds(part, said)}
        if source != NONE:
            row |= _from_none(part, plain, said, gold)
        rows.append(row)
    return pl.DataFrame(rows, schema=FLIPS)


def _answers(
    targets: pl.DataFrame, target: str, answers: Answers | None
) -> tuple[_Answers, npt.NDArray[np.uint8] | None]:
    """Classes that each scored run of a target predicted, and the gold ones."""
    if answers is None:
        return {}, None
    here = targets.filter(pl.col("target") == target)
    if is_numbers(str(here["metric"][0])):
        # numbers differ in nearly every example, which tells nothing
        return {}, None
    scored = here.filter(pl.col("status") == "ok").select("cell")
    known = scored.join(answers(target), on="cell", maintain_order="left").drop_nulls()
    if known.is_empty():
        return {}, None
    gold = known["gold"][0]
    known = known.filter(pl.col("gold") == gold, pl.col("predictions").str.len_bytes() == len(gold))
    found = known.select("cell", "predictions").iter_rows()
    return {cell: classes_of(text) for cell, text in found}, classes_of(gold)


def _between_seeds(part: pl.DataFrame, said: _Answers) -> dict[str, object]:
    shares, planned = [], 0
    for _, some in part.group_by(CONFIGURATION, maintain_order=True):
        cells = some.sort(SEEDS)["cell"].to_list()
        pairs = [(a, b) for place, a in enumerate(cells) for b in cells[place + 1 :]]
        planned += len(pairs)
        shares += [_share(said[a] != said[b]) for a, b in pairs if a in said and b in said]
    return {
        "seed_pairs": len(shares),
        "seed_pairs_planned": planned,
        "seed_flips": float(np.mean(shares)) if shares else None,
    }


def _from_none(
    part: pl.DataFrame, plain: pl.DataFrame, said: _Answers, gold: npt.NDArray[np.uint8] | None
) -> dict[str, object]:
    none = plain.select(*TRIAL, pl.col("cell").alias("none"))
    both = part.join(none, on=TRIAL, nulls_equal=True, maintain_order="left")
    pairs = list(both.select("cell", "none").iter_rows())
    whole = [(said[a], said[b]) for a, b in pairs if a in said and b in said]
    found: dict[str, object] = {"none_pairs": len(whole), "none_pairs_planned": len(pairs)}
    if whole:
        found |= {
            "none_flips": float(np.mean([_share(a != b) for a, b in whole])),
            "gained": float(np.mean([_share((a == gold) & (b != gold)) for a, b in whole])),
            "lost": float(np.mean([_share((a != gold) & (b == gold)) for a, b in whole])),
        }
    return found


def _share(where: npt.NDArray[np.bool_]) -> float:
    return float(where.mean())
