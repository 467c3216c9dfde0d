"""The paper's tables and figures, row by row, with a study's numbers beside the paper's own."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from analysis.flags import Report as Report
from analysis.stats.improvements import improvements
from analysis.stats.outcomes import CONVENTION
from analysis.tables.latex import latex
from analysis.tables.presentation import (
    Fields,
    Section,
    Texts,
    TextTable,
    as_markdown,
    by_place,
    one_line,
    out_of,
    percent,
    sections_by_target,
    signed,
    target_title,
    titles_of,
)
from stilt.config import Frozen, parse, read_toml
from stilt.errors import ConfigError
from stilt.study import Study
from stilt.system.files import write_text

REPORTS: tuple[Report, ...] = get_args(Report)
DASH = "–"


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
        summary: ``analysis.stats.summary.summarize_cells``.
    """
    paper = read_paper()
    rows = summary.select("stage", "source", "target").iter_rows()
    planned = {(stage, _parts(source)[0], target) for stage, source, target in rows}

    def plans(stage: str, cell: Printed) -> bool:
        sources, targets = (_named(name, paper.aliases) for name in (cell.source, cell.target))
        return any((stage, s, t) in planned for s in sources for t in targets)

    return tuple(
        name
        for name in REPORTS
        if (table := paper.reports.get(name)) and all(plans(table.stage, c) for c in table.cells)
    )


def refuse_foreign(name: Report, study: Study) -> None:
    """Refuses a table or figure of the paper of which a study plans nothing.

    Raises:
        ConfigError: It plans none of its cells, by the paper's names or those that stand in for
            them.
    """
    paper = read_paper()
    cells = {(c.stage, _parts(c.source)[0], c.target) for c in study.cells.values()}
    if table := paper.reports.get(name):
        there = any(
            (table.stage, source, target) in cells
            for cell in table.cells
            for source in _named(cell.source, paper.aliases)
            for target in _named(cell.target, paper.aliases)
        )
        sources = ", ".join(dict.fromkeys(cell.source for cell in table.cells))
        targets = ", ".join(dict.fromkeys(cell.target for cell in table.cells))
        untrained = " without training on it" if table.stage == "evaluate" else ""
        lacking = f"cell of a source ({sources}) and a target ({targets}){untrained}"
    elif name == "figure3":
        sizes = {(source.task, source.train_size) for source in study.sources.values()}
        there = len(sizes) > len({task for task, _ in sizes})
        lacking = "source that is trained with several numbers of rows"
    else:
        there = any(stage == "target" for stage, *_ in cells)
        lacking = "cell that is trained on a target"
    if not there:
        raise ConfigError(f"--report {name}: study '{study.name}' has no {lacking}.")


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
        cells: ``analysis.read.columns.FRAME``.
        summary: ``analysis.stats.summary.summarize_cells``.
        differences: ``analysis.stats.summary.differences_against_none``.

    Returns:
        The paper's rows and columns, one row for each seed of a source that has several; a dash
        stands where this study has no number.
    """
    if name == "figure2":
        table = _figure2(study, summary)
    elif name == "figure3":
        table = _figure3(study, cells)
    else:
        paper = read_paper()
        own = paper.reports[name]
        table = _beside(name, own, paper.aliases, study, summary, differences)
    return replace(table, titles=titles_of(study))


def _beside(
    name: str,
    table: PaperTable,
    aliases: dict[str, tuple[str, ...]],
    study: Study,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
) -> TextTable:
    stage = summary.filter(pl.col("stage") == table.stage)
    gaps = by_place(differences)
    stood_in: dict[str, str] = {}
    averaged = False
    sections = []
    for target in dict.fromkeys(cell.target for cell in table.cells):
        rows = []
        for cell in table.cells:
            if cell.target != target:
                continue
            theirs = tuple(value.replace("-", "−") for value in cell.printed)
            found = _found(stage, cell, aliases)
            for row in found:
                _, seed = _parts(row["source"])
                shown = f"{cell.source} (seed {seed})" if seed else cell.source
                gap = gaps.get((row["target"], row["source"]), {})
                rows.append((shown, *theirs, *_ours(table, row, gap)))
                averaged |= table.stage == "evaluate" and row["cells"] > 1
                for asked, there in (
                    (cell.source, _parts(row["source"])[0]),
                    (target, row["target"]),
                ):
                    if asked != there and row["ended"]:
                        stood_in[asked] = there
            if not found:
                rows.append((cell.source, *theirs, DASH, DASH))
        sections.append(Section(target_title(study, target), tuple(rows)))
    notes = [f"{there} stands in for {asked}." for asked, there in stood_in.items()]
    if averaged:
        notes.append("A score of several trials, which are seeds of the head, is their mean.")
    caption = (
        f"{study.name}: {table.title}, dev, in percent. The paper's numbers: {table.where} "
        f"(RoBERTa-large); here: {study.grid.model.name}. {' '.join([*notes, CONVENTION])}"
    )
    header = ("source", *table.columns, "here", "trials")
    return TextTable(name, caption, header, tuple(sections))


def _found(
    summary: pl.DataFrame, cell: Printed, aliases: dict[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    """This study's rows for a place of the table, one for each seed of the source.

    The paper's own tasks come before those that may stand in for them, unless only these have a run
    that ended.
    """
    planned = []
    for source in _named(cell.source, aliases):
        for target in _named(cell.target, aliases):
            rows = [
                row
                for row in summary.filter(pl.col("target") == target).iter_rows(named=True)
                if _parts(row["source"])[0] == source
            ]
            if any(row["ended"] for row in rows):
                return rows
            planned.append(rows)
    return next(filter(None, planned), [])


def _ours(table: PaperTable, row: Fields, gap: Fields) -> tuple[str, str]:
    """This study's value for a place of the table, and how many trials it rests on."""
    if table.shows == "difference":
        value = f"{signed(gap.get('mean'))} / {signed(gap.get('best'))}"
        pairs, cells = gap.get("ended", 0), row["cells"]
        trials = out_of(pairs, cells) + (" pairs" if pairs < cells else "")
        return value if gap else DASH, trials
    # of several fresh heads the best is no score of the source
    shown = row["mean"] if table.stage == "evaluate" else row["best"]
    return percent(shown), out_of(row["ended"], row["cells"])


def _parts(source: str) -> tuple[str, str]:
    """A source's name in tables without its seed, and the seed, empty where it has none.

    See ``stilt.cell.Source.name``. A source of a part of its task's rows keeps their number.
    """
    name, _, seed = source.partition("#")
    return name, seed


def _named(task: str, aliases: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A task of the paper, and those that may stand in for it."""
    return (task, *aliases.get(task, ()))


def _figure2(study: Study, summary: pl.DataFrame) -> TextTable:
    def line(row: Fields) -> Texts:
        numbers = (percent(row[name]) for name in ("min", "mean", "best", "chance"))
        return (row["source"], out_of(row["ended"], row["cells"]), *numbers)

    trained = summary.filter(pl.col("stage") == "target")
    caption = (
        f"{study.name}: min, mean and best dev score over the hyperparameter trials, in percent, "
        f"as annotated in Figure 2 (the paper prints these values in the picture alone); here: "
        f"{study.grid.model.name}. The picture: violins.png, .pdf, .svg. {CONVENTION}"
    )
    header = ("source", "trials", "min", "mean", "best", "chance")
    return TextTable("figure2", caption, header, _sections(study, trained, line))


def _figure3(study: Study, cells: pl.DataFrame) -> TextTable:
    gains = improvements(cells, study)
    seeds = gains["seed"].n_unique() > 1

    def line(row: Fields) -> Texts:
        return (
            row["task"],
            DASH if row["rows"] is None else f"{row['rows']:,}",
            *([str(row["seed"])] if seeds else []),
            out_of(row["runs"], row["planned"]),
            signed(row["mean"]),
            signed(row["best"]),
        )

    caption = (
        f"{study.name}: improvement over none against the training size of the intermediate task, "
        "in percent points, as drawn in Figure 3 (the paper prints no values); here: "
        f"{study.grid.model.name}. The picture: sizes.png, .pdf, .svg. {CONVENTION}"
    )
    header = ("source", "rows", *(["seed"] if seeds else []), "trials", "Δ mean", "Δ best")
    return TextTable("figure3", caption, header, _sections(study, gains, line))


def _sections(
    study: Study, frame: pl.DataFrame, line: Callable[[Fields], Texts]
) -> tuple[Section, ...]:
    return sections_by_target(frame, lambda row: target_title(study, row["target"]), line)


def write_paper_tables(tables: Sequence[TextTable], folder: Path) -> list[Path]:
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
        writer.writerow(("report", "target", *one_line(table.header)))
        for section in table.sections:
            writer.writerows((table.name, section.title, *row) for row in section.rows)
    return out.getvalue()
