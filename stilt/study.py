"""A study: a grid bound to a model and to task definitions, kept in one folder."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from stilt.cell import (
    NONE,
    SYNTHESIS,
    Cell,
    Hyperparameters,
    Run,
    Source,
    canonical,
    digest,
    digest_of,
)
from stilt.config import Frozen, parse
from stilt.errors import ConfigError, unknown
from stilt.grid import FOLDER_NAME, Evaluation, Grid, SourceSpec
from stilt.schedule import examples_per_pass
from stilt.task import Task, load_task

TOLD: dict[str, Any] = {
    "revisions": True,
    "tasks": {
        "__all__": {
            "licence": True,
            "credentialed": True,
            "data": {"__all__": {"note", "preferred"}},
        }
    },
}
"""Fields of a study that tell people something, and decide nothing."""


class Revision(Frozen):
    """One shape that a study had: since when, by which command, and what came and went with it."""

    number: int = Field(ge=1)
    when: str
    """UTC, ISO 8601."""
    command: str = ""
    commit: str | None = None
    """Of this code."""
    digest: str
    """Of the study in this shape."""
    cells: int = Field(ge=0)
    came: str = ""
    """In words, such as ``+288 cells: target wic``; what else changed, where no cell did."""
    went: str = ""
    looked: str | None = None
    """When the results of the shape before were last summarised; None where they never were."""


class Study(Frozen):
    """Everything that decides which cells there are and what their scores can be.

    A study carries its task definitions with it, so that a later edit of a TOML file never changes
    what a pending job runs.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=FOLDER_NAME)
    grid: Grid
    model_identity: str
    """``hub-id@revision``, or the digest of the model's files."""
    tasks: dict[str, Task]
    revisions: tuple[Revision, ...] = ()
    """How it came to be what it is, the last one being this; none in studies of earlier versions
    that never grew."""

    @model_validator(mode="after")
    def _all_tasks(self) -> Self:
        for key, task in self.tasks.items():
            if task.name != key:
                raise ValueError(f"field 'tasks.{key}.name' = {task.name!r}: {key!r} is expected")
        for name in _named(self.grid):
            if name not in self.tasks:
                raise ValueError(
                    f"'tasks' lacks one that the grid names: {unknown('task', name, self.tasks)}"
                )
        return self

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every source to be trained, by id; each once, however many cells name it."""
        found: dict[str, Source] = {}
        for spec in self.grid.trained:
            for seed in self._seeds(spec):
                source = self._source(spec, seed)
                found.setdefault(source.id, source)
        return found

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Every cell of the study, by id, in a fixed order; each once."""
        found: dict[str, Cell] = {}
        for block in self.grid.blocks:
            points = [(point, canonical(_written(point))) for point in block.points()]
            for spec in block.sources:
                for source in self._trained(spec):
                    for target in block.targets:
                        for cell in self._cells(source, target, points):
                            found.setdefault(cell.id, cell)
        for evaluation in self.grid.evaluate:
            for cell in self._evaluations(evaluation):
                found.setdefault(cell.id, cell)
        return found

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Everything that is run, by id: the generation where a task needs it, sources, cells."""
        rows = {name: (SYNTHESIS,) for name, task in self.tasks.items() if task.synthesis}
        found = [Run(SYNTHESIS, "synthesis")] if rows else []
        for source in self.sources.values():
            waits = rows.get(source.task, ())
            found.append(Run(source.id, "source", source.task, waits, source=source))
        for cell in self.cells.values():
            first = (cell.source_id,) if cell.source_id else ()
            needs = (*first, *rows.get(cell.target, ()))
            found.append(Run(cell.id, cell.stage, cell.target, needs, cell=cell))
        return {run.id: run for run in found}

    def dependants(self, item: str) -> list[str]:
        """Ids of the runs that cannot be run without another one, however many lie between."""
        found = {item: None}
        for run in self.runs.values():
            if not found.keys().isdisjoint(run.needs):
                found[run.id] = None
        return list(found)[1:]

    def source_named(self, name: str) -> Source | None:
        """The source with a name in tables, None for ``none``."""
        return next((s for s in self.sources.values() if s.name == name), None)

    @cached_property
    def digest(self) -> str:
        """Short hash of all but ``TOLD``; a field that a later version adds changes nothing."""
        return digest(self.model_dump(mode="json", exclude_defaults=True, exclude=TOLD))

    @property
    def revision(self) -> int:
        """Number of the shape that the study has now, from 1."""
        return self.revisions[-1].number if self.revisions else 1

    def identity_of(self, run: Run) -> dict[str, Any]:
        """Everything that decides the result of a run: the id of a cell or source is its digest."""
        if run.source is not None:
            return self._source_content(run.source)
        if run.cell is None:
            return {"synthesis": self._spec()}
        cell, point = run.cell, run.cell.hyperparameters
        content = self._content(cell.target, trains=point is not None)
        content |= self._after(cell.source_id)
        if point is None:
            return content | {"evaluate": True, "seed": cell.seed}
        return content | self._chunked(cell.target, point) | {"hyperparameters": _written(point)}

    def examples(self, task: str, hyperparameters: Hyperparameters) -> int:
        """Examples that one process of a run passes through the model at a time at most."""
        whole = self._share(task, hyperparameters)
        return min(self.grid.chunk or whole, whole)

    def _share(self, task: str, hyperparameters: Hyperparameters) -> int:
        """A process's share of a batch."""
        together = examples_per_pass(hyperparameters.batch_size, self.tasks[task].micro_batch)
        return -(-together // self.grid.processes)

    def _chunked(self, task: str, hyperparameters: Hyperparameters) -> dict[str, int]:
        """What of an id's content says in how small passes a batch is computed, where it is."""
        chunk = self.grid.chunk
        small = chunk is not None and chunk < self._share(task, hyperparameters)
        return {"chunk": chunk} if chunk is not None and small else {}

    def _seeds(self, spec: SourceSpec) -> tuple[int, ...]:
        return spec.seeds or self.grid.source.seeds

    def _trained(self, spec: SourceSpec) -> list[Source | None]:
        if spec.is_none:
            return [None]
        # two specs may lead to one source: its cells bear the name that it was first given
        return [self.sources[self._source(spec, seed).id] for seed in self._seeds(spec)]

    def _source(self, spec: SourceSpec, seed: int) -> Source:
        training = self.grid.source.model_dump(exclude={"seeds"})
        name = spec.task + (f"@{spec.train_size}" if spec.train_size else "")
        if len(self._seeds(spec)) > 1 or seed != 42:
            name += f"#{seed}"
        source = Source(
            id="",
            task=spec.task,
            train_size=spec.train_size or self.tasks[spec.task].train_size,
            name=name,
            hyperparameters=Hyperparameters(**training, seed=seed),
        )
        return source.model_copy(update={"id": digest(self._source_content(source))})

    def _source_content(self, source: Source) -> dict[str, Any]:
        content = self._content(source.task) | {"train_size": source.train_size}
        content |= self._chunked(source.task, source.hyperparameters)
        return content | {"hyperparameters": _written(source.hyperparameters)}

    def _cells(
        self, source: Source | None, target: str, points: list[tuple[Hyperparameters, str]]
    ) -> Iterable[Cell]:
        """One cell for each point, which comes with its canonical JSON."""
        content = self._content(target) | self._after(source.id if source else None)
        # cells differ in few fields: to write the others anew for each would take most of the
        # time of listing a study. A quote within a value has a backslash before it, so what is
        # looked for stands once
        field = '"hyperparameters":'
        whole, parted = (
            canonical(content | chunk | {"hyperparameters": None}).split(f"{field}null")
            for chunk in ({}, {"chunk": self.grid.chunk})
        )
        for point, text in points:
            before, after = parted if self._chunked(target, point) else whole
            yield Cell(
                id=digest_of(f"{before}{field}{text}{after}"),
                source=source.name if source else NONE,
                source_id=source.id if source else None,
                target=target,
                hyperparameters=point,
                seed=point.seed,
            )

    def _evaluations(self, evaluation: Evaluation) -> Iterable[Cell]:
        for spec in evaluation.sources:
            for source in self._trained(spec):
                for task in evaluation.tasks:
                    first = self._after(source.id if source else None)
                    content = self._content(task, trains=False) | first
                    yield Cell(
                        id=digest(content | {"evaluate": True, "seed": evaluation.seed}),
                        stage="evaluate",
                        source=source.name if source else NONE,
                        source_id=source.id if source else None,
                        target=task,
                        hyperparameters=None,
                        seed=evaluation.seed,
                    )

    def _content(self, task: str, *, trains: bool = True) -> dict[str, Any]:
        """What of an id's content depends on the task and on the whole study."""
        together = trains and self.grid.processes > 1
        return {
            "model": self.model_identity,
            "recipe": self.grid.recipe,
            "task": self.tasks[task].identity(),
            "synthesis": self._synthesis(task),
        } | ({"processes": self.grid.processes} if together else {})

    def _after(self, source_id: str | None) -> dict[str, Any]:
        """What of an id's content depends on the source; ``none`` has no head to keep."""
        if source_id is None:
            return {"source": None}
        return {"source": source_id} | ({"head": "reset"} if self.grid.head == "reset" else {})

    def _synthesis(self, task: str) -> Any:
        return self._spec() if self.tasks[task].synthesis else None

    def _spec(self) -> Any:
        """How rows are generated, in an id's content; None where none are."""
        if self.grid.synthesis is None:
            return None
        return self.grid.synthesis.identity()


def _written(point: Hyperparameters) -> dict[str, Any]:
    return point.model_dump(exclude_none=True)


def bind(
    grid: Grid, model_identity: str, *, name: str | None = None, near: Path | None = None
) -> Study:
    """Binds a grid to its task definitions: after this, no TOML file is read again.

    Args:
        grid: the axes.
        model_identity: see ``Study.model_identity``.
        name: the study's name; the grid's where absent.
        near: folder of the grid's file, whose task files win over built-in ones.

    Raises:
        ConfigError: A task is unknown, or cannot be used the way the grid does.
    """
    extra = [near, near / "tasks"] if near else []
    fields = _named(grid)
    tasks = {task: _task(grid, fields[task], task, extra) for task in sorted(fields)}
    needs_text = [task.name for task in tasks.values() if task.synthesis]
    if needs_text and grid.synthesis is None:
        raise ConfigError(
            f"grid {grid.name!r}: task {needs_text[0]!r} is generated by the study, so the grid "
            "needs a [synthesis] table (it may be empty)."
        )
    table = {"grid": grid, "model_identity": model_identity, "tasks": tasks}
    return parse(Study, {"name": name or grid.name, **table}, "study")


def _named(grid: Grid) -> dict[str, str]:
    """Every task that a grid names, with the field that does."""
    fields: dict[str, str] = {}
    for block in grid.blocks:
        fields |= dict.fromkeys(block.targets, "targets")
    for evaluation in grid.evaluate:
        fields |= dict.fromkeys(evaluation.tasks, "evaluate.tasks")
    return fields | {spec.task: "sources" for spec in grid.trained}


def _task(grid: Grid, field: str, name: str, extra: list[Path]) -> Task:
    try:
        return load_task(name, extra, (NONE,) if field == "sources" else ())
    except ConfigError as error:
        raise ConfigError(f"grid {grid.name!r}, field '{field}': {error}") from None
