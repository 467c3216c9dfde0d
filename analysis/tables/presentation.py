"""Tables of text, and how they look in a terminal and in Markdown.

Here, and only here, scores become percentages.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from stilt.cell import NONE
from stilt.study import Study


def in_metric(metric: str) -> str:
    """What stands behind a target's title: `` (MCC)``; nothing for accuracy."""
    return f" ({NAMES[metric]})" if metric in NAMES else ""


NAMES = {
    "mcc": "MCC",
    "f1": "F1",
    "macro-f1": "macro F1",
    "pearson": "Pearson",
    "spearman": "Spearman",
}
"""Metrics whose name is told."""


def target_title(study: Study, name: str) -> str:
    """A task's name for people."""
    return study.tasks[name].title if name in study.tasks else name


def source_title(study: Study, name: str) -> str:
    """A source's name for people, such as ``HellaSwag-p@2k#12``: task, rows, seed.

    All seeds of a source together are called by what stands before the seed.
    """
    if name == NONE:
        return "None"
    sources = study.sources.values()
    source = study.source_named(name) or next(
        (seed for seed in sources if seed.name.partition("#")[0] == name), None
    )
    if source is None:
        return name
    rest = name.removeprefix(source.task)
    rest = re.sub(r"(?<=@)\d+", lambda found: thousands(int(found[0])), rest)
    return target_title(study, source.task) + rest


def titles_of(study: Study) -> dict[str, str]:
    """A study's names of sources and tasks -> what people call them."""
    sources = [source.name for source in study.sources.values()]
    names = [NONE, *(name.partition("#")[0] for name in sources), *sources]
    return {name: target_title(study, name) for name in study.tasks} | {
        name: source_title(study, name) for name in names
    }


def thousands(count: int) -> str:
    """A count as short as it is exact: 2000 -> 2k, 39905 -> 39.9k, 512 -> 512."""
    return f"{count / 1000:.1f}".removesuffix(".0") + "k" if count >= 1000 else str(count)


def number(value: float) -> str:
    """A hyperparameter as people write it: 5e-06 -> 5e-6, 0.20 -> 0.2; whole numbers in full."""
    if isinstance(value, int):
        return str(value)
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e")


Texts = tuple[str, ...]
"""A line of a table, cell by cell."""


@dataclass(frozen=True)
class Section:
    """Rows that belong to one target."""

    title: str
    rows: tuple[Texts, ...]


TITLES = {
    "targets": "Targets: min, mean, best, difference from none",
    "details": "Targets: median, degenerate runs by definition",
    "pooled": "Source seeds together",
    "variance": "Where the variance comes from",
    "flips": "Flipped answers",
    "power": "Power",
    "evaluate": "Zero-shot",
    "sources": "Sources",
    "effects": "Degenerate runs by hyperparameter",
    "compare": "Difference of two studies",
    "figure2": "Figure 2",
    "figure3": "Figure 3",
    "table2": "Table 2",
    "table3": "Table 3",
    "table4": "Table 4",
    "ablations": "Section 4.2",
}
"""Short titles of tables, by name."""


@dataclass(frozen=True)
class TextTable:
    """A caption, column heads, and rows in sections. The first column is text, the rest numbers."""

    name: str
    """Short name, for labels."""
    caption: str
    header: Texts
    """A head of two lines has a line break in it."""
    sections: tuple[Section, ...]
    spare: Texts = ()
    """Columns that a narrow place does without, the most dispensable first."""
    about: Mapping[str, str] = field(default_factory=dict)
    """Sentences of the caption that explain one column, by its head."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What names of the first column are called in print."""
    repeated: tuple[str, str] | None = None
    """A part of the caption, and what stands for it below a table that has defined it already."""

    def told(self, shown: Collection[str] | None = None, *, first: bool = True) -> str:
        """The caption, with what it says of the shown columns; of all by default.

        Args:
            shown: heads.
            first: whether no table before it has said what is ``repeated``.
        """
        own = (text for head, text in self.about.items() if shown is None or head in shown)
        caption = self.caption
        if self.repeated and not first:
            caption = caption.replace(*self.repeated)
        return " ".join([caption, *own])


Fields = dict[str, Any]
"""Values of a frame's row, by column."""


def by_place(differences: pl.DataFrame) -> dict[tuple[str, str], Fields]:
    """Differences from ``none`` by target and source."""
    return {(row["target"], row["source"]): row for row in differences.iter_rows(named=True)}


def sections_by_target(
    frame: pl.DataFrame, title: Callable[[Fields], str], line: Callable[[Fields], Texts]
) -> tuple[Section, ...]:
    """Makes a section of each target's rows, with the title that its first row gives it."""
    return tuple(
        Section(title(rows.row(0, named=True)), tuple(map(line, rows.iter_rows(named=True))))
        for _, rows in frame.group_by("target", maintain_order=True)
    )


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent, without the sign; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def out_of(count: int, total: int) -> str:
    """A count, with the total where it falls short of it: ``8 of 16``."""
    return str(count) if count == total else f"{count} of {total}"


def signed(value: float | None) -> str:
    """A difference of fractions in percentage points, always with its sign."""
    if value is None:
        return "–"
    text = f"{100 * value:+.1f}"
    # as the paper prints it
    return "±0.0" if text[1:] == "0.0" else text.replace("-", "−")


def estimate(row: Fields, name: str) -> str:
    """A difference with its interval: ``+2.1 [0.3, 4.0]``."""
    return signed(row.get(name)) + _ends(row, name)


def probability(row: Fields, name: str) -> str:
    """A probability in percent with its interval: ``62 [55, 70]``."""
    return percent(row.get(name), 0) + _ends(row, name, 0)


def _ends(row: Fields, name: str, digits: int = 1) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else f" {span(low, high, digits)}"


def counted(row: Fields) -> str:
    """Degenerate runs of those judged, with the interval of their share in percent."""
    if not row["judged"]:
        return "–"
    return f"{row['degenerate']}/{row['judged']} {span(row['low'], row['high'], 0)}"


def span(low: float, high: float, digits: int = 1) -> str:
    """The ends of an interval of fractions, in percent."""
    return f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p-value to two significant digits at most."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def p_text(gap: Fields, *, interim: bool = False) -> str:
    """A comparison's p, over the table; ``k of n pairs`` in its place before it is final.

    Args:
        gap: a row of a frame of differences; empty for no comparison.
        interim: whether to show the bound that holds at any look instead, final or not.
    """
    if not gap or gap["pairs"] is None:
        return "–"
    so_far = "" if gap["final"] else f"{gap['ended']} of {gap['pairs']} pairs"
    if interim:
        bound = p_value(gap["interim_p_holm"])
        return ", ".join(filter(None, (bound if bound[0] == "<" else f"≤{bound}", so_far)))
    return so_far or p_value(gap["p_holm"])


def as_rich(table: TextTable, width: int, *, first: bool = True) -> tuple[RichTable, str]:
    """A terminal table whose sections are bold rows, and its caption, which names what is left out.

    Args:
        table: what is shown; of its columns those that fit, as a number that is cut is another one.
        width: of the terminal, in characters.
        first: whether it is the first in the terminal; the caption of another says less.
    """
    shown = _fitting(table, width)
    drawn = RichTable(box=SIMPLE_HEAD)
    for column in shown:
        side: Literal["left", "right"] = "right" if column else "left"
        drawn.add_column(table.header[column], justify=side, no_wrap=True)
    for section in table.sections:
        drawn.add_row(Text(section.title, style="bold"))
        for row in section.rows:
            drawn.add_row(*(Text(row[column]) for column in shown))
        drawn.add_section()
    caption = table.told([table.header[column] for column in shown], first=first)
    left = [head for column, head in enumerate(one_line(table.header)) if column not in shown]
    if left:
        caption += f" Left out in {width} columns: {'; '.join(left)}."
    return drawn, caption


def _fitting(table: TextTable, width: int) -> list[int]:
    """Columns that fit: the first two, and what there is room for of the others.

    The spare ones go first; then the narrowest that is enough, or the last one where none is.
    """
    heads = zip(*_lines(table.header), strict=True)
    rows = [*heads, *(row for section in table.sections for row in section.rows)]
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(len(table.header))]
    # a section's title stands in the first column
    widths[0] = max(widths[0], *(len(section.title) + 3 for section in table.sections), 0)
    shown = list(range(len(widths)))
    spare = list(map(table.header.index, table.spare))
    # one more for the table's edge
    while (over := sum(widths[column] for column in shown) + 1 - width) > 0 and shown[2:]:
        enough = [column for column in reversed(shown[2:]) if widths[column] >= over]
        gone = spare.pop(0) if spare else min(enough, key=widths.__getitem__, default=shown[-1])
        shown.remove(gone)
    return shown


def _lines(heads: Texts) -> list[Texts]:
    """The lines of each head, equally many for all."""
    parts = [head.split("\n") for head in heads]
    most = max(map(len, parts))
    return [(*part, *[""] * (most - len(part))) for part in parts]


def one_line(heads: Texts) -> Texts:
    """Heads in one line each."""
    return tuple(head.replace("\n", ", ") for head in heads)


def capitalized(head: str) -> str:
    """A head that begins with a capital, unless its first word is a sign such as p or Δ."""
    first = re.split(r"\W", head, maxsplit=1)[0]
    return head[0].upper() + head[1:] if len(first) > 1 and first.islower() else head


def as_markdown(table: TextTable) -> str:
    """A Markdown table whose sections are bold rows."""
    width = len(table.header)
    heads = _markdown(one_line(table.header))
    lines = [plain(table.told()), "", heads, "|:--|" + "--:|" * (width - 1)]
    for section in table.sections:
        lines.append(_markdown((f"**{section.title}**", *[""] * (width - 1))))
        lines += [_markdown(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(plain(cell).replace("|", "\\|") for cell in cells) + " |"


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, no link, no picture."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
