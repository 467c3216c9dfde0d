"""A submit's lines and claims, and what squeue and sacct print of its jobs."""

import json
import socket
from datetime import UTC, datetime, timedelta

from launcher.scheduler.ledger import LedgerLine
from stilt.records.claims import Claim

ID = "slurm-1122203810-ab12cd"
NAME = f"stilt-{ID}"


def line(array="12", bundles=("b0", "b1", "b2"), age=600.0, **more):
    """A line of the ledger as a table, written some seconds ago."""
    time_ = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "submission": ID,
        "array": array,
        "bundles": list(bundles),
        "time": time_.isoformat(),
    } | more


def note(folder, *tables):
    """Writes a study's ledger."""
    folder.submissions.write_text("".join(json.dumps(table) + "\n" for table in tables))


def lines(*tables):
    """Lines of a ledger; one where none is named."""
    return [LedgerLine.model_validate(table) for table in tables or [line()]]


def squeue(*rows):
    """Rows of (id, state, reason) as squeue prints them."""
    return "".join(
        f"{job}|{state}|1:05|{why}|node1|gres:gpu:1|{NAME}\n" for job, state, why in rows
    )


def sacct(*rows, submitted="2026-11-22T20:40:45"):
    """Rows of (id, state, seconds, exit code) as sacct prints them."""
    return "".join(
        f"{job}|{state}|{took}|JobArrayTaskLimit|node1|billing=1,cpu=1,node=1|{NAME}|{code}|"
        f"{submitted}\n"
        for job, state, took, code in rows
    )


def claim(bundle="b1", *, running=False, job=None, submission=ID, **more):
    """A claim of this machine by a process that does not live."""
    values = {"item": "cell", "host": socket.gethostname(), "pid": 2**22 + 5} | more
    return Claim(submission=submission, bundle=bundle, running=running, job=job, **values)
