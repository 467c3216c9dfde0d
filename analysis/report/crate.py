"""A bundle described for machines: ``ro-crate-metadata.json``.

Source: RO-Crate 1.2, https://w3id.org/ro/crate/1.2 (root data entity; data entities).
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from analysis.report.checklist import FILES
from stilt import __version__
from stilt.study import Study

NAME = "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
MEDIA = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".txt": "text/plain",
}
FOLDERS = ("results/", "sources/", "failures/", "data/")
"""Described as a whole: they hold a file for each run."""


def metadata(
    study: Study, contents: Mapping[str, bytes], began: datetime, ended: datetime
) -> dict[str, Any]:
    """The crate of a bundle.

    Args:
        study: for its name.
        contents: path below the root -> content, of everything but this file.
        began: of the first run.
        ended: of the last one.
    """
    folders = [name for name in FOLDERS if any(path.startswith(name) for path in contents)]
    files = [path for path in contents if not path.startswith(FOLDERS)]
    title = study.grid.title or study.name
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": f"Results of study {study.name}: intermediate-task fine-tuning of "
        f"{study.grid.model.name}, {len(study.cells)} cells; records, tables and figures",
        "datePublished": ended.date().isoformat(),
        "license": {"@id": "#licence"},
        "hasPart": _refer([*folders, *files]),
        "mentions": {"@id": "#runs"},
    }
    licence = {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "None chosen",
        "description": "Whoever publishes this bundle chooses a licence. The data sets keep their "
        "own: see CHECKLIST.md, B2.",
    }
    runs = {
        "@id": "#runs",
        "@type": "CreateAction",
        "name": f"Runs of study {study.name}",
        "instrument": {"@id": "#program"},
        "object": {"@id": "study.json"},
        "result": _refer([name for name in FOLDERS[:2] if name in folders]),
        "startTime": began.isoformat(timespec="seconds"),
        "endTime": ended.isoformat(timespec="seconds"),
    }
    program = {
        "@id": "#program",
        "@type": "SoftwareApplication",
        "name": "stilt-lab",
        "softwareVersion": __version__,
    }
    descriptor = {
        "@id": NAME,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }
    graph = [descriptor, root, licence, runs, program]
    graph += [_folder(name, contents) for name in folders]
    graph += [_file(path, contents[path]) for path in files]
    terms = {"sha256": "https://schema.org/sha256"}
    return {"@context": [f"{SPECIFICATION}/context", terms], "@graph": graph}


def _refer(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _folder(name: str, contents: Mapping[str, bytes]) -> dict[str, Any]:
    count = sum(path.startswith(name) for path in contents)
    said = f"{FILES[name]}; {count} files"
    return {"@id": name, "@type": "Dataset", "name": name.rstrip("/"), "description": said}


def _file(path: str, content: bytes) -> dict[str, Any]:
    found = {
        "@id": path,
        "@type": "File",
        "name": PurePosixPath(path).name,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    media = MEDIA.get(PurePosixPath(path).suffix)
    return found | ({"encodingFormat": media} if media else {})
