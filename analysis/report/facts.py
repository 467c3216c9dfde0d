"""What others need to know to judge or repeat a study: each fact with the file that it comes from.

The one source of the report's section on reproducibility and of a bundle's checklist, whose letters
are those of ARR's Responsible NLP Research checklist.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl

from analysis.read.collect import Collection
from analysis.read.copied import ACCOUNTING
from analysis.report.choices import HEADS
from analysis.report.costs import (
    Accounting,
    hours_in_all,
    kept_accounting,
    own_runs,
    runs_of,
)
from analysis.report.environments import environments
from analysis.report.forecasts import predictions
from analysis.stats.degenerate import DEFINITIONS
from analysis.stats.differences import Question
from analysis.stats.scope import meaning
from analysis.tables.presentation import (
    Fields,
    Texts,
    TextTable,
    in_metric,
    number,
    out_of,
    percent,
    sections_by_target,
    source_title,
    target_title,
)
from stilt.data.staged import needed
from stilt.errors import ConfigError
from stilt.records.pins import Pin, pin_name, pin_path, read_pin
from stilt.schedule import BETAS, CLIP, EPS, WEIGHT_DECAY
from stilt.study import Study
from stilt.system.units import counted, size, span

STUDY, RESULTS, SUMMARY = "study.json", "results/", "summary/summary.csv"
NOT_MEASURED, NONE_YET = "not measured", "no run has ended"
PRECISION = {
    "paper": "fp32, without TF32",
    "fast": "forward and backward passes in bfloat16; weights, gradients, optimizer and loss in "
    "fp32",
}


@dataclass(frozen=True)
class Fact:
    """One answer."""

    what: str
    answer: str
    file: str
    """Where it comes from, below the study's folder."""


@dataclass(frozen=True)
class Group:
    """The facts that answer one question of the checklist."""

    letter: str
    title: str
    facts: tuple[Fact, ...]
    tables: tuple[TextTable, ...] = ()


def facts(collection: Collection, summary: pl.DataFrame, asked: Question) -> tuple[Group, ...]:
    """Everything that is known of how a study was made.

    Args:
        collection: the study; its wide columns are not needed.
        summary: of ``analysis.stats.summary.summarize_cells``.
        asked: what its statistics rest on.
    """
    study = collection.study
    trained = summary.filter(pl.col("stage") == "target", pl.col("best_cell").is_not_null())
    predicted = predictions(collection)
    costs = tuple(_costs(collection))
    if predicted is not None:
        costs += (Fact("Predicted seconds of a run", predicted[0], "calibration.json"),)
    return (
        Group("B2", "Licences and terms of data and model", tuple(_licences(study))),
        Group("B6", "Data: rows of each split", tuple(_rows(collection))),
        Group(
            "C1",
            "Model size, computing budget, infrastructure",
            costs,
            (predicted[1],) if predicted else (),
        ),
        Group(
            "C2",
            "Experimental setup, hyperparameter search, best values",
            tuple(_setup(study, summary)),
            (_best(study, trained),) if trained.height else (),
        ),
        Group("C3", "Descriptive statistics", tuple(_statistics(summary, asked))),
        Group("C4", "Packages", tuple(_packages(collection))),
    )


def _licences(study: Study) -> Iterator[Fact]:
    for name, task in study.tasks.items():
        known = task.licence or "not told by the task's file"
        closed = "; for persons with a credential alone" if task.credentialed else ""
        cited = f" (reference: {task.reference})" if task.reference else ""
        yield Fact(target_title(study, name), f"{known}{closed}{cited}", STUDY)
    model = study.grid.model.name
    yield Fact(f"Model {model}", "not told by the study: see the model's card", STUDY)


def _rows(collection: Collection) -> Iterator[Fact]:
    study, runs = collection.study, runs_of(collection)
    for task, train_size in needed(study):
        own = None if train_size == study.tasks[task].train_size else train_size
        pin, file = _pin(collection, task, own)
        if pin is not None:
            rows = pin.train, pin.dev
            more = f"; {pin.text}" if pin.text else ""
        else:
            some = runs.filter(pl.col("target") == task)
            some = some.filter(pl.col("source_size").eq_missing(own)) if own else some
            if some.is_empty():
                yield Fact(_title(study, task, own), "not read yet", STUDY)
                continue
            rows, more, file = some.select("train_rows", "dev_rows").row(0), "", RESULTS
        told = f"{rows[0]:,} training rows, {rows[1]:,} development rows, which every score is of"
        yield Fact(_title(study, task, own), told + more, file)
    yield Fact("Test rows", "none are read: all scores are of development rows", RESULTS)


def _title(study: Study, task: str, train_size: int | None) -> str:
    return target_title(study, task) + (f", {train_size:,} rows" if train_size else "")


def _pin(collection: Collection, task: str, train_size: int | None) -> tuple[Pin | None, str]:
    """What the study keeps of a task's rows, and in which file."""
    for folder in collection.parts or (collection.folder,):
        path = pin_path(folder, collection.study.tasks, task, train_size)
        try:
            pin = read_pin(path)
        except ConfigError:
            continue
        if pin is not None:
            return pin, f"data/{path.name}"
    return None, f"data/{pin_name(task, train_size)}.json"


def _costs(collection: Collection) -> Iterator[Fact]:
    study, runs, own = collection.study, runs_of(collection), own_runs(collection)
    accounting = kept_accounting(collection.folder.summary / ACCOUNTING)
    size_told = study.grid.model.parameters
    parameters = f"{size_told:,} without embeddings" if size_told else "not told by the grid"
    yield Fact("Model", f"{study.grid.model.name} ({study.model_identity})", STUDY)
    yield Fact("Parameters", parameters, STUDY)
    ended = collection.cells.filter(pl.col("status").is_in(["ok", "diverged"])).height
    trained = collection.sources.filter(pl.col("status").is_in(["ok", "diverged"])).height
    count = collection.sources.height
    yield Fact(
        "Runs",
        f"{out_of(ended, collection.cells.height)} cells and "
        f"{out_of(trained, count)} source{'' if count == 1 else 's'} have ended",
        RESULTS,
    )
    yield Fact(
        "Hours in all", _hours(hours_in_all(collection), own, runs.height - own.height), RESULTS
    )
    yield Fact("Runtime of a run", _runtime(runs), RESULTS)
    yield Fact("GPU-hours", *_gpu_hours(own, study, accounting))
    yield Fact("Energy", *_energy(own, accounting))
    yield Fact("Hardware", _hardware(runs), RESULTS)
    yield Fact("Peak memory", _memory(runs), RESULTS)


def _hours(hours: str, own: pl.DataFrame, taken: int) -> str:
    again = own.filter(pl.col("attempt") > 1).height
    told = f"{hours} of {counted(own.height, 'run')} that ended, data and model loaded included"
    told += f"; {again} of them took more than one attempt" if again else ""
    told += ". Attempts that failed, or died unsaved, are not in it"
    return told + (f"; nor are {counted(taken, 'run')} taken over from other studies" * bool(taken))


def _total(runs: pl.DataFrame, column: str) -> float:
    return float(sum(runs[column].drop_nulls().to_list()))


def _runtime(runs: pl.DataFrame) -> str:
    took = runs["seconds"].drop_nulls().to_list()
    if not took:
        return NONE_YET
    least, mean, most = (
        f"{value:.1f} s" if value < 10 else span(value)
        for value in (min(took), sum(took) / len(took), max(took))
    )
    return f"{mean} on average, from {least} to {most}"


def _on_gpu(runs: pl.DataFrame) -> pl.DataFrame:
    return runs.filter(~pl.col("device").str.starts_with("cpu"))


def _gpu_hours(own: pl.DataFrame, study: Study, accounting: Accounting | None) -> tuple[str, str]:
    if accounting is not None and accounting.gpu_seconds:
        hours = accounting.gpu_seconds / 3600
        told = f"{hours:.2f} allocated to {counted(accounting.jobs, 'job')}, by SLURM's accounting"
        return told, f"summary/{ACCOUNTING}"
    if own.is_empty():
        return NONE_YET, RESULTS
    if (on_gpu := _on_gpu(own)).is_empty():
        return "none: every run was made on a CPU", RESULTS
    # an evaluation without training has one process, too short to tell
    hours = _total(on_gpu, "seconds") * study.grid.processes / 3600
    return (
        f"{hours:.2f} of runs that ended, by their records: workers that shared a GPU count one "
        "each. What was allocated is not measured",
        RESULTS,
    )


def _energy(own: pl.DataFrame, accounting: Accounting | None) -> tuple[str, str]:
    if accounting is not None and accounting.joules is not None:
        told = f"{accounting.joules / 3.6e6:.3f} kWh of the jobs' nodes, by SLURM's accounting"
        return told, f"summary/{ACCOUNTING}"
    metered = own.filter(pl.col("energy").is_not_null())
    if metered.is_empty():
        return NOT_MEASURED, RESULTS
    some = "" if metered.height == own.height else f" of {metered.height} of {own.height} runs"
    return (
        f"{_total(metered, 'energy') / 3.6e6:.3f} kWh{some}, by the GPUs' own counters; a GPU that "
        "several workers shared counts once for each",
        RESULTS,
    )


def _hardware(runs: pl.DataFrame) -> str:
    if runs.is_empty():
        return NONE_YET
    devices = runs.group_by("device", maintain_order=True).len().sort("len", descending=True)
    named = (f"{name or '–'} ({counted(count, 'run')})" for name, count in devices.iter_rows())
    return f"{', '.join(named)} on {counted(runs['host'].n_unique(), 'host')}"


def _memory(runs: pl.DataFrame) -> str:
    on_gpu = _on_gpu(runs)
    others = runs.filter(pl.col("device").str.starts_with("cpu"))
    told = [
        f"{size(max(used))} {what}"
        for what, part in (("of a GPU", on_gpu), ("of a process", others))
        if (used := part["peak_memory"].drop_nulls().to_list())
    ]
    return f"at most {', '.join(told)}" if told else NONE_YET


def _setup(study: Study, summary: pl.DataFrame) -> Iterator[Fact]:
    grid, fact = study.grid, partial(Fact, file=STUDY)
    trained = summary.filter(pl.col("stage") == "target")
    if trained.height:
        sizes = sorted(set(trained["cells"]))
        trials = " to ".join(str(one) for one in dict.fromkeys((sizes[0], sizes[-1])))
        yield fact("Search", f"every point of the grid, {trials} runs of each source and target; "
                   "none is chosen by its score: all are shown")  # fmt: skip
    for name, head in HEADS.items():
        values = sorted({v for block in grid.blocks for v in getattr(block, name) or ()})
        if values:
            yield fact(head, _bounds(values))
    first, seeds = grid.source, [s.hyperparameters.seed for s in study.sources.values()]
    if seeds:
        yield fact(
            "Training of sources",
            f"learning rate {number(first.learning_rate)}, batch {first.batch_size}, warmup "
            f"{number(first.warmup_ratio)}, seed {_listed(seeds)}",
        )
    yield fact("Epochs", ", ".join(f"{t.title} {t.epochs}" for t in study.tasks.values()))
    lengths = (f"{task.title} {task.max_length}" for task in study.tasks.values())
    yield fact("Longest sequence, tokens", ", ".join(lengths))
    yield Fact(
        "Optimizer",
        f"AdamW, betas {BETAS[0]:g} and {BETAS[1]:g}, eps {number(EPS)}, gradients clipped to norm "
        f"{CLIP:g} after every backward pass",
        STUDY,
    )
    yield fact("Weight decay", number(WEIGHT_DECAY))
    yield fact(
        "Schedule",
        "linear warmup over the warmup ratio's share of the updates, then linear decay to 0",
    )
    yield fact("Precision", PRECISION[grid.recipe])
    yield fact("Processes of a run", str(grid.processes))
    yield fact("Checkpoint", "the final weights, scored once; none is chosen along the way")


def _bounds(values: list[float]) -> str:
    if len(values) == 1:
        return f"{number(values[0])}, held fixed"
    return f"{number(values[0])} to {number(values[-1])}: {_listed(values)}"


def _listed(values: Iterable[float]) -> str:
    return ", ".join(number(value) for value in dict.fromkeys(values))


def _best(study: Study, trained: pl.DataFrame) -> TextTable:
    header = ("source", "best", "learning rate", "batch", "warmup", "seed", "cell")

    def line(row: Fields) -> Texts:
        point = (row[f"best_{name}"] for name in ("learning_rate", "batch_size", "warmup_ratio"))
        shown = ["–" if value is None else number(value) for value in point]
        seed = row["best_seed"]
        return (
            source_title(study, row["source"]), percent(row["best"]), *shown, str(seed),
            row["best_cell"],
        )  # fmt: skip

    caption = (
        f"{study.name}: the hyperparameters of the best run of each source on each target, score "
        "in percent on dev, the first in the grid's order where several are equal. From "
        f"{SUMMARY}."
    )
    sections = sections_by_target(
        trained,
        lambda row: target_title(study, row["target"]) + in_metric(row["metric"]),
        line,
    )
    return TextTable("best", caption, header, sections)


def _statistics(summary: pl.DataFrame, asked: Question) -> Iterator[Fact]:
    ended, cells = (sum(summary[name].to_list()) for name in ("ended", "cells"))
    yield Fact(
        "What is reported",
        f"min, mean, best and standard deviation over {out_of(ended, cells)} runs, one for each "
        "point of the grid, and how many are degenerate: no single run",
        SUMMARY,
    )
    yield Fact(
        "Error bars",
        "95 % intervals of mean differences from None over runs paired by hyperparameters and "
        f"seed. {meaning(asked.scope)}",
        "summary/differences.csv",
    )
    yield Fact("Degenerate run", f"{DEFINITIONS[asked.definition]}, or a non-finite loss", SUMMARY)


def _packages(collection: Collection) -> Iterator[Fact]:
    found = environments(collection.folder, collection.cells)
    if not found:
        yield Fact("Packages", NONE_YET, RESULTS)
        return
    sets = dict.fromkeys(one.versions for one in found)
    for versions in sets:
        # a pool has no results of its own
        said = ", ".join(f"{name} {version}" for name, version in versions)
        yield Fact("Packages", said or "told by each result", RESULTS)
    codes = dict.fromkeys((one.commit, one.code) for one in found)
    told = ", ".join(f"commit {commit}, digest {code}" for commit, code in codes)
    yield Fact("This program", told, RESULTS)
