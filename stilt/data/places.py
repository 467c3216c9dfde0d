"""Where the files of a split lie: as a task file names them, or as exports of data sets do."""

import errno
import glob
import re
from collections.abc import Iterator
from pathlib import Path

from stilt.errors import DataError
from stilt.task import Origin

EXPORTED = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow")
"""Formats that rows are exported in."""
COLUMNAR = (".parquet", ".arrow")
"""Those of which a split may be several files."""
DEV = ("dev", "val", "validation")
"""What the development split is called."""


def find(path: Path) -> Path | None:
    """The file itself or its ``.gz``; None where neither exists."""
    zipped = path.with_name(path.name + ".gz")
    try:
        return next((p for p in (path, zipped) if p.is_file()), None)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


def find_below(folder: Path, name: str) -> Path | None:
    """What ``find`` finds of a name in a folder, whose own folders may be spelled in capitals.

    SuperGLUE's archives unpack as ``RTE`` and ``WiC``, others as ``rte`` and ``wic``.
    """
    if (found := find(folder / name)) or Path(name).is_absolute():
        return found
    place = _folder(folder, name)
    return find(place / Path(name).name) if place else None


def _folder(folder: Path, name: str) -> Path | None:
    """The folder that a file's name is in, in any capitals; the exact spelling first."""
    for part in Path(name).parts[:-1]:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        alike = [path for path in inside if path.name.lower() == part.lower()]
        if not alike:
            return None
        folder = next((path for path in alike if path.name == part), alike[0])
    return folder


def find_alike(folder: Path, name: str) -> list[Path]:
    """Files that hold what a name does, in another format or as the Hub's tools lay it out.

    That is ``rte/val.jsonl`` as ``rte/val.csv``, ``rte/validation.parquet``, the Hub's own
    ``rte/validation-00000-of-00001.parquet``, or ``rte/validation/data-00000-of-00001.arrow``, as
    ``save_to_disk`` writes it.

    Returns:
        One file, or the parts of a split in order; none where there is nothing like it.

    Raises:
        DataError: Of a split in parts some are missing.
    """
    if Path(name).is_absolute():
        folder, name = Path(name).parent, Path(name).name
    stem = Path(name.removesuffix(".gz")).stem
    place = _folder(folder, name)
    if place is None or not place.is_dir() or stem in ("", ".."):
        return []
    for other in _spellings(stem):
        for suffix in EXPORTED:
            if found := find(place / f"{other}{suffix}"):
                return [found]
        if parts := _parts(place, other):
            return parts
    return []


def _spellings(stem: str) -> list[str]:
    """A name, and the same with its word for the development split replaced."""
    words = re.split(r"([._-])", stem)
    own = [i for i, word in enumerate(words) if word in DEV]
    if len(own) != 1:
        return [stem]
    others = ("".join([*words[: own[0]], word, *words[own[0] + 1 :]]) for word in DEV)
    return list(dict.fromkeys([stem, *others]))


def _parts(place: Path, stem: str) -> list[Path]:
    """The files that a split was divided into, in order.

    Raises:
        DataError: Some are there, and not all that their names speak of.
    """
    stem = glob.escape(stem)
    for suffix in COLUMNAR:
        for pattern in (
            f"{stem}-[0-9]*-of-[0-9]*",
            f"{stem}/data-[0-9]*-of-[0-9]*",
            f"{stem}/[0-9]*",
        ):
            found = sorted(place.glob(f"{pattern}{suffix}"))
            if not found:
                continue
            total = re.search(r"-of-(\d+)$", found[0].stem)
            if total and len(found) != (whole := int(total[1])):
                raise DataError(f"{found[0]}: of the split's {whole} files {len(found)} are there.")
            return found
    return []


def export_names(task: str, origin: Origin) -> Iterator[tuple[str, str]]:
    """Names of train and dev that an export of a Hub data set may have, to be found alike.

    Its folder is called like the task, like the configuration, or as on the Hub.
    """
    repository = str(origin.hub).rpartition("/")[2]
    config = origin.config or ""
    folders = [task, config, f"{repository}/{config}" if config else repository]
    folders += [] if config else [f"{task}/data", f"{repository}/data"]
    for folder in dict.fromkeys(filter(None, folders)):
        yield f"{folder}/{origin.train}.parquet", f"{folder}/{origin.dev}.parquet"
