"""From a command line to a study: grid, model and data checked before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from launcher.flags import Places
from launcher.study.growth import Asked, dropped_pins, next_step, take
from launcher.study.outstanding import Lives
from stilt.data.encode import cache_folder
from stilt.data.load import data_folder, load_splits
from stilt.data.oddities import Oddity
from stilt.data.splits import Splits, measure
from stilt.data.staged import advice
from stilt.errors import ConfigError, NoDataError, listed
from stilt.folder import StudyFolder, read_study
from stilt.grid import Grid, ModelSpec, grid_path, load_grid
from stilt.model.contents import model_folders, require_whole
from stilt.model.hub import keeps, with_commit
from stilt.model.place import ModelPlace, file_digests, find_model, identity
from stilt.model.positions import read_config, require_positions
from stilt.records.pins import Pin, new_pin, pin_path, read_pin, require_same
from stilt.records.validity import judge_of
from stilt.study import Study, bind
from stilt.synthesis.datasheet import whole_rows
from stilt.synthesis.generator import find_generator, require_reader
from stilt.synthesis.text import find_text
from stilt.system.units import counted
from stilt.task import Size


@dataclass(frozen=True)
class ResolvedStudy:
    """A study, where it lives, and where its model and data were found."""

    study: Study
    folder: StudyFolder
    model: ModelPlace | None
    """None where a dry run could not find it."""
    data_dir: Path | None
    cache: Path
    problem: str = ""
    """Why the model is None; else empty."""
    model_files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of a model folder; empty for a model of the Hub."""
    kept: tuple[str, ...] = ()
    """Which commits the study keeps although the grid names a branch or tag, for people."""


def resolve_study(
    grid_name: str, places: Places, *, name: str | None = None, dry_run: bool = False
) -> ResolvedStudy:
    """Resolves a grid into a study; writes nothing.

    Args:
        grid_name: name or path of the grid.
        places: where the study, its data and its model are.
        name: the study's name, the grid's where absent.
        dry_run: go on without the model's files.

    Raises:
        ConfigError: The grid, a task or the model is not what it should be, or a task's sequences
            are longer than the model can read.
    """
    path = grid_path(grid_name)
    grid = load_grid(grid_name)
    if places.model:
        grid = Grid.model_validate(grid.model_dump() | {"model": model_spec(places.model)})
    folder = StudyFolder(places.root / (name or grid.name))
    there = _there(folder)
    kept = tuple(said for spec, known in _models(grid, there) if (said := keeps(spec, known)))
    found: ModelPlace | None
    problem = ""
    files: dict[str, str] = {}
    try:
        grid = _with_commits(grid, there)
        found = find_model(grid.model, path.parent)
        require_whole(found)
        files = file_digests(found)
        known = identity(grid.model, files)
    except ConfigError as error:
        if not dry_run:
            raise
        # a model that is not here may be the same
        known = there.model_identity if there else "not found"
        found, problem = None, str(error)
    study = bind(grid, known, name=name, near=path.parent)
    if found is not None and not grid.model.hub:
        require_positions(study.tasks.values(), read_config(Path(found.name)))
    data_dir = data_folder(places.data_dir)
    return ResolvedStudy(study, folder, found, data_dir, cache_folder(), problem, files, kept)


def _there(folder: StudyFolder) -> Study | None:
    """The study that is there already, where it can be read."""
    try:
        return read_study(folder)
    except ConfigError:
        return None


def _with_commits(grid: Grid, there: Study | None) -> Grid:
    """A grid whose models of the Hub are named by commits, see ``with_commit``."""
    model, *generator = (with_commit(*both) for both in _models(grid, there))
    changes: dict[str, Any] = {"model": model}
    if grid.synthesis is not None:
        changes["synthesis"] = grid.synthesis.model_copy(update={"generator": generator[0]})
    return grid.model_copy(update=changes)


def _models(grid: Grid, there: Study | None) -> list[tuple[ModelSpec, ModelSpec | None]]:
    """A grid's model and its generator, where it has one, each with that of the study there."""
    known = there.grid if there else None
    found = [(grid.model, known.model if known else None)]
    if grid.synthesis is not None:
        spec = known.synthesis if known else None
        found.append((grid.synthesis.generator, spec.generator if spec else None))
    return found


def model_spec(text: str) -> ModelSpec:
    """Reads ``--model``: a folder, an installed wheel, or ``namespace/name@revision`` of the Hub.

    Raises:
        ConfigError: It is none of them; or the wheel has no model, or several.
    """
    if Path(text).is_dir():
        return ModelSpec(path=str(Path(text).resolve()))
    name, _, revision = text.partition("@")
    if revision:
        return ModelSpec(hub=name, revision=revision)
    if (folders := model_folders(text)) is None:
        hub = name if "/" in name else f"namespace/{name}"
        raise ConfigError(
            f"--model {text}: no such folder, and no installed wheel; a Hub id needs its "
            f"namespace and revision, as {hub}@<commit>."
        )
    if len(folders) != 1:
        raise ConfigError(
            f"--model {text}: the wheel of this name has {counted(len(folders), 'model folder')}"
            f"{': ' if folders else ''}{listed(folders)}. Name a folder."
        )
    return ModelSpec(wheel=text, path=folders[0])


def require_synthesis(resolved: ResolvedStudy) -> None:
    """Makes sure that rows which are still to be generated can be, by what lies on this machine.

    Raises:
        ConfigError: The generator, its wheel or the package that reads it is not here.
        DataError: The text is not here.
        ResultError: The study has rows that were made otherwise.
    """
    spec = resolved.study.grid.synthesis
    wanted = any(task.synthesis for task in resolved.study.tasks.values())
    if spec is None or not wanted or whole_rows(spec, resolved.folder.synthesis()):
        return
    if not spec.text.startswith("hub:"):
        find_text(spec.text, resolved.data_dir)
    require_reader(spec.gguf)
    if not spec.generator.hub:
        find_generator(spec.generator, spec.gguf)


def check_data(resolved: ResolvedStudy) -> dict[str, tuple[Splits, Size]]:
    """Loads and renders every task that the study needs, before anything is submitted.

    Raises:
        DataError: A task's rows cannot be had or used; the message lists what was tried.
        ConfigError, ResultError: See ``require_synthesis``.
    """
    require_synthesis(resolved)
    found = {}
    tasks = {name: task for name, task in resolved.study.tasks.items() if not task.synthesis}
    judge = judge_of(resolved.study, resolved.folder)
    for name, task in tasks.items():
        try:
            splits = load_splits(task, resolved.data_dir, known=judge.known(name))
        except NoDataError as error:
            raise NoDataError(f"{error} {advice(task, resolved.data_dir)}".strip()) from None
        found[name] = (splits, measure(task, splits))
    for source in resolved.study.sources.values():
        own = {"train_size": source.train_size}
        if source.task in tasks and source.train_size not in (None, tasks[source.task].train_size):
            known = judge.known(source.task, source.train_size)
            changed = tasks[source.task].model_copy(update=own)
            load_splits(changed, resolved.data_dir, known=known)
    return found


def show_oddities(odd: Mapping[str, Sequence[Oddity]], console: Console) -> None:
    """Prints what is odd in the rows of each task, and may be meant."""
    for name, oddities in odd.items():
        for oddity in oddities:
            console.print(
                Text.assemble(("to look at:", "yellow"), f" {name}, {oddity.text}"), soft_wrap=True
            )


def require_beginning(
    resolved: ResolvedStudy, found: dict[str, tuple[Splits, Size]], lives: Lives, asked: Asked
) -> None:
    """Refuses what ``begin`` would refuse, and writes nothing: trying a model takes long.

    Args are those of ``begin``.

    Raises:
        ConfigError, ResultError, DataError: See ``begin``.
    """
    study, folder = resolved.study, resolved.folder
    dropped = dropped_pins(next_step(study, folder, lives, asked), folder)
    for name, (splits, _) in found.items():
        path = pin_path(folder, study.tasks, name, None)
        try:
            there = None if path in dropped else read_pin(path)
        except ConfigError:
            # begin mends a damaged one
            continue
        if there is not None:
            require_same(name, _pin_of(splits), there)


def begin(
    resolved: ResolvedStudy, found: dict[str, tuple[Splits, Size]], lives: Lives, asked: Asked
) -> tuple[list[str], list[str]]:
    """Writes study.json and fixes the study's data, or checks that they are what is there.

    Args:
        resolved: the study.
        found: its rows, see ``check_data``.
        lives: whether a claim's job still lives.
        asked: what the submit says of itself.

    Returns:
        How the study changed, and what of it was damaged and is mended, both for people.

    Raises:
        ConfigError: The folder cannot be written.
        ResultError: Runs of the study that is there would go.
        DataError: The rows differ from those that the study began with.
    """
    study, folder = resolved.study, resolved.folder
    step = next_step(study, folder, lives, asked)
    take(step, folder, lives)
    mended = [step.mended]
    for name, (splits, _) in found.items():
        mended.append(judge_of(study, folder).pin(name, None, _pin_of(splits)))
    return list(step.said), [message for message in mended if message]


def _pin_of(splits: Splits) -> Pin:
    """The pin of rows that were just read."""
    return new_pin(
        *(splits.digest(), len(splits.train), splits.gold, splits.where),
        *(splits.odd, splits.parts, splits.text),
    )
