"""Which numbers stand in which table, with the caption that says what they are."""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

import polars as pl

from analysis.stats.degenerate import DEFINITIONS, Definition
from analysis.stats.outcomes import CONVENTION
from analysis.tables.presentation import (
    Fields,
    Section,
    Texts,
    TextTable,
    by_place,
    counted,
    estimate,
    out_of,
    p_value,
    percent,
    probability,
    sections_by_target,
    target_title,
)
from stilt.study import Study


def tables(
    study: Study, frames: Mapping[str, pl.DataFrame], definition: Definition
) -> list[TextTable]:
    """Every table of one study; those without a row are left out.

    Args:
        study: for titles.
        frames: ``summary`` of the cells, ``differences`` from none, main ``effects``, and the
            summary of ``sources`` on their own tasks, as ``analysis.stats.summary`` makes them.
        definition: of a degenerate run, for captions.
    """
    summary, sources, effects = frames["summary"], frames["sources"], frames["effects"]
    found = []
    trained = summary.filter(pl.col("stage") == "target")
    if trained.height:
        found.append(_targets(study, trained, frames["differences"], definition))
        found.append(_details(study, trained, frames["differences"], definition))
    evaluated = summary.filter(pl.col("stage") == "evaluate")
    if evaluated.height:
        caption = (
            f"{study.name}: sources scored without training on the target, dev, in percent: means "
            f"over n seeds of the head. {CONVENTION}"
        )
        found.append(_scores(study, evaluated, "evaluate", caption))
    if sources.height:
        caption = f"{study.name}: each source on its own dev set, in percent. {CONVENTION}"
        found.append(_scores(study, sources, "sources", caption))
    if effects.height:
        found.append(_effects(study, effects, definition))
    return found


def _targets(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, definition: Definition
) -> TextTable:
    gaps = by_place(differences)
    header = (
        *("source", "n", "min", "mean", "best", "sd"),
        *("degenerate [95 %]", "Δ mean [95 %]", "p", "Δ best [95 %]"),
    )

    def line(row: Fields) -> Texts:
        gap = gaps.get((row["target"], row["source"]), {})
        return (
            row["source"],
            out_of(row["ended"], row["cells"]),
            *(percent(row[name]) for name in ("min", "mean", "best", "sd")),
            counted(row),
            estimate(gap, "mean"),
            p_value(gap.get("p_holm")),
            estimate(gap, "best"),
        )

    caption = (
        f"{study.name}: dev scores in percent over the n runs that ended. {CONVENTION} Degenerate: "
        f"{DEFINITIONS[definition]}, or a non-finite loss (Wilson interval). Δ: difference from "
        "none over paired runs (bootstrap over configurations). p: permutation test of the mean, "
        "adjusted over the table by Holm's method."
    )
    spare = ("Δ best [95 %]", "sd", "min", "p")
    return TextTable("targets", caption, header, _sections(study, summary, line), spare)


def _details(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, definition: Definition
) -> TextTable:
    gaps = by_place(differences)
    names = get_args(Definition)
    header = (
        *("source", "median", "IQR", "judged", *names),
        *("pairs", "McNemar p", "P(improve) [95 %]"),
    )

    def line(row: Fields) -> Texts:
        gap = gaps.get((row["target"], row["source"]), {})
        return (
            row["source"],
            percent(row["median"]),
            percent(row["iqr"]),
            str(row["judged"]),
            *(str(row[f"degenerate_{name}"]) for name in names),
            out_of(gap["ended"], row["cells"]) if gap else "–",
            p_value(gap.get("mcnemar_holm")),
            probability(gap, "improvement"),
        )

    caption = (
        f"{study.name}: median and inter-quartile range in percent. {CONVENTION} Runs judged "
        "(scored or diverged) and how many of them are degenerate: "
        + "; ".join(f"{name}, {DEFINITIONS[name]}" for name in names)
        + ". Pairs: cells of the source that ended, as did none with the same hyperparameters and "
        "seed; differences, their p and P(improve) rest on these. "
        f"McNemar p: exact test against none under {definition}, adjusted over the table by "
        "Holm's method. P(improve): probability that a run beats one of none, in percent."
    )
    spare = ("P(improve) [95 %]", "judged")
    return TextTable("details", caption, header, _sections(study, summary, line), spare)


def _scores(study: Study, summary: pl.DataFrame, name: str, caption: str) -> TextTable:
    header = ("source", "n", "score", "majority", "chance")

    def line(row: Fields) -> Texts:
        numbers = (percent(row[column]) for column in ("mean", "majority", "chance"))
        return (row["source"], out_of(row["ended"], row["cells"]), *numbers)

    return TextTable(name, caption, header, _sections(study, summary, line))


def _effects(study: Study, effects: pl.DataFrame, definition: Definition) -> TextTable:
    header = ("level", "degenerate [95 %]", "share", "p", "p Holm")

    def lines(factor: str) -> Iterator[Texts]:
        rows = effects.filter(pl.col("factor") == factor).iter_rows(named=True)
        for index, row in enumerate(rows):
            tests = (p_value(row["p"]), p_value(row["p_holm"])) if index == 0 else ("", "")
            yield (row["level"], counted(row), percent(row["share"]), *tests)

    sections = tuple(
        Section(factor.replace("_", " "), tuple(lines(factor)))
        for factor in effects["factor"].unique(maintain_order=True)
    )
    caption = (
        f"{study.name}: degenerate runs ({DEFINITIONS[definition]}, or a non-finite loss) at each "
        "level, all sources and targets pooled, share in percent. p: Cochran's Q, for two levels "
        "McNemar's exact test, over blocks with everything else fixed."
    )
    return TextTable("effects", caption, header, sections)


def comparison(
    differences: pl.DataFrame, first: str, second: str, definition: Definition
) -> TextTable:
    """Table of ``analysis.stats.summary.differences_between`` for two studies of these names."""
    header = (
        *("source", "n", "Δ mean [95 %]", "p", "Δ best [95 %]", "P(improve) [95 %]"),
        *(f"degenerate {first}", f"degenerate {second}", "McNemar p"),
    )

    def line(row: Fields) -> Texts:
        return (
            row["source"],
            out_of(row["ended"], row["pairs"]),
            estimate(row, "mean"),
            p_value(row["p_holm"]),
            estimate(row, "best"),
            probability(row, "improvement"),
            out_of(row["degenerate"], row["judged"]),
            out_of(row["degenerate_other"], row["judged"]),
            p_value(row["mcnemar_holm"]),
        )

    caption = (
        f"{first} minus {second}, in percentage points over paired runs (bootstrap over "
        f"configurations). Degenerate: {DEFINITIONS[definition]}, or a non-finite loss. p: "
        "permutation test and McNemar's exact test, each adjusted over the table by Holm's method. "
        f"{CONVENTION}"
    )
    spare = ("P(improve) [95 %]", "Δ best [95 %]", "McNemar p")
    sections = sections_by_target(differences, lambda row: str(row["target"]), line)
    return TextTable("compare", caption, header, sections, spare)


def _sections(
    study: Study, summary: pl.DataFrame, line: Callable[[Fields], Texts]
) -> tuple[Section, ...]:
    def title(row: Fields) -> str:
        return target_title(study, row["target"]) + (" (MCC)" if row["metric"] == "mcc" else "")

    return sections_by_target(summary, title, line)
