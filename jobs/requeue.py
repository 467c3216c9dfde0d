"""Giving an element back to SLURM from inside, to go on elsewhere.

A busy controller may not answer for minutes, and a compute node need not have every command: what
is only a courtesy is left out then, and the requeue itself is tried again.
"""

import re
import signal
import subprocess
import time
from dataclasses import dataclass

from stilt.nodes import LIST, fitting

POLL_SECONDS = 0.5
TRIES = 5
"""How often SLURM is asked for a requeue before it counts as refused."""
PAUSE_SECONDS = 10.0
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class _Answer:
    code: int
    text: str
    problem: str
    """One line; what a command said that failed."""


def requeue_elsewhere(job: str, node: str) -> str | None:
    """Requeues an element and keeps it off a node, unless no other would be left for it.

    Args:
        job: the element's id.
        node: the node; empty to keep it off none.

    Returns:
        None if SLURM took it back, else why it did not.
    """
    names = _excluded(job, node) if node else ""
    problem = requeue(job)
    if problem is None and names:
        _keep_off(job, names)
    return problem


def requeue(job: str) -> str | None:
    """Requeues an element, with some patience.

    Returns:
        None if SLURM took it back, else why it did not.
    """
    answer = _ask("scontrol", "requeue", job)
    for _ in range(TRIES - 1):
        if _took(answer):
            break
        time.sleep(PAUSE_SECONDS)
        answer = _ask("scontrol", "requeue", job)
    return None if _took(answer) else answer.problem


def _took(answer: _Answer) -> bool:
    """Whether SLURM took an element back.

    A requeue sends SIGTERM to all processes of the element, the one that asked for it included; and
    what an earlier request achieved that was not answered in time shows as a job that is pending.
    """
    return answer.code in (0, -signal.SIGTERM) or "pending" in answer.problem.lower()


def _excluded(job: str, node: str) -> str:
    """Nodes to keep an element off: the one, and what was excluded before; empty if none fits then.

    In doubt it is empty: a job that no node fits would wait for ever.
    """
    shown = _ask("scontrol", "show", "job", "--oneliner", job).text
    before = _field(shown, "ExcNodeList")
    names = f"{before},{node}" if before else node
    listed = _ask("scontrol", "show", "hostnames", names).text.split()
    partition = _field(shown, "Partition")
    fit = fitting(
        _ask(*LIST, *([f"--partition={partition}"] if partition else [])).text,
        gres=_field(shown, "TresPerNode"),
        constraint=_field(shown, "Features"),
        partition=partition,
    )
    return names if node in listed and fit - set(listed) else ""


def _field(shown: str, name: str) -> str | None:
    found = re.search(rf"\b{name}=(\S+)", shown)
    return found[1] if found and found[1] != "(null)" else None


def _keep_off(job: str, names: str) -> None:
    """SLURM changes the excluded nodes of waiting jobs only.

    An element waits as soon as it is requeued, while its processes still have KillWait seconds (30
    by default) to live.
    """
    for _ in range(8):
        if _ask("scontrol", "update", f"jobid={job}", f"excnodelist={names}").code == 0:
            return
        time.sleep(POLL_SECONDS)


def _ask(*command: str) -> _Answer:
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return _Answer(124, "", f"{command[0]} did not answer in {TIMEOUT_SECONDS} s")
    except OSError as error:
        return _Answer(127, "", f"{command[0]}: {error.strerror}")
    said = " ".join(run.stderr.split()) or f"{command[0]} ended with exit code {run.returncode}"
    return _Answer(run.returncode, run.stdout if run.returncode == 0 else "", said)
