"""A study on disk: its paths, and study.json written and read."""

import errno
import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from stilt.cell import SYNTHESIS, Run
from stilt.config import parse, read_json
from stilt.errors import ConfigError, unknown
from stilt.study import Study
from stilt.system.files import write_text
from stilt.system.invocation import spelled

Name = str | os.PathLike[str]
"""A path, or what may be one."""


class StudyFolder:
    """Where the parts of a study lie."""

    def __init__(self, path: Path, summary: Path | None = None) -> None:
        """Knows where they are; ``summary`` is where else its tables, figures and cache go."""
        self.path = path
        self.study_file = path / "study.json"
        self.results = path / "results"
        self.failures = path / "failures"
        self.claims = path / "claims"
        self.bundles = path / "bundles"
        self.logs = path / "logs"
        self.slurm = path / "slurm"
        self.tracking = path / "tracking"
        self.notices = path / "notices"
        self.summary = summary or path / "summary"
        self.submissions = path / "submissions.jsonl"
        self.calibration = path / "calibration.json"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def argument(self) -> str:
        """What a person types to name the study: its name below logs/, else its path."""
        path = self.path
        return shlex.quote(path.name if path.parent == Path("logs") else str(path))

    def source(self, source_id: str) -> Path:
        """Folder of a source's checkpoint and result.json."""
        return self.path / "sources" / source_id

    def result(self, cell_id: str) -> Path:
        """Result of a cell."""
        return self.results / f"{cell_id}.json"

    def record(self, run: Run) -> Path:
        """The file that a run leaves last: its result, or the last file of generated rows."""
        if run.stage == SYNTHESIS:
            return self.synthesis() / "dev.jsonl"
        return self.source(run.id) / "result.json" if run.source else self.result(run.id)

    def failure(self, item: str) -> Path:
        """Failure record of a run."""
        return self.failures / f"{item}.json"

    def claim(self, item: str) -> Path:
        """Claim of a run by the job that holds it."""
        return self.claims / f"{item}.json"

    def bundle_log(self, bundle: str) -> Path:
        """What a worker process of this machine prints while it runs a bundle."""
        return self.logs / f"{bundle}.log"

    def data_digest(self, task: str) -> Path:
        """Digest of a task's rows, fixed when the study first sees them."""
        return self.path / "data" / f"{task}.json"

    def resume(self, item: str) -> Path:
        """State of an interrupted run."""
        return self.path / "resume" / f"{item}.pt"

    def synthesis(self) -> Path:
        """Folder of the generated rows."""
        return self.path / "synthesis"


def find_study(name: str, root: Path) -> StudyFolder:
    """Finds a study by its name below the root, or by the path of its folder.

    Raises:
        ConfigError: There is none; the message has what was probably meant.
    """
    places = [path for path in (root / name, Path(name)) if _can_be(path)]
    for path in places:
        # a link to nowhere, or a folder, is told when it is read
        if os.path.lexists(StudyFolder(path).study_file):
            return StudyFolder(path)
    for path in places:
        if path.is_dir():
            raise ConfigError(f"{path}: no study here (study.json is absent).")
    known = [folder.path.name for folder in find_studies(root)]
    raise ConfigError(f"{unknown('study', name, known)} Studies are looked for in {root}.")


def open_study(
    name: str | os.PathLike[str], *, root: str | os.PathLike[str] = "logs"
) -> StudyFolder:
    """Finds a study that is there, for ``import stilt``.

    Args:
        name: its name below the root, or its folder.
        root: folder that holds studies.

    Raises:
        ConfigError: There is none, or it cannot be read.

    >>> import stilt
    >>> study = stilt.open_study("tiny")
    >>> str(study.path)
    'logs/tiny'
    """
    folder = find_study(os.fspath(name), Path(root))
    read_study(folder)
    return folder


def _can_be(path: Path) -> bool:
    """Whether a text can be the name of a file at all: no NUL, no name of over 255 bytes."""
    try:
        os.lstat(path / "study.json")
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def find_studies(root: Path) -> list[StudyFolder]:
    """Every study below the root, by name.

    Raises:
        ConfigError: There is none.
    """
    found = [StudyFolder(path.parent) for path in sorted(root.glob("*/study.json"))]
    if not found:
        raise ConfigError(
            f"{root}: no study here. Begin one with: {spelled('submit')} --grid demo (with "
            "--executor local where there is no cluster); or name the folder that holds them with "
            "--root."
        )
    return found


def read_study(folder: StudyFolder) -> Study:
    """Reads a study back.

    Raises:
        ConfigError: The folder is no study, or a newer version wrote it.
    """
    try:
        table = read_json(folder.study_file)
    except FileNotFoundError:
        raise ConfigError(f"{folder.path}: no study here (study.json is absent).") from None
    except ConfigError as error:
        raise ConfigError(
            f"{error} The same submit that began the study makes it anew; or put it back from a "
            "copy."
        ) from None
    return parse(Study, table, folder.study_file)


def read_studies(folders: Iterable[StudyFolder]) -> tuple[dict[StudyFolder, Study], list[str]]:
    """Reads what can be read of several studies; the rest is told, and hides no other.

    Raises:
        ConfigError: None can be read.
    """
    found: dict[StudyFolder, Study] = {}
    problems: list[str] = []
    for folder in folders:
        try:
            found[folder] = read_study(folder)
        except ConfigError as error:
            problems.append(str(error))
    if problems and not found:
        raise ConfigError("; ".join(problems))
    return found, problems


def write_study(study: Study, folder: StudyFolder) -> None:
    """Writes study.json, whole or not at all; whether it may be is for the caller to know."""
    text = json.dumps(study.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    write_text(folder.study_file, text)
