"""Finding what a person names: a study below the root, a run by the start of its id."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from stilt.cell import Run
from stilt.errors import ConfigError, unknown
from stilt.folder import StudyFolder, read_studies
from stilt.study import Study

SHOWN = 8
"""Characters of an id on screens; enough to be unique among thousands."""


@dataclass(frozen=True)
class Found:
    """A run of a study."""

    study: Study
    folder: StudyFolder
    run: Run


def studies(root: Path) -> list[StudyFolder]:
    """Every study below a root, by name."""
    return [StudyFolder(path.parent) for path in sorted(root.glob("*/study.json"))]


def called(folder: StudyFolder) -> str:
    """What a person types after a command to mean a study: its name, or its path elsewhere."""
    path = folder.path
    return shlex.quote(path.name if path.parent == Path("logs") else str(path))


def the_study(name: str, root: Path) -> StudyFolder:
    """The study of a name, or in a folder.

    Raises:
        ConfigError: There is none; the message has those there are.
    """
    for path in (root / name, Path(name)):
        if (path / "study.json").is_file():
            return StudyFolder(path)
    known = [folder.path.name for folder in the_studies(None, root)]
    raise ConfigError(f"{root}: {unknown('study', name, known)}")


def the_studies(name: str | None, root: Path) -> list[StudyFolder]:
    """The named study, or all below the root.

    Raises:
        ConfigError: There is none.
    """
    if name is not None:
        return [the_study(name, root)]
    found = studies(root)
    if not found:
        raise ConfigError(
            f"{root}: no study here. Begin one with: python launcher/submit.py --grid demo; or "
            "name the folder that holds them with --root."
        )
    return found


def the_run(text: str, name: str | None, root: Path) -> Found:
    """The run whose id begins with ``text``, or the source of that name.

    Raises:
        ConfigError: None or several; the message has what was probably meant.
    """
    studies, _ = read_studies(the_studies(name, root))
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
    raise ConfigError(f"{text!r} is the start of {len(matching)} ids: {shown}{more}. Type more.")
