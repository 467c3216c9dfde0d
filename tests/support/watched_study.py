"""A study whose cells are held, done and lost as a test wants it, and how status shows it."""

import json
import socket
from datetime import UTC, datetime, timedelta

from launcher.status import main as status
from launcher.watch.observer import Observer
from stilt.records import claims

SUBMISSION = "slurm-1122203810-ab12cd"

DEAD = 2**22 + 5
"""No process has this id: Linux gives them out below 2**22."""


def show(tmp_path, capsys, *arguments):
    code = status([*arguments, "--root", str(tmp_path / "logs")])
    return code, capsys.readouterr()


def undone(made, number=1, source="none"):
    """Cells whose results are taken away."""
    study, folder = made
    cells = [cell for cell in study.cells.values() if cell.source == source][:number]
    for cell in cells:
        folder.result(cell.id).unlink()
    return cells


def hold(folder, item, *, submission=SUBMISSION, bundle="b0", pid=DEAD, **more):
    claim = claims.Claim(
        item=item, submission=submission, bundle=bundle, host=socket.gethostname(), pid=pid, **more
    )
    claims.take(claim, folder.claim(item))
    return claim


def submitted(folder, bundles=("b0",), array="12", age=3600, **more):
    written = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    entry = {"submission": SUBMISSION, "array": array, "bundles": list(bundles), "time": written}
    folder.submissions.write_text(json.dumps(entry | more) + "\n")


def squeue(*rows):
    return "".join(
        f"{job}|{state}|1:05|{why}|node1|N/A|stilt-{SUBMISSION}\n" for job, state, why in rows
    )


def ended(job, state, code="0:0", took=7200):
    return f"{job}|{state}|{took}|None|node1|cpu=1|stilt-{SUBMISSION}|{code}|2026-11-22T20:40:45\n"


def state_of(made, item):
    study, folder = made
    return next(found for found in Observer(folder, study).look().items if found.id == item)
