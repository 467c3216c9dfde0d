"""Tables of how far runs lie apart: variance components, flipped answers, power."""

from collections.abc import Mapping

import polars as pl

from analysis.spread.variance import CAUSES
from analysis.stats.scope import FIXED, THIS, THIS_MEANS, Scope
from analysis.tables.presentation import (
    Fields,
    Texts,
    TextTable,
    out_of,
    p_value,
    percent,
    sections_by_target,
    target_title,
)
from stilt.study import Study
from stilt.training.power import ALPHA, ASSUMED, POWER


def spread_tables(
    study: Study, frames: Mapping[str, pl.DataFrame], scope: Scope
) -> list[TextTable]:
    """Tables of ``variance``, ``flips`` and ``power``, as ``analysis.spread`` makes the frames."""
    found = []
    if frames["variance"].height:
        found.append(_variance(study, frames["variance"]))
    flips = frames["flips"]
    if flips["seed_flips"].count() + flips["none_flips"].count():
        found.append(_flips(study, flips))
    if frames["power"].height:
        found.append(_power(study, frames["power"], scope))
    return found


def _variance(study: Study, variance: pl.DataFrame) -> TextTable:
    header = ("source", "runs", *(name.replace("_", " ") for name in CAUSES))

    def line(row: Fields) -> Texts:
        return (row["source"], str(row["runs"]), *(percent(row[name], 2) for name in CAUSES))

    caption = (
        f"{study.name}: standard deviation of a run's score, in percentage points, if one thing "
        "alone varied: the source's seed, the hyperparameters, the seed, the dev examples (a dev "
        "set of this size, the same for all runs). A dash: one value, or no predictions, so "
        "nothing tells. Estimates for this grid, without intervals."
    )
    sections = sections_by_target(variance, lambda row: target_title(study, row["target"]), line)
    return TextTable("variance", caption, header, sections)


def _flips(study: Study, flips: pl.DataFrame) -> TextTable:
    header = (
        *("source", "seed pairs", "two seeds", "pairs with none", "source, none"),
        *("source alone\nright", "none alone\nright"),
    )

    def pairs(row: Fields, name: str) -> str:
        count, planned = row[f"{name}_pairs"], row[f"{name}_pairs_planned"]
        return out_of(count, planned) if planned else "–"

    def line(row: Fields) -> Texts:
        return (
            row["source"],
            pairs(row, "seed"),
            percent(row["seed_flips"]),
            pairs(row, "none"),
            *(percent(row[name]) for name in ("none_flips", "gained", "lost")),
        )

    caption = (
        f"{study.name}: percent of the dev examples that two runs answer differently, on average "
        "over pairs of runs. Two seeds: same source and hyperparameters. Source, none: same "
        "hyperparameters and seed; what exceeds the disagreement of two seeds is the source's "
        "doing. Source alone right minus none alone right is the mean difference in accuracy of "
        "these pairs. Diverged runs answer nothing, so their pairs are left out. Estimates for "
        f"{FIXED}, without intervals."
    )
    sections = sections_by_target(flips, lambda row: target_title(study, row["target"]), line)
    return TextTable("flips", caption, header, sections, header[3:4])


def _power(study: Study, power: pl.DataFrame, scope: Scope) -> TextTable:
    header = (
        *("sources", "dev", "pairs", "spread", "smallest Δ\nalone", "smallest Δ\nafter Holm"),
        f"lowest p\n{THIS}",
    )

    def line(row: Fields) -> Texts:
        measured = row["measured_pairs"]
        fixed = " (dev fixed)" if scope == "whole" and row["sd_examples"] is None else ""
        return (
            row["source"] if row["sources"] == 1 else f"{row['sources']} sources",
            "–" if row["dev_rows"] is None else str(row["dev_rows"]),
            f"{row['configurations']} × {number_of(row['pairs'] / row['configurations'])}",
            (f"{measured} pairs" if measured else "assumed") + fixed,
            percent(row["smallest"]),
            percent(row["smallest_holm"]),
            p_value(row["lowest_p_holm"]),
        )

    varied = (
        "configurations, seeds and dev examples vary, each source's checkpoint is fixed"
        if scope == "whole"
        else f"configurations and seeds vary, {FIXED} do not"
    )
    taken = "measured on so many finished pairs"
    if (power["measured_pairs"] == 0).any():
        taken += f", or {ASSUMED}"
    caption = (
        f"{study.name}: smallest mean difference from none, in percentage points, that the planned "
        f"pairs (configurations × seeds) show with a probability of {100 * POWER:.0f} % at "
        f"p < {ALPHA:g} (Card et al. 2020): as a single test, and where Holm's method is at its "
        f"strictest. Model: a t test of independent normal parts; {varied}. Spread: {taken}. A "
        "dash: no test can show any difference, or the dev set's size is not known. "
        f"{THIS_MEANS}"
    )
    about = {
        header[-1]: "Lowest p: what tests that swap configurations (of degenerate runs, --interval "
        "narrow, interim looks) can give at least, after Holm."
    }
    sections = sections_by_target(power, lambda row: target_title(study, row["target"]), line)
    return TextTable("power", caption, header, sections, header[-1:], about)


def number_of(value: float) -> str:
    """Seeds of a configuration; with one decimal where configurations differ in it."""
    return f"{value:.1f}".removesuffix(".0")
