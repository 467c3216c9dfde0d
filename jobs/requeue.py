"""An array element asks SLURM to requeue it, on another node where its own is broken.

A busy controller may not answer for minutes, so the requeue is asked for several times. A compute
node may lack some of SLURM's commands: then the element is requeued and kept off no node.

Nothing here sets StartTime or releases the element: until the credential of its last start expires,
a node may take it for the job that it has just killed (seen with 22.05).
"""

import re
import signal
import time

from stilt.slurm.commands import Answer, ask
from stilt.slurm.nodes import LIST, fitting

UPDATE_SECONDS = 0.5
"""Between two tries to exclude nodes for a requeued element."""
ANSWER_SECONDS = 60.0
"""How long one command may take: many elements that leave a node at once ask together."""
TRIES = 5
"""How often SLURM is asked for a requeue before it counts as refused."""
PAUSE_SECONDS = 10.0
"""Between two requests for a requeue."""


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
    # SLURM changes the excluded nodes of waiting jobs only. An element waits as soon as it is
    # requeued, while its processes still have KillWait seconds (30 by default) to live.
    for _ in range(8 if problem is None and names else 0):
        if _ask("scontrol", "update", f"jobid={job}", f"excnodelist={names}").problem is None:
            break
        time.sleep(UPDATE_SECONDS)
    return problem


def requeue(job: str) -> str | None:
    """Requeues an element; asks again where SLURM does not answer or refuses.

    Returns:
        None if SLURM took it back, else why it did not.
    """
    problem = None
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        answer = _ask("scontrol", "requeue", job)
        # a requeue sends SIGTERM to all processes of the element, also to the one that asks for it;
        # where SLURM obeyed an earlier request that it did not answer in time, the job is pending
        if answer.code in (0, -signal.SIGTERM) or "pending" in answer.errors.lower():
            return None
        problem = answer.problem
    return problem


def _excluded(job: str, node: str) -> str:
    """Nodes to keep an element off: this one, and those that its job excludes already.

    Empty where no other node fits, or SLURM does not say: a job that no node fits waits for ever.
    """
    shown = _ask("scontrol", "show", "job", "--oneliner", job).output
    before = _field(shown, "ExcNodeList")
    names = f"{before},{node}" if before else node
    listed = _ask("scontrol", "show", "hostnames", names).output.split()
    fit = fitting(
        _ask(*LIST).output,
        gres=_field(shown, "TresPerNode"),
        constraint=_field(shown, "Features"),
        partition=_field(shown, "Partition"),
    )
    return names if node in listed and fit - set(listed) else ""


def _field(shown: str, name: str) -> str | None:
    found = re.search(rf"\b{name}=(\S+)", shown)
    return found[1] if found and found[1] != "(null)" else None


def _ask(*command: str) -> Answer:
    return ask(*command, seconds=ANSWER_SECONDS)
