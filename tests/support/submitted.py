"""The study ``own`` in ./logs, as a submit left it, and the command line that submits it."""

import json
from collections import Counter
from pathlib import Path

from launcher.scheduler.ledger import read_ledger
from stilt.folder import StudyFolder, read_study


def arguments(own: Path, *more: str) -> list[str]:
    return [f"grid={own / 'own.toml'}", f"data_dir={own / 'data'}", *more]


def folder(root: str = "logs") -> StudyFolder:
    return StudyFolder(Path(root) / "own")


def sent_items() -> Counter:
    """How often each item is in a bundle of an array that SLURM has, by submissions.jsonl."""
    found: Counter = Counter()
    for line in read_ledger(folder()).lines:
        for bundle in line.elements().values():
            held = json.loads((folder().bundles / f"{bundle}.json").read_text())
            found.update(held["bundle"]["items"])
    return found


def everything() -> Counter:
    study = read_study(folder())
    return Counter([*study.cells, *study.sources])
