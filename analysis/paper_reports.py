"""The paper's tables and figures, row by row, with a study's numbers beside the paper's own."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from analysis.exports import latex
from analysis.presentation import Section, TextTable, as_markdown, percent, signed
from stilt.config import Frozen, parse, read_toml
from stilt.files import write_text
from stilt.study import Study

Report = Literal["figure2", "figure3", "table2", "table3", "table4", "ablations"]
REPORTS: tuple[Report, ...] = get_args(Report)
MISSING = "–"


class Printed(Frozen):
    """One place of a table of the paper."""

    source: str
    target: str
    printed: tuple[str, ...]
    """The values as printed, one for each of the report's columns."""


class PaperTable(Frozen):
    """A table of the paper."""

    title: str
    where: str
    shows: Literal["best", "difference"]
    stage: Literal["target", "evaluate"]
    columns: tuple[str, ...]
    cells: tuple[Printed, ...]


class Paper(Frozen):
    """The paper's numbers: ``paper.toml``."""

    aliases: dict[str, tuple[str, ...]]
    reports: dict[str, PaperTable]


def read_paper() -> Paper:
    """Reads the paper's numbers."""
    path = Path(__file__).parent / "paper.toml"
    return parse(Paper, read_toml(path), path)


def covered(summary: pl.DataFrame) -> tuple[Report, ...]:
    """Tables of the paper of which a study plans every row, under the paper's names or stand-ins.

    Args:
        summary: ``analysis.summary.summarize_cells``.
    """
    paper = read_paper()
    planned = set(summary.select("stage", "source", "target").iter_rows())

    def plans(stage: str, cell: Printed) -> bool:
        sources, targets = (_named(name, paper.aliases) for name in (cell.source, cell.target))
        return any((stage, s, t) in planned for s in sources for t in targets)

    return tuple(
        name
        for name in REPORTS
        if (table := paper.reports.get(name)) and all(plans(table.stage, c) for c in table.cells)
    )


def report(
    name: Report,
    study: Study,
    cells: pl.DataFrame,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
) -> TextTable:
    """A table or figure of the paper as a table with this study's numbers.

    Args:
        name: which.
        study: for titles.
        cells: ``analysis.columns.FRAME``.
        summary: ``analysis.summary.summarize_cells``.
        differences: ``analysis.summary.differences_against_none``.

    Returns:
        The paper's rows and columns; a dash stands where this study has no number.
    """
    if name == "figure2":
        return _figure2(study, summary)
    if name == "figure3":
        return _figure3(study, cells)
    paper = read_paper()
    return _beside(name, paper.reports[name], paper.aliases, study, summary, differences)


def _beside(
    name: str,
    table: PaperTable,
    aliases: dict[str, tuple[str, ...]],
    study: Study,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
) -> TextTable:
    stood_in: dict[str, str] = {}
    frame = differences if table.shows == "difference" else summary
    if table.shows == "best":
        frame = frame.filter(pl.col("stage") == table.stage)
    sections = []
    for target in dict.fromkeys(cell.target for cell in table.cells):
        rows = []
        for cell in table.cells:
            if cell.target != target:
                continue
            ours = _ours(frame, cell, aliases, table.shows, stood_in)
            theirs = (value.replace("-", "−") for value in cell.printed)
            rows.append((cell.source, *theirs, ours))
        sections.append(Section(_title(study, target), tuple(rows)))
    notes = "".join(f" {there} stands in for {asked}." for asked, there in stood_in.items())
    caption = (
        f"{study.name}: {table.title}, dev, in percent. The paper's numbers: {table.where} "
        f"(RoBERTa-large); here: {study.grid.model.name}.{notes}"
    )
    return TextTable(name, caption, ("source", *table.columns, "here"), tuple(sections))


def _ours(
    frame: pl.DataFrame,
    cell: Printed,
    aliases: dict[str, tuple[str, ...]],
    shows: str,
    stood_in: dict[str, str],
) -> str:
    """This study's value for a place of the table; notes which task stood in for another."""
    for source in _named(cell.source, aliases):
        for target in _named(cell.target, aliases):
            found = frame.filter(pl.col("source") == source, pl.col("target") == target)
            if found.is_empty() or found["best"][0] is None:
                continue
            for asked, there in ((cell.source, source), (cell.target, target)):
                if asked != there:
                    stood_in[asked] = there
            row = found.row(0, named=True)
            if shows == "difference":
                return f"{signed(row['mean'])} / {signed(row['best'])}"
            return percent(row["best"])
    return MISSING


def _named(task: str, aliases: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A task of the paper, and those that may stand in for it."""
    return (task, *aliases.get(task, ()))


def _figure2(study: Study, summary: pl.DataFrame) -> TextTable:
    trained = summary.filter(pl.col("stage") == "target")
    sections = []
    for target in trained["target"].unique(maintain_order=True):
        rows = trained.filter(pl.col("target") == target).iter_rows(named=True)
        lines = [
            (
                row["source"],
                f"{row['scored']} of {row['cells']}",
                *(percent(row[name]) for name in ("min", "mean", "best", "chance")),
            )
            for row in rows
        ]
        sections.append(Section(_title(study, target), tuple(lines)))
    caption = (
        f"{study.name}: min, mean and best dev score over the hyperparameter trials, in percent, "
        f"as annotated in Figure 2 (the paper prints these values in the picture alone); here: "
        f"{study.grid.model.name}. The picture: violins.png, .pdf, .svg."
    )
    header = ("source", "trials", "min", "mean", "best", "chance")
    return TextTable("figure2", caption, header, tuple(sections))


def _figure3(study: Study, cells: pl.DataFrame) -> TextTable:
    # brings matplotlib with it, which no other report needs
    from analysis.sizes import improvements

    gains = improvements(cells, study)
    sections = []
    for target in gains["target"].unique(maintain_order=True):
        rows = gains.filter(pl.col("target") == target).iter_rows(named=True)
        lines = [
            (
                row["task"],
                MISSING if row["rows"] is None else f"{row['rows']:,}",
                str(row["runs"]),
                signed(row["mean"]),
                signed(row["best"]),
            )
            for row in rows
        ]
        sections.append(Section(_title(study, target), tuple(lines)))
    caption = (
        f"{study.name}: improvement over none against the training size of the intermediate task, "
        "in percent points, as drawn in Figure 3 (the paper prints no values); here: "
        f"{study.grid.model.name}. The picture: sizes.png, .pdf, .svg."
    )
    header = ("source", "rows", "trials", "Δ mean", "Δ best")
    return TextTable("figure3", caption, header, tuple(sections))


def _title(study: Study, target: str) -> str:
    task = study.tasks.get(target)
    return task.title if task else target


def write_reports(tables: Sequence[TextTable], folder: Path) -> list[Path]:
    """Writes each report as Markdown, LaTeX and CSV; returns the files' paths."""
    paths = []
    for table in tables:
        texts = {"md": as_markdown(table), "tex": latex([table]), "csv": text_csv([table])}
        for suffix, text in texts.items():
            paths.append(folder / f"{table.name}.{suffix}")
            write_text(paths[-1], text)
    return paths


def text_csv(tables: Sequence[TextTable]) -> str:
    """Tables as they are shown, as CSV with the section in a column of its own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        writer.writerow(("report", "target", *table.header))
        for section in table.sections:
            writer.writerows((table.name, section.title, *row) for row in section.rows)
    return out.getvalue()
