"""What the planned runs can show, with what finished runs tell of their spread."""

import polars as pl

from analysis.stats.examples import Answers
from analysis.stats.outcomes import outcome
from analysis.stats.scope import Scope
from stilt.folder import StudyFolder
from stilt.study import Study
from stilt.training.power import Outcome, Spread, comparisons, measured, prospects

POWER: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("target", "source"), pl.String),
    **dict.fromkeys(("sources", "pairs", "configurations", "dev_rows", "measured_pairs"), pl.Int64),
    **dict.fromkeys(("sd_configurations", "sd_seeds", "sd_examples"), pl.Float64),
    **dict.fromkeys(("smallest", "smallest_holm", "lowest_p", "lowest_p_holm"), pl.Float64),
}
"""Columns of a frame of power."""


def power(
    study: Study,
    folder: StudyFolder,
    cells: pl.DataFrame,
    answers: Answers | None = None,
    scope: Scope = "whole",
) -> pl.DataFrame:
    """The smallest mean difference that each target's planned comparisons can show.

    Args:
        study: the plan.
        folder: where its rows are pinned.
        cells: ``analysis.read.columns.FRAME``; the wide columns are not needed.
        answers: predictions of each target's runs; None where there are none.
        scope: whether dev examples vary, too.

    Returns:
        One row for each target and plan of its comparisons with none, see
        ``stilt.training.power.Prospect``; scores are fractions. ``source`` names all ``sources`` of
        the row. ``measured_pairs`` is 0 where the spread is assumed.
    """
    spreads: dict[str, Spread] = {}
    planned = comparisons(study)
    for target in dict.fromkeys(one.target for one in planned):
        runs = cells.with_columns(outcome()).filter(
            pl.col("stage") == "target",
            pl.col("target") == target,
            pl.col("outcome").is_not_null(),
        )
        if answers is None:
            said = runs.select("cell").with_columns(predictions=pl.lit(None), gold=pl.lit(None))
        else:
            said = answers(target)
        rows = runs.select("cell", "outcome").join(
            said, on="cell", how="left", maintain_order="left"
        )
        outcomes = {
            row["cell"]: Outcome(row["outcome"], row["predictions"], row["gold"])
            for row in rows.iter_rows(named=True)
        }
        of_target = [one for one in planned if one.target == target]
        found = measured(of_target, outcomes, study.tasks[target].metric)
        if found is not None:
            spreads[target] = found
    return pl.DataFrame(
        [
            {
                "target": one.target,
                "source": ", ".join(one.sources),
                "sources": len(one.sources),
                "pairs": one.pairs,
                "configurations": one.configurations,
                "dev_rows": one.dev,
                "measured_pairs": one.spread.pairs,
                "sd_configurations": one.spread.configurations,
                "sd_seeds": one.spread.seeds,
                "sd_examples": one.spread.examples,
                "smallest": one.smallest,
                "smallest_holm": one.smallest_holm,
                "lowest_p": one.lowest_p,
                "lowest_p_holm": one.lowest_p_holm,
            }
            for one in prospects(study, folder, spreads, narrow=scope == "narrow")
        ],
        schema=POWER,
    )
