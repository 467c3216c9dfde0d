"""Finds the cell or source that a person names, and says what it is."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from stilt.cell import Cell
from stilt.errors import ConfigError, unknown
from stilt.folder import StudyFolder, find_studies, find_study, read_studies
from stilt.plan import SYNTHESIS
from stilt.study import Study

SHOWN = 8
"""Characters of an id on screens; enough to be unique among thousands."""


@dataclass(frozen=True)
class Found:
    """An item of a study."""

    study: Study
    folder: StudyFolder
    item: str


def called(folder: StudyFolder) -> str:
    """What a person types after a command to mean a study: its name, or its path elsewhere."""
    path = folder.path
    return shlex.quote(path.name if path.parent == Path("logs") else str(path))


def the_item(text: str, name: str | None, root: Path) -> Found:
    """The cell or source whose id begins with ``text``, or the source of that name.

    Raises:
        ConfigError: None or several; the message has what was probably meant.
    """
    known: dict[str, Found] = {}
    names: dict[str, Found] = {}
    studies, _ = read_studies(find_studies(root) if name is None else [find_study(name, root)])
    for folder, study in studies.items():
        for item in (*study.cells, *study.sources):
            known[f"{item} {folder.path}"] = Found(study, folder, item)
        for source in study.sources.values():
            names[f"{source.name} {folder.path}"] = Found(study, folder, source.id)
        if any(task.synthesis for task in study.tasks.values()):
            names[f"{SYNTHESIS} {folder.path}"] = Found(study, folder, SYNTHESIS)
    matching = [found for key, found in names.items() if key.split()[0] == text]
    matching = matching or [found for key, found in known.items() if key.startswith(text)]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        near = [key.split()[0] for key in (*names, *known)]
        hint = unknown("cell", text, near).partition(" Known:")[0]
        raise ConfigError(
            f"{hint} A cell or source is named by the start of its id, as launcher/status.py "
            "shows it; a source also by its name."
        )
    shown = "; ".join(
        f"{found.item} in {found.folder.path.name} ({describe(found.study, found.item)})"
        for found in matching[:6]
    )
    more = f"; and {len(matching) - 6} more" if len(matching) > 6 else ""
    raise ConfigError(f"{text!r} is the start of {len(matching)} ids: {shown}{more}. Type more.")


def describe(study: Study, item: str) -> str:
    """What an item is, in words."""
    if item in study.sources:
        return f"source {study.sources[item].name}"
    if item in study.cells:
        cell = study.cells[item]
        return f"{cell.source} → {cell.target} {settings(cell)}"
    return item


def settings(cell: Cell) -> str:
    """A cell's hyperparameters in words."""
    point = cell.hyperparameters
    if point is None:
        return "without training"
    text = f"lr {point.learning_rate:g} batch {point.batch_size} warmup {point.warmup_ratio:g}"
    seeds = {"seed": point.seed, "init": point.init_seed, "order": point.order_seed}
    return " ".join([text, *(f"{name} {seed}" for name, seed in seeds.items() if seed is not None)])
