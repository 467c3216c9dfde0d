"""Tables as LaTeX: for one column of a two-column paper where they fit it, else for its page."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from analysis.tables.presentation import Texts, TextTable

COLUMN = 3.03
"""Inches: width of one column of a two-column page (ACL style files)."""
PAGE = 6.3
"""Inches: width of such a page's text."""
ROOM = {"table": 72.27 * COLUMN, "table*": 72.27 * PAGE}
"""Points that each environment is wide."""
TALLEST = 60
"""Lines of a table that a page of text has room for, with its caption."""
GAP = 2
"""Points on either side of a column."""
SIZES = (8, 7)
"""Points of the letters, the larger ones first; those of intervals are one less."""
WIDTHS = (("[\\[\\].,:;/()ijl|' -]", 0.31), ("[−+<>=≤≥±×%mwMWΔ@#]", 0.85), ("[A-Z]", 0.74))
"""Characters, and their width in ems of Computer Modern, not less; all others have ``USUAL``."""
USUAL = 0.53


@dataclass(frozen=True)
class _Layout:
    """How a table fits its place."""

    environment: str
    shown: tuple[int, ...]
    """Its columns."""
    stacked: bool = False
    """Whether intervals stand below what they belong to."""
    size: int = SIZES[0]
    """Points of its letters."""


def latex(tables: Sequence[TextTable]) -> str:
    """All tables, to be included in a paper."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(as_latex(table) for table in tables)


def as_latex(table: TextTable) -> str:
    """A table for the booktabs package; what it does without, to fit, is named in a comment."""
    layout = _layout(table)
    heads = [table.header[column] for column in layout.shown]
    width = len(heads)
    left_out = [literal(one.replace("\n", ", ")) for one in table.header if one not in heads]
    above = (_head(_head_lines(table, column, layout)) for column in layout.shown)
    lines = [
        *([f"% without {'; '.join(left_out)}: see the CSV file"] if left_out else []),
        rf"\begin{{{layout.environment}}}[t]",
        rf"\centering{_letters(layout.size)}\setlength{{\tabcolsep}}{{{GAP}pt}}",
        rf"\def\interval#1{{{{{_letters(layout.size - 1)}#1}}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * (width - 1)}@{{}}}}",
        r"\toprule",
        " & ".join(above) + r" \\",
    ]
    for section in table.sections:
        lines += [
            r"\midrule",
            rf"\multicolumn{{{width}}}{{@{{}}l@{{}}}}{{\textbf{{{literal(section.title)}}}}} \\",
        ]
        for row in section.rows:
            first = table.titles.get(row[0], row[0])
            rest = [row[column] for column in layout.shown[1:]]
            lines += _row([first, *rest], stacked=layout.stacked)
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{literal(table.told(heads))}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\end{{{layout.environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _letters(size: int) -> str:
    # by their size: \footnotesize differs between classes
    return rf"\fontsize{{{size}}}{{{1.2 * size:g}}}\selectfont"


def _layout(table: TextTable) -> _Layout:
    """What fits a column with as many of the table's columns as can be; else what fits a page."""
    everything = tuple(range(len(table.header)))
    fewer = [everything]
    # a difference is not printed without its p
    for head in (head for head in table.spare if not re.match(r"p\b", head)):
        gone = table.header.index(head)
        fewer.append(tuple(column for column in fewer[-1] if column != gone))
    tries = [
        one
        for environment in ROOM
        for one in (
            _Layout(environment, everything),
            *(
                _Layout(environment, columns, stacked=True, size=size)
                for columns in fewer
                for size in SIZES
            ),
        )
    ]
    fitting = (
        one
        for one in tries
        if _width(table, one) <= ROOM[one.environment] and _lines(table, one) <= TALLEST
    )
    return next(fitting, _Layout("table*", everything))


def _lines(table: TextTable, layout: _Layout) -> int:
    """Lines that a table's rows take."""
    rows = sum(len(section.rows) for section in table.sections)
    return len(table.sections) + rows * (1 + layout.stacked)


def _width(table: TextTable, layout: _Layout) -> float:
    """Points that a table is wide, about."""
    size = layout.size
    total = 2.0 * GAP * (len(layout.shown) - 1)
    for column in layout.shown:
        widths = [_points(head, size) for head in _head_lines(table, column, layout)]
        for cell in _column(table, column):
            value, interval = _parted(cell) if column else (cell, "")
            parts = _points(value, size), _points(interval and f" {interval}", size - 1)
            widths.append(max(parts) if layout.stacked else sum(parts))
        total += max(widths)
    return max([total, *(1.15 * _points(section.title, size) for section in table.sections)])


def _column(table: TextTable, column: int) -> list[str]:
    """The cells of a column, as they are printed."""
    cells = (row[column] for section in table.sections for row in section.rows)
    return [cell if column else table.titles.get(cell, cell) for cell in cells]


def _points(text: str, size: float) -> float:
    """Width of a text in points, about, and not less."""
    return size * sum(
        next((width for signs, width in WIDTHS if re.match(signs, character)), USUAL)
        for character in text
    )


def _parted(cell: str) -> tuple[str, str]:
    """A number, and its interval where it has one; or a count, and what is counted."""
    value, bracket, rest = cell.partition(" [")
    if bracket:
        return value, f"[{rest}"
    counted = cell.removesuffix(" pairs")
    return counted, "pairs" if counted != cell else ""


def _head_lines(table: TextTable, column: int, layout: _Layout) -> list[str]:
    """The lines of a head; where intervals are stacked, no wider than it must be."""
    head = table.header[column]
    if not layout.stacked:
        return head.split("\n")
    cells = [max(_parted(cell), key=len) for cell in _column(table, column)]
    width = max(map(len, [*cells, " Δ mean"]))
    parts = head.replace(" [", "\n[").replace("hyperparameters", "hyper-\nparameters").split("\n")
    # what stands in brackets is one word
    wrapped = (
        [part] if "[" in part else wrap(part, width, break_long_words=False) for part in parts
    )
    return [line for lines in wrapped for line in lines]


def _head(lines: list[str]) -> str:
    stacked = r" \\ ".join(map(literal, lines))
    return rf"\shortstack[r]{{{stacked}}}" if len(lines) > 1 else stacked


def _row(cells: Sequence[str], *, stacked: bool) -> Iterator[str]:
    """A row; its intervals in smaller letters, in a line of their own where they are stacked."""
    first, *rest = cells
    parts = [_parted(cell) for cell in rest]
    small = [rf"\interval{{{literal(interval)}}}" if interval else "" for _, interval in parts]
    if stacked:
        yield _ended([literal(first), *(literal(value) for value, _ in parts)])
        if any(small):
            yield " & ".join(["", *small]).strip() + r" \\"
        return
    beside = zip(parts, small, strict=True)
    texts = (literal(value) + (f" {under}" if under else "") for (value, _), under in beside)
    yield _ended([literal(first), *texts])


def _ended(cells: Texts | list[str]) -> str:
    row = " & ".join(cells) + r" \\"
    # after the end of a row, a bracket would be its extra space
    return f"{{}}{row}" if row.startswith("[") else row


_SIGNS = str.maketrans(
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
        "±": r"$\pm$",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "√": r"$\surd$",
        "–": r"\textendash{}",
    }
)


def literal(text: str) -> str:
    """Text with what LaTeX would read as commands made literal."""
    # two hyphens would become a dash
    return text.translate(_SIGNS).replace("--", "-{}-")
