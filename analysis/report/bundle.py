"""A study for others: its records, tables, figures and a checklist, in one zip file.

The tables in it are made from the records in it, so that whoever unpacks it gets the same.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.read.anonymous import make_anonymous
from analysis.read.collect import Collection
from analysis.read.copied import copy_records
from analysis.report import crate
from analysis.report.checklist import FILES, checklist
from analysis.report.costs import runs_of
from analysis.report.environments import environments
from analysis.report.facts import Group
from analysis.tables.presentation import TextTable
from stilt.errors import ConfigError
from stilt.folder import StudyFolder, read_study
from stilt.study import Study
from stilt.system.files import replacing

SHEET, UNPACKED = "CHECKLIST.md", "bundle"
"""The sheet, and the folder that it takes the bundle to be unpacked in."""
MADE_AGAIN = (("cells.parquet",), ("cache",))
"""Of a summary: what the next one makes again for itself."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in it, the earliest that a zip file can tell."""

Summarized = tuple[Collection, tuple[Group, ...], list[TextTable], str]
"""A study that was summarised: its facts, the tables with its results, and the command's flags."""


def require_place(path: Path) -> None:
    """Makes sure that a bundle can be written.

    Raises:
        ConfigError: It cannot be, or is not called a zip file.
    """
    if path.suffix != ".zip":
        raise ConfigError(f"--bundle {path}: a name that ends with .zip is expected.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise ConfigError(f"--bundle {path}: {what}.")


def write_bundle(
    folder: StudyFolder,
    study: Study,
    path: Path,
    summarized: Callable[[Study, StudyFolder], Summarized],
    *,
    anonymous: bool = False,
) -> list[str]:
    """Writes a study's bundle: the same records give the same bytes.

    Args:
        folder: the study's.
        study: what ``read_study`` gave for it.
        path: the zip file.
        summarized: makes tables and figures of a study's copy, in its summary folder.
        anonymous: leave out who ran it, see ``make_anonymous``.

    Returns:
        What an anonymous one has to keep, a line each.

    Raises:
        ConfigError: No run has ended, or the file cannot be written.
    """
    with TemporaryDirectory() as place:
        # named as the checklist names it, so that the report's own command is right
        copied = StudyFolder(Path(place) / UNPACKED)
        copy_records(folder, study, copied)
        kept = make_anonymous(copied) if anonymous else []
        study = read_study(copied)
        collection, groups, tables, flags = summarized(study, copied)
        runs = runs_of(collection)
        began, ended = runs["started"].min(), runs["finished"].max()
        if began is None or ended is None:
            raise ConfigError(f"--bundle {path}: no run of study {study.name} has ended yet.")
        made = environments(copied, collection.cells)
        again = f"python analysis/summarize.py {UNPACKED} {flags}"
        withheld = [task.title for task in study.tasks.values() if task.credentialed]
        held = list(_held(copied))
        sheet = checklist(study, groups, tables, withheld, again, held, anonymous=anonymous)
        texts = {
            SHEET: sheet,
            "environment.json": json.dumps([asdict(one) for one in made], indent=1) + "\n",
            "commands.txt": "\n".join([*dict.fromkeys(one.command for one in made), again]) + "\n",
        }
        for name, text in texts.items():
            (copied.path / name).write_text(text, encoding="utf-8")
        contents = {name: file.read_bytes() for name, file in sorted(_files(copied.path))}
        table = crate.metadata(study, contents, began, ended)  # type: ignore[arg-type]
        text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
        _pack({crate.NAME: text.encode(), **contents}, path)
    return kept


def _held(copied: StudyFolder) -> Iterator[str]:
    """What a bundle holds, of what one may hold."""
    for name in FILES:
        made = name in (crate.NAME, "environment.json", "commands.txt")
        if made or (copied.path / name).exists():
            yield name


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a summarised copy: path below it, and the file."""
    for file in folder.rglob("*"):
        below = file.relative_to(folder)
        made_again = below.parts[0] == "summary" and below.parts[1:2] in MADE_AGAIN
        if file.is_file() and not made_again:
            yield below.as_posix(), file


def _pack(contents: dict[str, bytes], path: Path) -> None:
    try:
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, content in sorted(contents.items()):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
    except OSError as error:
        raise ConfigError(f"--bundle {path}: cannot be written ({error.strerror}).") from None
