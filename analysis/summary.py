"""What is made of a study's results: frames, exports, figures and a report."""

from stilt.system.command import while_read

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from analysis.flags import Format, Report, Wanted
from analysis.notes.comparability import refuse_other_metrics, refuse_other_rows, remarks
from analysis.notes.gaps import describe
from analysis.notes.history import title
from analysis.notes.narrowing import narrowed
from analysis.notes.prospects import hopeless, unanswered
from analysis.read.collect import Collection, collect
from analysis.read.columns import CELLS, NARROW
from analysis.read.places import placed
from analysis.read.pool import collect_pool
from analysis.read.predictions import NAME as PREDICTIONS
from analysis.read.predictions import write_predictions
from analysis.report.bundle import Summarized, require_place, write_bundle
from analysis.report.costs import update_accounting
from analysis.report.facts import Group, facts
from analysis.report.sentences import sentences
from analysis.spread.flips import flips
from analysis.spread.power import power
from analysis.spread.variance import variance_components
from analysis.stats.degenerate import degenerate, threshold
from analysis.stats.differences import (
    Question,
    differences_against_none,
    differences_between,
    pooled_differences,
    same_runs,
)
from analysis.stats.effects import main_effects
from analysis.stats.examples import Answers
from analysis.stats.summary import best_against_trials, summarize_cells
from analysis.tables import exports, metadata
from analysis.tables.latex import latex
from analysis.tables.layouts import comparison, tables
from analysis.tables.paper import covered, refuse_foreign, text_csv, write_paper_tables
from analysis.tables.paper import report as paper_report
from analysis.tables.presentation import TextTable, titles_of
from analysis.tables.terminal import say, show
from stilt.errors import ConfigError
from stilt.folder import StudyFolder, find_studies, find_study, read_studies, read_study
from stilt.study import Study
from stilt.system.files import write_text
from stilt.system.units import counted

SPREAD = ("variance", "flips", "power")
"""Frames of how far runs lie apart."""


@dataclass(frozen=True)
class Summary:
    """One study with everything that is derived from its cells."""

    collection: Collection
    asked: Question
    notes: list[str]
    frames: dict[str, pl.DataFrame]
    """``summary``, ``differences``, ``pooled``, ``variance``, ``flips``, ``power``, ``effects``,
    ``sources``, ``expected_best``."""
    reports: tuple[Report, ...] = ()
    """Tables and figures of the paper that were asked for."""

    def tables(self) -> list[TextTable]:
        """The tables that are shown."""
        return self._titled(tables(self.collection.study, self.frames, self.asked))

    def paper(self) -> list[TextTable]:
        """The paper's tables: all that the study plans whole, and those that were asked for."""
        return self._paper(dict.fromkeys((*covered(self.frames["summary"]), *self.reports)))

    def _paper(self, names: Iterable[Report]) -> list[TextTable]:
        frames = self.frames["summary"], self.frames["differences"]
        study, cells = self.collection.study, self.collection.cells
        return self._titled([paper_report(name, study, cells, *frames) for name in names])

    def _titled(self, found: Sequence[TextTable]) -> list[TextTable]:
        """Tables whose captions say which revision of the study they are of."""
        said = title(self.collection.study)
        return [replace(t, caption=f"{t.caption} {said}" if said else t.caption) for t in found]

    def shown(self) -> list[TextTable]:
        """All tables, or only those of the paper that were asked for."""
        return self._paper(self.reports) if self.reports else [*self.tables(), *self.paper()]

    def show(self, *, whole: bool) -> None:
        """Prints tables, what they show in sentences, and notes.

        Args:
            whole: all tables where none was asked for; else the first alone.
        """
        shown, study = self.shown(), self.collection.study
        printed = shown if self.reports or whole else shown[:1]
        frames = self.frames["summary"], self.frames["differences"], self.frames["pooled"]
        words, notes = sentences(study, *frames, self.asked, brief=True), self.notes
        if more := len(shown) - len(printed):
            place = self.collection.folder.summary / "summary.md"
            notes = [*notes, f"{counted(more, 'more table')}: with --all, or in {place}"]
        show(printed, notes, study.name, [] if self.reports else words)

    def facts(self) -> tuple[Group, ...]:
        """What others need to know to judge or repeat the study."""
        return facts(self.collection, self.frames["summary"], self.asked)

    def content(self) -> dict[str, Any]:
        """What summary.json holds: all but a row for every number of trials."""
        frames = {name: frame for name, frame in self.frames.items() if name != "expected_best"}
        return exports.json_content(self.collection, frames, self.notes, self.asked)


def summarize(
    studies: Sequence[str],
    asked: Question,
    *,
    root: Path,
    format: Format,
    whole: bool,
    report: Sequence[Report],
    compare: tuple[str, str] | None,
    pool: str | None,
    figures: bool,
    answers: Wanted,
    out: Path | None,
    bundle: Path | None,
    anonymous: bool,
) -> int:
    """Does what ``analysis/summarize.py`` is asked for; returns the exit code.

    Args are the command's flags, see there; ``asked`` is what is asked of every comparison.
    """
    if bundle is not None:
        if pool is not None or compare or len(studies) != 1:
            raise ConfigError(f"--bundle {bundle}: name one study, without --pool and --compare.")
        require_place(bundle)
    if anonymous and bundle is None:
        raise ConfigError("--anonymous: goes with --bundle.")
    if pool is not None and (compare or len(studies) < 2):
        only = "goes without --compare" if compare else "name the studies, two or more"
        raise ConfigError(f"--pool {pool}: {only}.")
    if compare and answers.predictions:
        raise ConfigError("--predictions: goes without --compare.")
    if compare:
        both = placed([find_study(name, root) for name in compare], out)
        if len(both) < 2:
            raise ConfigError(f"--compare {' '.join(compare)}: one study, named twice.")
        return _compare(both[0], both[1], asked, format)
    if studies:
        named = placed([find_study(name, root) for name in studies], out)
        found, problems = {folder: read_study(folder) for folder in named}, list[str]()
    else:
        found, problems = read_studies(placed(find_studies(root), out))
    if report and pool is None:
        found, others = _of_reports(found, report, named=bool(studies))
        problems += others
    for problem in problems:
        sys.stderr.write(f"left out: {problem}\n")
    summaries: list[Summary] = []
    paths: list[Path] = []
    if pool is not None:
        together = collect_pool(pool, found, root, out)
        for name in report:
            refuse_foreign(name, together.study)
        collections: Iterable[Collection] = [together]
    else:
        # one after the other: a study's frames go before those of the next one come
        collections = (
            collect(folder, study, NARROW, into=folder.summary / CELLS)
            for folder, study in found.items()
        )
    for collection in collections:
        summaries.append(summary_of(collection, asked, report))
        # before anything is printed: a reader that has enough must not cost a file
        paths += write(summaries[-1], figures=figures)
        if answers.predictions:
            left_out = write_predictions(collection, collection.folder.summary / CELLS, answers)
            sys.stderr.writelines(f"{line}\n" for line in left_out)
            paths.append(collection.folder.summary / PREDICTIONS)
    if bundle is not None:
        for folder, study in found.items():
            derive = partial(_derived, asked, report, figures)
            kept = write_bundle(folder, study, bundle, derive, anonymous=anonymous)
            sys.stderr.writelines(f"not made anonymous: {line}\n" for line in kept)
        paths.append(bundle)
    with while_read():
        _print(format, summaries, whole=whole)
    say(paths)
    return 0


def _of_reports(
    found: Mapping[StudyFolder, Study], report: Sequence[Report], *, named: bool
) -> tuple[dict[StudyFolder, Study], list[str]]:
    """Studies that have cells of tables of the paper, and why others are left out.

    Raises:
        ConfigError: One that was named has none of them, or no study has.
    """
    fitting, problems = {}, []
    for folder, study in found.items():
        try:
            for name in report:
                refuse_foreign(name, study)
        except ConfigError as error:
            if named or len(found) == 1:
                raise
            problems.append(str(error))
        else:
            fitting[folder] = study
    if found and not fitting:
        raise ConfigError(
            f"--report {' '.join(report)}: none of {len(found)} studies has its cells."
        )
    return fitting, problems


def summary_of(
    collection: Collection,
    asked: Question | None = None,
    reports: Sequence[Report] = (),
) -> Summary:
    """Derives every frame of a study; cells.parquet is written when it is collected."""
    asked = asked or Question()
    cells, answers = collection.cells, answers_in(collection.folder.summary / CELLS)
    frames = {
        "summary": summarize_cells(cells, asked.definition),
        "differences": differences_against_none(cells, answers, asked),
        "pooled": pooled_differences(cells, answers, asked),
        "variance": variance_components(cells, answers),
        "flips": flips(cells, answers),
        "power": power(collection.study, collection.folder, cells, answers, asked.scope),
        "effects": main_effects(cells, asked.definition),
        "sources": summarize_cells(collection.sources, asked.definition),
        "expected_best": best_against_trials(cells),
    }
    notes = [*describe(collection), *narrowed(frames["differences"], asked.scope)]
    notes += [*unanswered(cells, frames["flips"]), *hopeless(frames["power"])]
    return Summary(collection, asked, notes, frames, tuple(dict.fromkeys(reports)))


def _derived(
    asked: Question, reports: Sequence[Report], figures: bool, study: Study, folder: StudyFolder
) -> Summarized:
    """Summarises the copy of a study that a bundle is made of."""
    summary = summary_of(
        collect(folder, study, NARROW, into=folder.summary / CELLS), asked, reports
    )
    write(summary, figures=figures)
    flags = f"--degenerate {asked.definition} --interval {asked.scope}"
    flags += " --interim" * asked.interim + " --no-figures" * (not figures)
    flags += "".join(f" --report {name}" for name in reports)
    return summary.collection, summary.facts(), summary.tables()[:1], flags


def answers_in(path: Path) -> Answers:
    """Predictions in a Parquet file of cells, read target by target."""
    return lambda target: (
        pl.scan_parquet(path)
        .filter(pl.col("stage") == "target", pl.col("target") == target)
        .select("cell", "predictions", "gold")
        .collect()
    )


def write(summary: Summary, *, figures: bool) -> list[Path]:
    """Writes a study's exports, and its figures and report if wanted; returns their paths."""
    collection, frames = summary.collection, summary.frames
    study, folder = collection.study, collection.folder
    update_accounting(collection)
    paths = [folder.summary / CELLS, folder.summary / "cells.csv"]
    exports.write_csv(collection.cells, paths[1])
    paths += exports.write_summary(
        summary.content(), frames["summary"], summary.tables(), summary.notes, folder.summary
    )
    paths += write_paper_tables(summary.paper(), folder.summary)
    for name in ("differences", "pooled", *SPREAD, "effects", "expected_best"):
        exports.write_csv(frames[name], folder.summary / f"{name}.csv")
        paths.append(folder.summary / f"{name}.csv")
    files = {f"{name}.csv": frame for name, frame in frames.items() if name != "sources"}
    said = metadata.metadata({metadata.CELLS: collection.cells, **files})
    paths.append(folder.summary / metadata.NAME)
    write_text(paths[-1], exports.json_text(said))
    if figures:
        # matplotlib takes longer to import than a summary to make
        from analysis.figures.pictures import write_figures
        from analysis.report.page import write_report

        losses = pl.read_parquet(folder.summary / CELLS, columns=["loss"])
        judged = degenerate(summary.asked.definition), threshold(summary.asked.definition)
        cells = collection.cells.with_columns(judged).hstack(losses)
        drawn = write_figures(cells, study, folder.summary, frames)
        del cells, losses
        report = write_report(
            collection,
            frames["summary"],
            frames["differences"],
            drawn,
            # the first counts the cells, which the report does anyway
            summary.notes if len(summary.notes) > 1 else [],
            pooled=frames["pooled"],
            asked=summary.asked,
            paper=summary.paper(),
            spread=[t for t in summary.tables() if t.name in ("pooled", *SPREAD)],
            frames=frames,
            facts=summary.facts(),
        )
        paths += [*drawn, report]
    return paths


def _compare(first: StudyFolder, second: StudyFolder, asked: Question, format: Format) -> int:
    names = first.path.name, second.path.name
    if names[0] == names[1]:
        names = str(first.path), str(second.path)
    studies = read_study(first), read_study(second)
    refuse_other_metrics(names, studies)
    files = first.summary / CELLS, second.summary / CELLS
    parts = (
        collect(first, studies[0], NARROW, into=files[0]),
        collect(second, studies[1], NARROW, into=files[1]),
    )
    answers = answers_in(files[0]), answers_in(files[1])
    if asked.scope == "whole":
        refuse_other_rows(names, parts, answers)
    notes = [
        f"{name}: {line}"
        for name, part in zip(names, parts, strict=True)
        for line in describe(part)
    ]
    notes += remarks(names, parts)
    frame = differences_between(parts[0].cells, parts[1].cells, answers, asked)
    notes += narrowed(frame, asked.scope)
    if frame.is_empty() and same_runs(parts[0].cells, parts[1].cells).is_empty():
        notes.append(
            "No cell of the one has the source, target, hyperparameters and seed of the other's."
        )
    table = comparison(frame, names, asked, titles_of(studies[0]))
    content = {
        "first": names[0],
        "second": names[1],
        "degenerate": asked.definition,
        "notes": notes,
        "differences": frame.to_dicts(),
    }
    name = f"compare-{second.path.name}"
    paths = exports.write_summary(content, frame, [table], notes, first.summary, name)
    paths.append(first.summary / f"{name}.csv-metadata.json")
    write_text(paths[-1], exports.json_text(metadata.metadata({f"{name}.csv": frame})))
    with while_read():
        if format == "table":
            show([table], notes, " minus ".join(names))
        else:
            written = paths[("csv", "json", "markdown", "latex").index(format)]
            sys.stdout.write(written.read_text(encoding="utf-8"))
    say(paths)
    return 0


def _print(format: Format, summaries: Sequence[Summary], *, whole: bool) -> None:
    """Writes summaries to stdout: one by one as tables, or all in one text of another format."""
    match format:
        case "table":
            for summary in summaries:
                summary.show(whole=whole)
        case "markdown":
            parts = [
                f"## {summary.collection.study.name}\n\n"
                + exports.markdown(summary.shown(), summary.notes)
                for summary in summaries
            ]
            sys.stdout.write("\n".join(parts))
        case "latex":
            sys.stdout.write("\n".join(latex(summary.shown()) for summary in summaries))
        case "csv" if any(summary.reports for summary in summaries):
            sys.stdout.write("".join(text_csv(summary.shown()) for summary in summaries))
        case "csv":
            named = [
                summary.frames["summary"].select(
                    pl.lit(summary.collection.study.name).alias("study"), pl.all()
                )
                for summary in summaries
            ]
            sys.stdout.write(exports.inert(pl.concat(named)).write_csv())
        case "json":
            sys.stdout.write(exports.json_text([summary.content() for summary in summaries]))
