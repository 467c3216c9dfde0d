"""Several studies as one: the cells of all of them, where they agree in all that decides scores."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from analysis.read.cache import write_frame
from analysis.read.collect import Collection, collect, grid_frame, source_frame
from analysis.read.columns import CELLS, FRAME, NARROW
from analysis.read.problems import Problem
from stilt.config import parse
from stilt.errors import ConfigError, shown
from stilt.folder import StudyFolder
from stilt.grid import Block, Evaluation, Grid, SourceSpec
from stilt.study import Study
from stilt.system.files import writable_folder

PartT = TypeVar("PartT", Block, Evaluation)

ENDED = ("ok", "diverged")
"""Statuses of a run that has a result."""
RANK = {"ok": 0, "diverged": 0, "failed": 1, "missing": 2}
"""Which of two rows of the same run is taken: the lower one."""


def collect_pool(
    name: str, found: dict[StudyFolder, Study], root: Path, out: Path | None
) -> Collection:
    """Several studies as one; writes its cells.parquet.

    Raises:
        ConfigError: They do not agree, see ``united`` and ``pool``; or a study has the name.
    """
    study = united(name, list(found.values()))
    path = root / name
    if StudyFolder(path).study_file.exists():
        raise ConfigError(f"--pool {name}: {path} is a study. Choose another name.")
    parts = [collect(folder, one) for folder, one in found.items()]
    whole = pool(study, parts, path, out / name if out else None)
    writable_folder(whole.folder.summary)
    write_frame(whole.cells, whole.folder.summary / CELLS, "zstd")
    return replace(whole, cells=whole.cells.select(NARROW), sources=whole.sources.select(NARROW))


class PooledFolder(StudyFolder):
    """Where the parts of a pool lie: each record in the study that has it."""

    def __init__(self, path: Path, summary: Path | None, places: dict[str, StudyFolder]) -> None:
        """``places``: run -> folder of the study that its numbers are of."""
        super().__init__(path, summary)
        self.places = places

    def source(self, source_id: str) -> Path:
        """Folder of a source in the study that has it."""
        place = self.places.get(source_id)
        return place.source(source_id) if place else super().source(source_id)

    def result(self, cell_id: str) -> Path:
        """Result of a cell in the study that has it."""
        place = self.places.get(cell_id)
        return place.result(cell_id) if place else super().result(cell_id)

    def failure(self, item: str) -> Path:
        """Failure record of a run in the study that has it."""
        place = self.places.get(item)
        return place.failure(item) if place else super().failure(item)

    def data_digest(self, task: str) -> Path:
        """What the first study that has it keeps of a task's rows."""
        paths = [place.data_digest(task) for place in dict.fromkeys(self.places.values())]
        return next((path for path in paths if path.is_file()), super().data_digest(task))


def united(name: str, studies: Sequence[Study]) -> Study:
    """One study whose grid plans the cells of several.

    Raises:
        ConfigError: They differ in what decides a score; the message says in what. Or ``name`` is
            none for a study.
    """
    for first, other in pairwise(studies):
        if said := [*_unlike(first, other)]:
            raise ConfigError(
                f"--pool {name}: studies {first.name} and {other.name} cannot be one table: "
                f"{'; '.join(said)}."
            )
    grid = studies[0].grid.model_copy(
        update={
            "name": name,
            "title": "",
            "blocks": _joined(
                tuple(_seeded(x, one.grid) for one in studies for x in one.grid.blocks)
            ),
            "evaluate": tuple(_seeded(x, one.grid) for one in studies for x in one.grid.evaluate),
            "synthesis": next((one.grid.synthesis for one in studies if one.grid.synthesis), None),
        }
    )
    tasks = {key: task for one in reversed(studies) for key, task in one.tasks.items()}
    table = {"name": name, "grid": grid, "tasks": tasks}
    pooled = parse(Study, table | {"model_identity": studies[0].model_identity}, f"--pool {name}")
    for one in studies:
        assert one.cells.keys() <= pooled.cells.keys(), one.name
    return pooled


def _unlike(first: Study, other: Study) -> Iterator[str]:
    """In what two studies differ that decides a score of both."""
    grids = first.grid, other.grid
    fields: dict[str, Callable[[Grid], Any]] = {
        "recipe": lambda grid: grid.recipe,
        "head": lambda grid: grid.head,
        "processes": lambda grid: grid.processes,
        "chunk": lambda grid: grid.chunk,
    }
    if first.model_identity != other.model_identity:
        yield f"model {first.model_identity} and {other.model_identity}"
    for name, field in fields.items():
        if field(grids[0]) != field(grids[1]):
            yield f"{name} = {shown(field(grids[0]))} and {shown(field(grids[1]))}"
    if first.sources and other.sources:
        tables = [grid.source.model_dump(exclude={"seeds"}) for grid in grids]
        yield from _differing("source.", *tables)
    if grids[0].synthesis and grids[1].synthesis:
        yield from _differing("synthesis.", *(x.synthesis.identity() for x in grids if x.synthesis))
    for name in first.tasks:
        if name in other.tasks:
            tables = [study.tasks[name].identity() for study in (first, other)]
            yield from _differing(f"tasks.{name}.", *tables)


def _differing(prefix: str, first: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*first, *other]):
        if first.get(key) != other.get(key):
            values = (shown(table[key]) if key in table else "default" for table in (first, other))
            yield f"{prefix}{key} = {' and '.join(values)}"


def _seeded(part: PartT, grid: Grid) -> PartT:
    """A part of a grid whose sources name their seeds, which another grid's would replace."""

    def named(spec: SourceSpec) -> SourceSpec:
        seeds = spec.seeds or grid.source.seeds
        return spec if spec.is_none else spec.model_copy(update={"seeds": seeds})

    return part.model_copy(update={"sources": tuple(map(named, part.sources))})


def _joined(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Blocks as a grid would have them that was written whole: one where one axis alone differs."""
    found: list[Block] = []
    for block in blocks:
        for place, there in enumerate(found):
            unlike = [x for x in Block.model_fields if getattr(there, x) != getattr(block, x)]
            axes = [(getattr(there, x), getattr(block, x)) for x in unlike]
            if len(unlike) < 2 and all(first and other for first, other in axes):
                both = [tuple(dict.fromkeys([*first, *other])) for first, other in axes]
                found[place] = there.model_copy(update=dict(zip(unlike, both, strict=True)))
                break
        else:
            found.append(block)
    return blocks if len(found) == len(blocks) else _joined(tuple(found))


def pool(
    study: Study, parts: Sequence[Collection], path: Path, summary: Path | None = None
) -> Collection:
    """One collection of several.

    A run that several have counts once.

    Args:
        study: what ``united`` gave for their studies.
        parts: the studies, collected with all columns.
        path: where the pool would lie, if it were a study.
        summary: where else its tables and figures go.

    Raises:
        ConfigError: Two have the same run with other scores, or tasks with other rows.
    """
    cells = _merged(grid_frame(study), parts, [part.cells for part in parts])
    sources = _merged(source_frame(study), parts, [part.sources for part in parts])
    owners = {part.study.name: part.folder for part in parts}
    places = {
        run: owners[name]
        for frame in (cells, sources)
        for run, name in frame.select("cell", "study").iter_rows()
        if name in owners
    }
    problems = [
        Problem(f"{part.folder.path.name}/{problem.file}", problem.kind, problem.message)
        for part in parts
        for problem in part.problems
    ]
    names = [str(part.folder.path) for part in parts]
    return Collection(
        study=study,
        folder=PooledFolder(path, summary, places),
        cells=cells,
        sources=sources,
        problems=tuple(problems),
        parts=tuple(part.folder for part in parts),
        arguments=shlex.join([*names, "--pool", study.name]),
    )


def _merged(
    known: pl.DataFrame, parts: Sequence[Collection], frames: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Rows of a grid, each of the first study that has its result, else of one that has failed.

    Raises:
        ConfigError: See ``pool``.
    """
    rows = pl.concat(
        frame.with_columns(pl.lit(number).alias("part")) for number, frame in enumerate(frames)
    )
    ended = rows.filter(pl.col("status").is_in(ENDED))
    _require_one("score", ["cell"], ended, parts)
    # a source may have so many of its task's rows; a target always has the same
    sized = ["source_size"] if known["stage"].eq("source").all() else []
    _require_one("data", ["target", *sized], ended, parts)
    rank = pl.col("status").replace_strict(RANK, return_dtype=pl.Int8)
    chosen = rows.sort(rank, "part").unique("cell", keep="first", maintain_order=True)
    own = [name for name in known.columns if name != "cell"]
    found = known.join(chosen.drop(own), on="cell", how="left", maintain_order="left")
    return found.select(pl.col(name).cast(kind) for name, kind in FRAME.items())


def _require_one(
    column: str, of: Sequence[str], ended: pl.DataFrame, parts: Sequence[Collection]
) -> None:
    """Refuses rows that have different values of a column and should have one.

    Raises:
        ConfigError: There are such; the message names a file of each.
    """
    values = ended.group_by(*of, maintain_order=True).agg(pl.col(column).n_unique().alias("n"))
    wrong = values.filter(pl.col("n") > 1)
    if not wrong.height:
        return
    # where a column is null it is so in all rows alike
    same = ended.join(
        wrong.head(1), on=list(of), how="semi", nulls_equal=True, maintain_order="left"
    ).sort("part", maintain_order=True)
    rows = same.unique(column, keep="first", maintain_order=True).to_dicts()[:2]
    said = " and ".join(
        f"{_file(parts[row['part']], row)} has {column} {row[column]}" for row in rows
    )
    name = rows[0]["target"] if column == "data" else rows[0]["cell"]
    what = f"task {name} has other rows" if column == "data" else f"run {name} has other results"
    raise ConfigError(f"--pool: {what}, so that these cannot be one table: {said}.")


def _file(part: Collection, row: dict[str, Any]) -> Path:
    """The file of a row."""
    if row["stage"] == "source":
        return part.folder.source(row["cell"]) / "result.json"
    return part.folder.result(row["cell"])
