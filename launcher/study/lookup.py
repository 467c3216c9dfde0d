"""Finds the run that a person names: by the start of its id, or a source by its name."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from launcher.flags import Places
from stilt.cell import SYNTHESIS, Run
from stilt.errors import ConfigError, unknown
from stilt.folder import StudyFolder, find_studies, find_study, read_studies
from stilt.study import Study
from stilt.system.invocation import spelled

ID_SHOWN = 8
"""Characters of an id on screens; enough to be unique among thousands."""


@dataclass(frozen=True)
class Found:
    """A run of a study."""

    study: Study
    folder: StudyFolder
    run: Run


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


def find_runs(text: str, name: str | None, root: Path) -> list[Found]:
    """Finds the run whose id begins with ``text``, or the source of that name.

    Args:
        text: what the person wrote; ``STUDY/`` before it names the study.
        name: the study; all below root where absent.
        root: folder that holds studies.

    Returns:
        The one run, in each study that has it.

    Raises:
        ConfigError: None or several; the message has what was probably meant.
    """
    if name is None and "/" in text:
        name, _, text = text.rpartition("/")
    studies, _ = read_studies(find_studies(root) if name is None else [find_study(name, root)])
    known = [
        Found(study, folder, run)
        for folder, study in studies.items()
        for run in study.runs.values()
    ]
    named = [found for found in known if found.run.cell is None]
    matching = [found for found in named if found.run.name == text]
    matching = matching or [found for found in known if found.run.id.startswith(text)]
    # generated rows are called the same in every study
    if len({found.run.id for found in matching} - {SYNTHESIS}) == 1 or len(matching) == 1:
        return matching
    if not matching:
        near = {found.run.name for found in named} | {found.run.id for found in known}
        hint = unknown("cell", text, near).partition(" Known:")[0]
        raise ConfigError(
            f"{hint} A cell or source is named by the start of its id, as {spelled('status')} "
            "shows it; a source also by its name."
        )
    shown = "; ".join(
        f"{found.run.id} in {found.folder.path.name} ({found.run.title})" for found in matching[:6]
    )
    more = f"; and {len(matching) - 6} more" if len(matching) > 6 else ""
    if all(found.run.name == text for found in matching):
        names = " or ".join(shlex.quote(in_study(found, text)) for found in matching[:6])
        raise ConfigError(f"{text!r} is in {len(matching)} studies{more}. Name one: {names}.")
    raise ConfigError(f"{text!r} is the start of {len(matching)} ids: {shown}{more}. Type more.")


def in_study(found: Found, text: str) -> str:
    """What a person types to name a run of one study, with her own word for the run."""
    path = found.folder.path
    return f"{path.name if path.parent == Path('logs') else path}/{text}"
