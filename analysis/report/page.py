"""One self-contained HTML page about a study: opens from a file, needs no network."""

import base64
import hashlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.figures.pictures import PICTURES
from analysis.read.collect import Collection
from analysis.report.choices import HEADS, choices
from analysis.report.costs import hours_in_all
from analysis.report.environments import environments
from analysis.report.facts import Group
from analysis.report.sentences import sentences
from analysis.report.starts import starts
from analysis.stats.degenerate import degenerate, threshold
from analysis.stats.differences import DIFFERENCES, Question
from analysis.stats.outcomes import CONVENTION
from analysis.stats.scope import HEADS as SCOPE_HEADS
from analysis.stats.scope import THIS, THIS_MEANS, Scope, meaning
from analysis.stats.summary import COUNTED_STATUSES, PLACE
from analysis.tables.presentation import (
    TITLES,
    Fields,
    TextTable,
    by_place,
    capitalized,
    in_metric,
    number,
    one_line,
    p_text,
    p_value,
    percent,
    signed,
    source_title,
    span,
    target_title,
)
from stilt.folder import StudyFolder
from stilt.study import Study
from stilt.system.files import write_text
from stilt.system.invocation import spelled

HERE = Path(__file__).parent
ZOOM = 2.0
"""CSS pixels on screen per point of a figure: half as large again as in print."""

SHOWN = 500
"""Cells of a part that the page lists: a browser does not open a hundred thousand rows."""


def write_report(
    collection: Collection,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
    figures: list[Path],
    notes: list[str],
    *,
    pooled: pl.DataFrame | None = None,
    asked: Question | None = None,
    paper: Sequence[TextTable] = (),
    spread: Sequence[TextTable] = (),
    facts: Sequence[Group] = (),
    frames: Mapping[str, pl.DataFrame] | None = None,
) -> Path:
    """Writes ``summary/report.html``; the same study gives the same bytes.

    Args:
        collection: the study; all of its cells are shown, of a source and target with more than
            ``SHOWN`` those that went wrong before others. Links are relative to the report.
            The wide columns are not needed.
        summary: of ``analysis.stats.summary.summarize_cells``.
        differences: of ``analysis.stats.differences.differences_against_none``.
        figures: what ``analysis.figures.pictures.write_figures`` returned.
        notes: lines on what is missing, left out or mixed.
        pooled: of ``analysis.stats.differences.pooled_differences``.
        asked: what ``summary`` and ``differences`` rest on.
        paper: tables of the paper with this study's numbers beside the paper's.
        spread: tables of sources' seeds, variance, flipped answers and power.
        facts: of ``analysis.report.facts.facts``.
        frames: what figures of other frames than the cells were drawn from, by name.

    Returns:
        The report's path.
    """
    study, folder = collection.study, collection.folder
    asked = asked or Question()
    judged = degenerate(asked.definition), threshold(asked.definition)
    cells = collection.cells.with_columns(judged)
    drawn = {**(frames or {}), "cells": cells.filter(pl.col("stage") == "target")}
    own = cells.filter(pl.col("taken_from").is_null())
    arguments = collection.arguments or shlex.quote(folder.path.name)
    scope: Scope = "narrow" if (differences["interval"] == "narrow").all() else "whole"
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent, "signed": signed, "p": p_value, "rate": number, "url": _url,
        "count": lambda value: f"{value:,}", "moment": _moment, "head": capitalized,
    }  # fmt: skip
    environment.globals |= {"span": span, "in_metric": in_metric}
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    page = environment.get_template("page.html.j2").render(
        study=study,
        cells=Counter(cells["status"].to_list()),
        total=len(cells),
        statuses=list(COUNTED_STATUSES),
        words=sentences(
            study,
            summary,
            differences,
            pl.DataFrame(schema=DIFFERENCES) if pooled is None else pooled,
            asked,
        ),
        problems=[(len(line) - len(line.lstrip()), line.strip()) for line in notes],
        parts=list(_parts(study, folder, cells, summary, differences, asked)),
        interim=asked.interim,
        mean_head=SCOPE_HEADS[scope],
        p_head=THIS if asked.interim else SCOPE_HEADS[scope],
        this=THIS,
        this_means=THIS_MEANS,
        scope=meaning(scope) if scope == "whole" else "",
        mixed=scope == "whole" and (differences["interval"] == "narrow").any(),
        figures=_figures(figures, folder, drawn),
        paper=[(table, one_line(table.header)) for table in paper],
        spread=_sections(spread),
        titles=TITLES,
        sources=[
            _cell(folder, row) | {"title": source_title(study, row["source"])}
            for row in collection.sources.iter_rows(named=True)
        ],
        failures=list(_failures(study, folder, cells, collection.sources)),
        environments=environments(folder, cells),
        choices=choices(study, asked.definition),
        starts=starts(study, cells),
        facts=[(group, [(t, one_line(t.header)) for t in group.tables]) for group in facts],
        ended=cells["finished"].max(),
        began=own["started"].min(),
        hours=hours_in_all(collection),
        style=Markup(style),
        script=Markup(script),
        script_digest=_digest(script),
        style_digest=_digest(style),
        heads=HEADS,
        convention=CONVENTION,
        command=f"{spelled('summarize')} {arguments} "
        f"--degenerate {asked.definition} --interval {asked.scope}" + " --interim" * asked.interim,
    )
    path = folder.summary / "report.html"
    write_text(path, page)
    return path


SPREAD = ("pooled", "variance", "flips", "power")
"""Sections on how far runs lie apart, by the table in each."""


def _sections(tables: Sequence[TextTable]) -> list[Fields]:
    """Sections of tables; one on answers that no record holds says so."""
    found = []
    for name in SPREAD:
        shown = [(table, one_line(table.header)) for table in tables if table.name == name]
        if shown or name == "flips":
            found.append({"id": name, "title": TITLES[name], "tables": shown})
    return found


def _parts(
    study: Study,
    folder: StudyFolder,
    cells: pl.DataFrame,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
    asked: Question,
) -> Iterator[Fields]:
    """Rows of the summary, each with its difference from none and with its cells."""
    gaps = by_place(differences)
    nothing = dict.fromkeys(differences.columns)
    groups = cells.partition_by(PLACE, as_dict=True, maintain_order=True)
    for place, row in enumerate(summary.iter_rows(named=True), start=1):
        group = groups[tuple(row[name] for name in PLACE)]
        shown = _first_to_look_at(group)
        target, source = row["target"], row["source"]
        gap = gaps.get((target, source), nothing) if row["stage"] == "target" else nothing
        titles = target_title(study, target), source_title(study, source)
        yield row | {
            # readable, and unlike every other by its number
            "id": re.sub(r"[^a-z0-9.]+", "-", f"part-{place}-{source}-{target}".lower()),
            "target_title": titles[0],
            "source_title": titles[1],
            "target_choice": (target, titles[0]),
            "source_choice": (source, titles[1]),
            "gap": gap,
            "p_text": p_text(gap, interim=asked.interim),
            "p": gap["interim_p_holm" if asked.interim else "p_holm"],
            "narrow": gap["interval"] == "narrow",
            "axes": [name for name in HEADS if group[name].null_count() < len(group)],
            # not a list: tables of a hundred thousand rows would all be in memory at once
            "rows": (_cell(folder, cell) for cell in shown.iter_rows(named=True)),
            "left_out": len(group) - len(shown),
        }


def _first_to_look_at(cells: pl.DataFrame) -> pl.DataFrame:
    """At most ``SHOWN`` cells, in their order; those that went wrong before others."""
    if len(cells) <= SHOWN:
        return cells
    status = pl.col("status")
    healthy = pl.coalesce("degenerate", pl.lit(value=False)).not_()
    kept = cells.with_row_index("place").sort(
        status != "failed", status != "diverged", healthy, "place"
    )
    return kept.head(SHOWN).sort("place").drop("place")


def _cell(folder: StudyFolder, row: Fields) -> Fields:
    """A cell, or a source, with the paths of its files, where there are any."""
    name, file = row["cell"], None
    if row["status"] == "failed":
        file = folder.failure(name)
    elif row["status"] != "missing":
        source = row["stage"] == "source"
        file = folder.source(name) / "result.json" if source else folder.result(name)
    return row | {
        "record": _relative(folder, file) if file else None,
        "log_link": _log(folder, row["log"]),
    }


def _log(folder: StudyFolder, log: str | None) -> str | None:
    """Link to a log file, unless its path leaves the study's folder."""
    if not log or Path(log).is_absolute() or ".." in Path(log).parts:
        return None
    return _relative(folder, folder.path / log)


def _relative(folder: StudyFolder, path: Path) -> str:
    """A path in the study's folder as a link from the report, which lies in ``summary``."""
    return _url(Path(os.path.relpath(path, folder.summary)).as_posix())


def _url(path: str) -> str:
    return quote(path, safe="/-._~@")


def _figures(
    paths: list[Path], folder: StudyFolder, drawn: Mapping[str, pl.DataFrame]
) -> list[Fields]:
    """Each figure with its SVG as a data URI, which can neither load nor run anything."""
    by_name = {path.stem: path for path in paths if path.suffix == ".svg"}
    shown = []
    for picture in PICTURES:
        if (path := by_name.get(picture.name)) is None:
            continue
        content = path.read_bytes()
        size = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', content)
        width, height = (round(float(x) * ZOOM) for x in size.groups()) if size else (600, 400)
        data = base64.b64encode(content).decode("ascii")
        shown.append(
            {
                "name": picture.name,
                "title": picture.title,
                "caption": picture.words(drawn[picture.frame]),
                "width": width,
                "height": height,
                "data": f"data:image/svg+xml;base64,{data}",
                "files": [
                    (file.suffix[1:].upper(), os.path.relpath(file, folder.summary))
                    for file in sorted(paths)
                    if file.stem == picture.name
                ],
            }
        )
    return shown


def _failures(
    study: Study, folder: StudyFolder, cells: pl.DataFrame, sources: pl.DataFrame
) -> Iterator[Fields]:
    """Failed sources, then failed cells, with reason and files."""
    for frame in (sources, cells):
        for row in frame.filter(pl.col("status") == "failed").iter_rows(named=True):
            point = [
                f"{head.lower()} {number(row[name])}"
                for name, head in HEADS.items()
                if row[name] is not None
            ]
            yield _cell(folder, row) | {
                "what": "its own training"
                if row["stage"] == "source"
                else target_title(study, row["target"]),
                "source_title": source_title(study, row["source"]),
                "point": ", ".join(point),
            }


def _moment(value: datetime | None) -> str:
    """A result's time in UTC, to the minute."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "–"


def _digest(text: str) -> str:
    """What the page's security policy calls a script or style by, so that no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
