"""Giving an element back to SLURM from inside, to go on elsewhere."""

import re
import subprocess
import time

POLL_SECONDS = 0.5


def requeue_elsewhere(job: str, node: str) -> None:
    """Requeues an element and keeps it off a node, unless there would be no node left.

    SLURM changes the excluded nodes of waiting jobs only, and an element waits as soon as it is
    requeued, while its processes still have KillWait seconds (30 by default) to live.
    """
    shown = _scontrol("show", "job", "--oneliner", job)
    excluded = re.search(r"ExcNodeList=([^\s(]+)", shown)
    partition = re.search(r"Partition=(\S+)", shown)
    nodes = _output("sinfo", "--noheader", "--Node", "--format=%N")
    if partition:
        nodes = _output(
            *("sinfo", "--noheader", "--Node", "--format=%N", f"--partition={partition[1]}")
        )
    names = f"{excluded[1]},{node}" if excluded else node
    listed = _output("scontrol", "show", "hostnames", names).split()
    _scontrol("requeue", job)
    if not node or not set(nodes.split()) - set(listed):
        return
    for _ in range(8):
        # the requeue sends SIGTERM to all processes of the element, this one's children included
        run = subprocess.run(
            ["scontrol", "update", f"jobid={job}", f"excnodelist={names}"], check=False
        )
        if run.returncode == 0:
            return
        time.sleep(POLL_SECONDS)


def _scontrol(*arguments: str) -> str:
    return _output("scontrol", *arguments)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
