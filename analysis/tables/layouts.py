"""Which numbers stand in which table, with the caption that says what they are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

import polars as pl

from analysis.stats.degenerate import DEFINITIONS, Definition
from analysis.stats.differences import Question
from analysis.stats.outcomes import CONVENTION
from analysis.stats.scope import FIXED, HEADS, THIS, THIS_MEANS, Scope, meaning
from analysis.tables.presentation import (
    Fields,
    Section,
    Texts,
    TextTable,
    by_place,
    counted,
    estimate,
    in_metric,
    out_of,
    p_text,
    p_value,
    percent,
    probability,
    sections_by_target,
    target_title,
    titles_of,
)
from analysis.tables.spread import spread_tables
from stilt.study import Study

RANGE = (
    "The range beside Δ best is no confidence interval: it holds 95 % of the differences over "
    "resampled configurations."
)
HOLM = "adjusted over the table by Holm's method"
NOT_YET = (
    "'k of n pairs': some pairs that the grid plans have not ended, so there is neither interval "
    "nor p yet."
)
AT_ANY_LOOK = (
    f"p: a bound that stays valid however often it is looked at (an e-value's inverse), {HOLM}, "
    f"for {FIXED}; 'k of n pairs' tells how far an interim look is from the end."
)


def tables(study: Study, frames: Mapping[str, pl.DataFrame], asked: Question) -> list[TextTable]:
    """Every table of one study; those without a row are left out.

    Args:
        study: for titles.
        frames: ``summary`` of the cells, ``differences`` from none, ``pooled`` over the seeds of
            sources, main ``effects``, and the summary of ``sources`` on their own tasks, as
            ``analysis.stats`` makes them; ``variance``, ``flips`` and ``power``.
        asked: for captions.
    """
    summary, sources, effects = frames["summary"], frames["sources"], frames["effects"]
    found = []
    trained = summary.filter(pl.col("stage") == "target")
    if trained.height:
        found.append(_targets(study, trained, frames["differences"], asked))
        found.append(_details(study, trained, frames["differences"], asked))
    if frames["pooled"].height:
        found.append(_pooled(study, frames["pooled"], asked))
    found += spread_tables(study, frames, asked.scope)
    evaluated = summary.filter(pl.col("stage") == "evaluate")
    if evaluated.height:
        caption = (
            f"{study.name}: sources scored without training on the target, dev, in percent: means "
            f"over n seeds of the head. {CONVENTION} They hold for {FIXED}."
        )
        found.append(_scores(study, evaluated, "evaluate", caption))
    if sources.height:
        caption = (
            f"{study.name}: each source on its own dev set, in percent. {CONVENTION} The scores "
            f"hold for {FIXED}."
        )
        found.append(_scores(study, sources, "sources", caption))
    if effects.height:
        found.append(_effects(study, effects, asked.definition))
    titles = titles_of(study)
    return [replace(table, titles=titles) for table in found]


def _scope(differences: pl.DataFrame) -> Scope:
    """What intervals of mean differences generalise to in a table: the widest of its rows."""
    return "narrow" if (differences["interval"] == "narrow").all() else "whole"


def _mean_caption(scope: Scope) -> str:
    """Sentences on intervals of mean differences."""
    # the words are explained once
    return meaning(scope) if scope == "narrow" else f"{meaning(scope)} {THIS_MEANS}"


def _about_p(scope: Scope, asked: Question) -> dict[str, str]:
    """The sentence on p of mean differences, by its head."""
    p = AT_ANY_LOOK if asked.interim else f"p: that the mean difference is 0, {HOLM}. {NOT_YET}"
    return {_p_head(scope, asked): p}


def _p_head(scope: Scope, asked: Question) -> str:
    return f"p, any look\n{THIS}" if asked.interim else f"p\n{HEADS[scope]}"


def _titled(title: str, scope: Scope, gaps: pl.DataFrame) -> str:
    """A section's title, with a word where its intervals are narrower than the head says."""
    narrower = scope == "whole" and (gaps["interval"] == "narrow").any()
    return f"{title}; Δ mean and p: {THIS}" if narrower else title


def _targets(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, asked: Question
) -> TextTable:
    gaps, scope = by_place(differences), _scope(differences)
    compared = differences.height > 0
    share, mean, best = (
        f"degenerate [95 %]\n{THIS}",
        f"Δ mean [95 %]\n{HEADS[scope]}",
        (f"Δ best [range]\n{THIS}"),
    )
    header = (
        *("source", "n", "min", "mean", "best", "sd", share),
        *((mean, _p_head(scope, asked), best) if compared else ()),
    )

    def line(row: Fields) -> Texts:
        gap = gaps.get((row["target"], row["source"]), {})
        against = (estimate(gap, "mean"), p_text(gap, interim=asked.interim), estimate(gap, "best"))
        return (
            row["source"],
            out_of(row["ended"], row["cells"]),
            *(percent(row[name]) for name in ("min", "mean", "best", "sd")),
            counted(row),
            *(against if compared else ()),
        )

    caption = (
        f"{study.name}: dev scores in percent over the n runs that ended. {CONVENTION} Degenerate: "
        f"{DEFINITIONS[asked.definition]}, or a non-finite loss."
    )
    if compared:
        caption += f" Δ: difference from none over paired runs. {_mean_caption(scope)}"
    else:
        caption += f" {THIS_MEANS}"
    spare = tuple(x for x in (best, "sd", "min", _p_head(scope, asked)) if x in header)
    sections = _sections(study, summary, line, scope, differences)
    about = {**_about_p(scope, asked), best: RANGE} if compared else {}
    return TextTable("targets", caption, header, sections, spare, about)


def _details(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, asked: Question
) -> TextTable:
    gaps = by_place(differences)
    names = get_args(Definition)
    improve = f"P(improve) [95 %]\n{THIS}"
    header = (
        *("source", "median", "IQR", "judged", *names, "missed"),
        *("pairs", f"degenerate p\n{THIS}", improve),
    )

    def line(row: Fields) -> Texts:
        gap = gaps.get((row["target"], row["source"]), {})
        return (
            row["source"],
            percent(row["median"]),
            percent(row["iqr"]),
            str(row["judged"]),
            *(str(row[f"degenerate_{name}"]) for name in names),
            percent(row["missed"], 0),
            out_of(gap["ended"], row["cells"]) if gap else "–",
            p_value(gap.get("mcnemar_holm")),
            probability(gap, "improvement"),
        )

    caption = (
        f"{study.name}: median and inter-quartile range in percent. {CONVENTION} Runs judged "
        "(scored or diverged) and how many of them are degenerate: "
        + "; ".join(map(_defined, names))
        + ". Pairs: cells of the source that ended, as did none with the same "
        "hyperparameters and seed; differences, their p and P(improve) rest on these, and have "
        "neither p nor interval before all have ended. Degenerate p: that runs are as often "
        f"degenerate as those of none under {asked.definition}, configurations swapped with all "
        f"their seeds (with one seed McNemar's exact test), {HOLM}. {THIS_MEANS}"
    )
    about = {
        "missed": "Missed: percent of the runs that learnt nothing that the definition majority "
        "would take for healthy.",
        improve: "P(improve): probability that a run beats one of none, in percent.",
    }
    spare = (improve, "judged", "missed")
    return TextTable(
        "details",
        caption,
        header,
        _sections(study, summary, line),
        spare,
        about,
        repeated=(_defined(asked.definition), f"{asked.definition}, as above"),
    )


def _defined(name: Definition) -> str:
    return f"{name}, {DEFINITIONS[name]}"


def _pooled(study: Study, pooled: pl.DataFrame, asked: Question) -> TextTable:
    scope = _scope(pooled)
    words = "new dev, new sources" if scope == "whole" else THIS
    head = f"p, any look\n{THIS}" if asked.interim else f"p\n{words}"
    header = ("source", "seeds", "n", f"Δ mean [95 %]\n{words}", head)

    def line(row: Fields) -> Texts:
        return (
            row["source"],
            str(row["source_seeds"]),
            out_of(row["ended"], row["pairs"]),
            estimate(row, "mean"),
            p_text(row, interim=asked.interim),
        )

    means = (
        f"'{words}': generalises to new dev examples, configurations, seeds and source seeds."
        if scope == "whole"
        else THIS_MEANS
    )
    if scope == "whole" and asked.interim:
        means += f" {THIS_MEANS}"
    p = AT_ANY_LOOK if asked.interim else f"p: that the mean difference is 0, {HOLM}. {NOT_YET}"
    caption = (
        f"{study.name}: sources trained with several seeds, which are taken together: difference "
        f"from none over paired runs, in percentage points. {means} {p}"
    )
    sections = sections_by_target(
        pooled, lambda row: _titled(target_title(study, row["target"]), scope, _of(pooled, row)),
        line,
    )  # fmt: skip
    return TextTable("pooled", caption, header, sections)


def _of(differences: pl.DataFrame, row: Fields) -> pl.DataFrame:
    return differences.filter(pl.col("target") == row["target"])


def _scores(study: Study, summary: pl.DataFrame, name: str, caption: str) -> TextTable:
    header = ("source", "n", "score", "majority", "chance")
    caption += " Majority: what the best constant answer scores."

    def line(row: Fields) -> Texts:
        numbers = (percent(row[column]) for column in ("mean", "majority", "chance"))
        return (row["source"], out_of(row["ended"], row["cells"]), *numbers)

    return TextTable(name, caption, header, _sections(study, summary, line))


def _effects(study: Study, effects: pl.DataFrame, definition: Definition) -> TextTable:
    header = (
        *("level", f"degenerate [95 %]\n{THIS}", "share"),
        *(f"p\n{THIS}", f"p Holm\n{THIS}"),
    )

    def lines(factor: str) -> Iterator[Texts]:
        rows = effects.filter(pl.col("factor") == factor).iter_rows(named=True)
        for index, row in enumerate(rows):
            tests = (p_value(row["p"]), p_value(row["p_holm"])) if index == 0 else ("", "")
            yield (row["level"], counted(row), percent(row["share"]), *tests)

    sections = tuple(
        Section(factor.replace("_", " "), tuple(lines(factor)))
        for factor in effects["factor"].unique(maintain_order=True)
    )
    meant = f"({DEFINITIONS[definition]}, or a non-finite loss)"
    caption = (
        f"{study.name}: degenerate runs {meant} at each level, all sources and targets pooled, "
        "share in percent. p: that the level makes no difference, levels exchanged within blocks "
        "that have everything else in common, with all seeds of a configuration (of single seeds "
        "McNemar's exact test or Cochran's Q); none before all runs have ended. "
        f"{THIS_MEANS}"
    )
    return TextTable("effects", caption, header, sections, repeated=(meant, "(as above)"))


def comparison(
    differences: pl.DataFrame,
    names: tuple[str, str],
    asked: Question,
    titles: Mapping[str, str] | None = None,
) -> TextTable:
    """Table of ``analysis.stats.differences.differences_between``.

    Args:
        differences: the first less the second.
        names: of both studies.
        asked: for captions.
        titles: what tasks and sources are called in print.
    """
    (first, second), titles = names, titles or {}
    scope = _scope(differences)
    mean, p = f"Δ mean [95 %]\n{HEADS[scope]}", _p_head(scope, asked)
    best, improve = f"Δ best [range]\n{THIS}", f"P(improve) [95 %]\n{THIS}"
    degenerate_p = f"degenerate p\n{THIS}"
    header = (
        *("source", "n", mean, p, best, improve),
        *(f"degenerate {first}", f"degenerate {second}", degenerate_p),
    )

    def line(row: Fields) -> Texts:
        return (
            row["source"],
            out_of(row["ended"], row["pairs"]),
            estimate(row, "mean"),
            p_text(row, interim=asked.interim),
            estimate(row, "best"),
            probability(row, "improvement"),
            out_of(row["degenerate"], row["judged"]),
            out_of(row["degenerate_other"], row["judged"]),
            p_value(row["mcnemar_holm"]),
        )

    caption = (
        f"{first} minus {second}, in percentage points over paired runs. Degenerate: "
        f"{DEFINITIONS[asked.definition]}, or a non-finite loss. {_mean_caption(scope)} "
        f"{CONVENTION}"
    )
    about = {
        **_about_p(scope, asked),
        best: RANGE,
        degenerate_p: "Degenerate p: that both are as often degenerate, configurations swapped "
        f"with all their seeds (with one seed McNemar's exact test), {HOLM}.",
    }
    spare = (improve, best, degenerate_p)

    def title(row: Fields) -> str:
        name = titles.get(row["target"], str(row["target"]))
        return _titled(name, scope, _of(differences, row))

    sections = sections_by_target(differences, title, line)
    return TextTable("compare", caption, header, sections, spare, about, titles)


def _sections(
    study: Study,
    summary: pl.DataFrame,
    line: Callable[[Fields], Texts],
    scope: Scope = "narrow",
    differences: pl.DataFrame | None = None,
) -> tuple[Section, ...]:
    def title(row: Fields) -> str:
        name = target_title(study, row["target"]) + in_metric(row["metric"])
        return name if differences is None else _titled(name, scope, _of(differences, row))

    return sections_by_target(summary, title, line)
