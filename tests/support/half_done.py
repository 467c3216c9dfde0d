"""A study of which half is done, and the array of SLURM that holds the other half."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stilt.folder import StudyFolder
from stilt.study import Study
from tests.support.claims import DEAD, hold
from tests.support.fake_commands import Commands
from tests.support.fake_study import make_study

SUBMISSION = "slurm-1122203810-ab12cd"
_GRID = {
    "name": "g",
    "title": "G",
    "model": {"hub": "org/encoder", "revision": "0" * 40},
    "blocks": [
        {
            "sources": ["none", "hellaswag"],
            "targets": ["rte", "cola"],
            "learning_rate": [1e-5],
            "batch_size": [8],
            "warmup_ratio": [0.0],
            "seed": [12, 42],
        }
    ],
}
"""2 sources x 2 targets x 2 seeds."""


def make_half_done(path: Path) -> Study:
    """Writes a study's folder in which no cell of seed 42 has a result."""
    study = make_study(path, grid=_GRID, dev_rows=20, points=4)
    for found in study.cells.values():
        if found.seed == 42:
            StudyFolder(path).result(found.id).unlink()
    return study


def undone_cell(study: Study, source: str, target: str) -> str:
    """Id of the cell of seed 42."""
    wanted = (source, target, 42)
    return next(c.id for c in study.cells.values() if (c.source, c.target, c.seed) == wanted)


def note_submitted(folder: StudyFolder, *bundles: str) -> None:
    """Notes that array 12 was submitted an hour ago, with one element for each bundle."""
    written = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    entry = {"submission": SUBMISSION, "array": "12", "bundles": bundles, "time": written}
    folder.submissions.write_text(json.dumps(entry) + "\n")


def hold_two_elements(study: Study, folder: StudyFolder, commands: Commands) -> None:
    """Element 0 holds both cells of ``none`` and runs, 1 both of ``hellaswag`` and waits."""
    note_submitted(folder, "b0", "b1")
    for bundle, source in (("b0", "none"), ("b1", "hellaswag")):
        for target in ("rte", "cola"):
            hold(folder, undone_cell(study, source, target), SUBMISSION, bundle, pid=DEAD)
    states = (("12_0", "RUNNING"), ("12_1", "PENDING"))
    lines = [f"{job}|{state}|1:05||node1|N/A|stilt-{SUBMISSION}\n" for job, state in states]
    commands.say("squeue", "".join(lines))


def run(command, tmp_path: Path, capsys, *arguments: str):
    """Exit code of a command on the study ``logs/mine``, and what it printed."""
    code = command(["mine", *arguments, "--root", str(tmp_path / "logs")])
    return code, capsys.readouterr()
