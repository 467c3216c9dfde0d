"""Frames -> tables of text, as they go in a terminal, in Markdown or in LaTeX.

Here, and only here, scores become percentages.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from analysis.degenerate import DEFINITIONS, Definition
from stilt.study import Study

Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Rows that belong to one target."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class TextTable:
    """A caption, column heads, and rows in sections. The first column is text, the rest numbers."""

    name: str
    """Short name, for labels."""
    caption: str
    header: Row
    sections: tuple[Section, ...]


def tables(
    study: Study, frames: Mapping[str, pl.DataFrame], definition: Definition
) -> list[TextTable]:
    """Every table of one study; those without a row are left out.

    Args:
        study: for titles.
        frames: ``summary`` of the cells, ``differences`` from none, main ``effects``, and the
            summary of ``sources`` on their own tasks, as ``analysis.summary`` makes them.
        definition: of a degenerate run, for captions.
    """
    summary, sources, effects = frames["summary"], frames["sources"], frames["effects"]
    found = []
    trained = summary.filter(pl.col("stage") == "target")
    if trained.height:
        found.append(_targets(study, trained, frames["differences"], definition))
    evaluated = summary.filter(pl.col("stage") == "evaluate")
    if evaluated.height:
        caption = f"{study.name}: sources scored without training on the target, dev, in percent."
        found.append(_scores(study, evaluated, "evaluate", caption))
    if sources.height:
        caption = f"{study.name}: each source on its own dev set, in percent."
        found.append(_scores(study, sources, "sources", caption))
    if effects.height:
        found.append(_effects(study, effects, definition))
    return found


def _targets(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, definition: Definition
) -> TextTable:
    gaps = {(row["target"], row["source"]): row for row in differences.iter_rows(named=True)}
    header = (
        *("source", "n", "min", "mean", "best", "sd"),
        *("degenerate [95 %]", "Δ mean [95 %]", "p", "Δ best [95 %]"),
    )
    sections = []
    for target, rows in _by_target(summary):
        lines = []
        for row in rows.iter_rows(named=True):
            gap = gaps.get((target, row["source"]), {})
            lines.append(
                (
                    row["source"],
                    _of(row["scored"], row["cells"]),
                    *(percent(row[name]) for name in ("min", "mean", "best", "sd")),
                    counted(row),
                    estimate(gap, "mean"),
                    p_value(gap.get("p_holm")),
                    estimate(gap, "best"),
                )
            )
        sections.append(Section(_title(study, target, rows["metric"][0]), tuple(lines)))
    caption = (
        f"{study.name}: dev scores in percent over the n runs that have one. Degenerate: "
        f"{DEFINITIONS[definition]}, or a non-finite loss (Wilson interval). Δ: difference from "
        "none over paired runs (bootstrap over configurations). p: permutation test of the mean, "
        "adjusted over the table by Holm's method."
    )
    return TextTable("targets", caption, header, tuple(sections))


def _scores(study: Study, summary: pl.DataFrame, name: str, caption: str) -> TextTable:
    header = ("source", "n", "score", "majority", "chance")
    sections = []
    for target, rows in _by_target(summary):
        lines = tuple(
            (
                row["source"],
                _of(row["scored"], row["cells"]),
                *(percent(row[column]) for column in ("mean", "majority", "chance")),
            )
            for row in rows.iter_rows(named=True)
        )
        sections.append(Section(_title(study, target, rows["metric"][0]), lines))
    return TextTable(name, caption, header, tuple(sections))


def _effects(study: Study, effects: pl.DataFrame, definition: Definition) -> TextTable:
    header = ("level", "degenerate [95 %]", "share", "p", "p Holm")
    sections = []
    for factor in effects["factor"].unique(maintain_order=True):
        rows = effects.filter(pl.col("factor") == factor).iter_rows(named=True)
        lines = []
        for index, row in enumerate(rows):
            tests = (p_value(row["p"]), p_value(row["p_holm"])) if index == 0 else ("", "")
            lines.append(
                (
                    row["level"],
                    counted(row),
                    percent(row["share"]),
                    *tests,
                )
            )
        sections.append(Section(factor.replace("_", " "), tuple(lines)))
    caption = (
        f"{study.name}: degenerate runs ({DEFINITIONS[definition]}, or a non-finite loss) at each "
        "level, all sources and targets pooled, share in percent. p: Cochran's Q, for two levels "
        "McNemar's exact test, over blocks with everything else fixed."
    )
    return TextTable("effects", caption, header, tuple(sections))


def comparison(
    differences: pl.DataFrame, first: str, second: str, definition: Definition
) -> TextTable:
    """Table of ``analysis.summary.differences_between`` for two studies of these names."""
    header = (
        *("source", "n", "Δ mean [95 %]", "p", "Δ best [95 %]", "P(improve) [95 %]"),
        *(f"degenerate {first}", f"degenerate {second}", "McNemar p"),
    )
    sections = []
    for target, rows in _by_target(differences):
        lines = tuple(
            (
                row["source"],
                _of(row["scored"], row["pairs"]),
                estimate(row, "mean"),
                p_value(row["p_holm"]),
                estimate(row, "best"),
                f"{percent(row['improvement'], 0)} {_span(row, 'improvement', 0)}",
                _of(row["degenerate"], row["judged"]),
                _of(row["degenerate_other"], row["judged"]),
                p_value(row["mcnemar_holm"]),
            )
            for row in rows.iter_rows(named=True)
        )
        sections.append(Section(target, lines))
    caption = (
        f"{first} minus {second}, in percentage points over paired runs (bootstrap over "
        f"configurations). Degenerate: {DEFINITIONS[definition]}, or a non-finite loss. p: "
        "permutation test and McNemar's exact test, each adjusted over the table by Holm's method."
    )
    return TextTable("compare", caption, header, tuple(sections))


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent, without the sign; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference of fractions in percentage points, always with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def estimate(row: Mapping[str, Any], name: str) -> str:
    """A difference with its interval: ``+2.1 [0.3, 4.0]``."""
    return f"{signed(row.get(name))} {_span(row, name)}".rstrip()


def counted(row: Mapping[str, Any]) -> str:
    """Degenerate runs of those judged, with the interval of their share in percent."""
    if not row["judged"]:
        return "–"
    ends = f"{100 * row['low']:.0f}, {100 * row['high']:.0f}"
    return f"{row['degenerate']}/{row['judged']} [{ends}]"


def _span(row: Mapping[str, Any], name: str, digits: int = 1) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or high is None:
        return ""
    return f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p-value to two significant digits at most."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def as_rich(table: TextTable) -> RichTable:
    """A terminal table whose sections are bold rows."""
    shown = RichTable(box=SIMPLE_HEAD)
    for index, head in enumerate(table.header):
        shown.add_column(head, justify="right" if index else "left")
    for section in table.sections:
        shown.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            shown.add_row(*(Text(cell) for cell in row))
        shown.add_section()
    return shown


def as_markdown(table: TextTable) -> str:
    """A Markdown table whose sections are bold rows."""
    width = len(table.header)
    lines = [table.caption, "", _markdown(table.header), "|:--|" + "--:|" * (width - 1)]
    for section in table.sections:
        lines.append(_markdown((f"**{section.title}**", *[""] * (width - 1))))
        lines += [_markdown(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_latex(table: TextTable) -> str:
    """A LaTeX table for the booktabs package."""
    width = len(table.header)
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
        _latex_row(table.header),
    ]
    for section in table.sections:
        lines += [
            r"\midrule",
            rf"\multicolumn{{{width}}}{{l}}{{\textbf{{{latex(section.title)}}}}} \\",
        ]
        lines += [_latex_row(row) for row in section.rows]
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "Δ": r"$\Delta$",
        "−": r"$-$",
        "–": r"--",
    }
)


def latex(text: str) -> str:
    """Text with what LaTeX would read as commands made literal."""
    return text.translate(_LATEX)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"


def _by_target(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for target in frame["target"].unique(maintain_order=True):
        yield target, frame.filter(pl.col("target") == target)


def _title(study: Study, target: str, metric: str) -> str:
    name = study.tasks[target].title
    return f"{name} (MCC)" if metric == "mcc" else name


def _of(count: Any, total: Any) -> str:
    return str(count) if count == total else f"{count} of {total}"
