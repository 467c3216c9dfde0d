"""A study on disk: its paths, and study.json written, read and compared."""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from stilt.cell import SYNTHESIS, Run
from stilt.config import parse, read_json
from stilt.errors import ConfigError, ResultError, unknown
from stilt.study import Study
from stilt.system.files import create_text, write_text

MOST = 10
"""Differences that are listed; of more there is the number."""
ASKED = 25
"""Records of a sort that are asked which study they are of."""
WIDEST = 60
"""Characters of a value that are shown."""

_ABSENT = object()


def differences(old: Any, new: Any) -> str:
    """Lists what differs between two JSON values, as ``tasks.wic.epochs: 1 -> 2`` a line."""
    found = [f"{path}: {_shown(a)} -> {_shown(b)}" for path, a, b in _changed("", old, new)]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "\n".join(f"  {line}" for line in found[:MOST] + more)


def _changed(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _changed(inner, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif _tables(old) and _tables(new) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _changed(f"{path}[{place}]", one, other)
    elif old != new:
        yield path, old, new


def _tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


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
        self.summary = summary or path / "summary"
        self.submissions = path / "submissions.jsonl"

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
            f"{root}: no study here. Begin one with: python launcher/submit.py --grid demo; or "
            "name the folder that holds them with --root."
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


def write_study(study: Study, folder: StudyFolder) -> str:
    """Writes study.json, or checks that the folder already holds this very study.

    A study.json that is damaged or gone is made anew where what was run there is of this study.

    Returns:
        What was mended, for people; most often empty.

    Raises:
        ResultError: The folder holds a study with another configuration; the message lists what
            differs.
        ConfigError: Its study.json is of a newer version.
    """
    text = json.dumps(study.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    damage = _damage(folder.study_file)
    if damage is None:
        require_same_study(study, read_study(folder), folder)
        return ""
    others = _digests(folder) - {study.digest}
    if others:
        raise ResultError(
            f"{folder.study_file}: {damage or 'absent'}, and what was run there is of study "
            f"{', '.join(sorted(others))}, not of this one ({study.digest}). Put the file back "
            "from a copy, submit the grid and model that the study was begun with, or give this "
            "one a name of its own with --study."
        )
    if not damage:
        if not create_text(folder.study_file, text):
            require_same_study(study, read_study(folder), folder)
        return ""
    if folder.study_file.is_dir():
        raise ResultError(f"{folder.study_file}: a folder, where a file is expected. Remove it.")
    write_text(folder.study_file, text)
    return f"{folder.study_file}: {damage}. It was made anew."


def _damage(path: Path) -> str | None:
    """Why a study.json is no JSON table; empty where there is none, None where nothing is wrong."""
    try:
        return None if isinstance(read_json(path), dict) else "not a table"
    except FileNotFoundError:
        return ""
    except ConfigError as error:
        return str(error).removeprefix(f"{path}: ").rstrip(".")


def _digests(folder: StudyFolder) -> set[str]:
    """Digests of the studies that some of the records in a folder are of."""
    paths = chain(
        islice(folder.results.glob("[!.]*.json"), ASKED),
        islice(folder.path.glob("sources/*/result.json"), ASKED),
        islice(folder.failures.glob("[!.]*.json"), ASKED),
    )
    found = set()
    for path in paths:
        try:
            table = read_json(path)
        except (FileNotFoundError, ConfigError):
            continue
        if isinstance(table, dict) and isinstance(table.get("study"), str):
            found.add(table["study"])
    return found


def require_same_study(study: Study, there: Study, folder: StudyFolder) -> None:
    """Refuses a study where another one is.

    Raises:
        ResultError: They differ; the message says in what.
    """
    if there.name != study.name and there == study.model_copy(update={"name": there.name}):
        raise ResultError(
            f"{folder.path}: holds study {there.name!r}, whose folder was renamed, and its results "
            f"bear that name. Rename it back to {there.name!r}, and the same command goes on with "
            f"--study {there.name}."
        )
    if there != study:
        changes = differences(there.model_dump(mode="json"), study.model_dump(mode="json"))
        raise ResultError(
            f"{folder.path}: holds a study with another configuration, and a study is fixed once "
            "begun. Give this one a name of its own with --study, or go on with the old files. "
            f"There -> here:\n{changes}"
        )
