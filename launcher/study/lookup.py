"""Finds the run that a person names: by the start of its id, or a source by its name."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from launcher.study.resolve import Places
from stilt.cell import Run
from stilt.errors import ConfigError, unknown
from stilt.folder import StudyFolder, find_studies, find_study, read_studies
from stilt.study import Study

ID_SHOWN = 8
"""Characters of an id on screens; enough to be unique among thousands."""


@dataclass(frozen=True)
class Found:
    """A run of a study."""

    study: Study
    folder: StudyFolder
    run: Run


def study_argument(folder: StudyFolder) -> str:
    """Returns what a person types to name a study: its name below logs/, else its path."""
    path = folder.path
    return shlex.quote(path.name if path.parent == Path("logs") else str(path))


def with_places(grid: str, places: Places, study: str | None = None) -> str:
    """Returns the flags with which another command finds the same study, as a person types them."""
    given = {"study": study, **vars(places)}
    usual = {"study": None, **vars(Places())}
    flags = [
        word
        for name, value in given.items()
        if value != usual[name]
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return shlex.join(["--grid", grid, *flags])


def find_run(text: str, name: str | None, root: Path) -> Found:
    """Finds the run whose id begins with ``text``, or the source of that name.

    Args:
        text: what the person wrote.
        name: the study; all below root where absent.
        root: folder that holds studies.

    Raises:
        ConfigError: None or several; the message has what was probably meant.
    """
    studies, _ = read_studies(find_studies(root) if name is None else [find_study(name, root)])
    known = [
        Found(study, folder, run)
        for folder, study in studies.items()
        for run in study.runs.values()
    ]
    named = [found for found in known if found.run.cell is None]
    matching = [found for found in named if found.run.name == text]
    matching = matching or [found for found in known if found.run.id.startswith(text)]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        near = {found.run.name for found in named} | {found.run.id for found in known}
        hint = unknown("cell", text, near).partition(" Known:")[0]
        raise ConfigError(
            f"{hint} A cell or source is named by the start of its id, as launcher/status.py "
            "shows it; a source also by its name."
        )
    shown = "; ".join(
        f"{found.run.id} in {found.folder.path.name} ({found.run.title})" for found in matching[:6]
    )
    more = f"; and {len(matching) - 6} more" if len(matching) > 6 else ""
    if len({found.run.id for found in matching}) == 1 or all(x.run.name == text for x in matching):
        names = " or ".join(f"--study {study_argument(found.folder)}" for found in matching[:6])
        raise ConfigError(f"{text!r} is in {len(matching)} studies{more}. Name one: {names}.")
    raise ConfigError(f"{text!r} is the start of {len(matching)} ids: {shown}{more}. Type more.")
