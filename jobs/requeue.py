"""Giving an element back to SLURM from inside, to go on elsewhere."""

import re
import time

from stilt.slurmcommands import ask, nodes

POLL_SECONDS = 0.5
SECONDS = 60.0
"""For one call: many elements that leave a node at once ask together."""


def requeue_elsewhere(job: str, node: str) -> None:
    """Requeues an element and keeps it off a node, unless there would be no node left.

    SLURM changes the excluded nodes of waiting jobs only, and an element waits as soon as it is
    requeued, while its processes still have KillWait seconds (30 by default) to live.
    """
    shown = _scontrol("show", "job", "--oneliner", job)
    excluded = re.search(r"ExcNodeList=([^\s(]+)", shown)
    partition = re.search(r"Partition=(\S+)", shown)
    there = nodes(partition[1] if partition else None, seconds=SECONDS)
    names = f"{excluded[1]},{node}" if excluded else node
    listed = _output("scontrol", "show", "hostnames", names).split()
    _scontrol("requeue", job)
    if not node or not there - set(listed):
        return
    for _ in range(8):
        # the requeue sends SIGTERM to all processes of the element, this one's children included
        answer = ask("scontrol", "update", f"jobid={job}", f"excnodelist={names}", seconds=SECONDS)
        if answer.problem is None:
            return
        time.sleep(POLL_SECONDS)


def _scontrol(*arguments: str) -> str:
    return _output("scontrol", *arguments)


def _output(*command: str) -> str:
    return ask(*command, seconds=SECONDS).output
