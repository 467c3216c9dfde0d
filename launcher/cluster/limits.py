"""How much a cluster takes at a time: its longest array, and how many jobs a user may queue."""

import getpass
import re
from dataclasses import dataclass

from launcher.cluster.controller import ask_controller
from launcher.cluster.partitions import partition_of
from launcher.cluster.profile import Profile
from stilt.slurm.commands import ask
from stilt.slurm.nodes import LIST, fitting
from stilt.slurm.words import setting

USUAL_ARRAY_SIZE = 1001
"""SLURM's default of MaxArraySize (slurm.conf(5)); indices are below it."""


@dataclass(frozen=True)
class Limits:
    """What one submit may ask for."""

    array_size: int = USUAL_ARRAY_SIZE
    """Elements of one array: MaxArraySize caps the index, which starts at 0."""
    room: int | None = None
    """Elements that the user may still queue; None where nobody limits them."""
    nodes: frozenset[str] = frozenset()
    """Nodes that are up and have what an element asks for; none where that is in doubt."""
    cluster: str | None = None
    """The cluster's name, where it says."""
    problem: str | None = None
    """Why the cluster could not be asked."""


def read_limits(profile: Profile) -> Limits:
    """Asks the cluster; what cannot be asked is taken to be the usual value.

    Args:
        profile: what is asked for: any account of the user's where it names none, and the user's
            default quality of service.
    """
    controller = ask_controller()
    if controller.problem is not None:
        return Limits(problem=controller.problem)
    size = array_size(controller.config)
    cluster = controller.cluster
    queued = _output("squeue", "--all", "--me", "--array", "--noheader", "--format=%i")
    user = getpass.getuser()
    associations = _output(
        *("sacctmgr", "--noheader", "--parsable2", "show", "associations", "where"),
        *(f"user={user}", *([f"cluster={cluster}"] if cluster else [])),
        "format=account,maxsubmitjobs,defaultqos",
    )
    classes = _output(
        *("sacctmgr", "--noheader", "--parsable2", "show", "qos"),
        "format=name,maxsubmitjobsperuser",
    )
    limit = submit_limit(associations or "", classes or "", profile.account, profile.qos)
    room = None if limit is None else max(0, limit - len((queued or "").split()))
    return Limits(size, room, _nodes(profile), cluster)


def _nodes(profile: Profile) -> frozenset[str]:
    """Nodes that an element fits on, but for those that the profile excludes."""
    fit = fitting(
        _output(*LIST) or "",
        gres=profile.node_resources,
        constraint=profile.constraint,
        partition=partition_of(profile),
    )
    if profile.exclude is None:
        return fit
    excluded = _output("scontrol", "show", "hostnames", profile.exclude)
    return frozenset() if excluded is None else fit - set(excluded.split())


def array_size(config: str) -> int:
    """Longest array that the text of ``scontrol show config`` allows.

    Source: slurm.conf(5), MaxArraySize, and max_array_tasks of SchedulerParameters.
    """
    value = setting(config, "MaxArraySize") or ""
    size = int(value) if value.isdigit() else USUAL_ARRAY_SIZE
    lower = re.search(r"\bmax_array_tasks=(\d+)", setting(config, "SchedulerParameters") or "")
    return max(1, min(size, int(lower[1])) if lower else size)


def submit_limit(
    associations: str, classes: str, account: str | None, qos: str | None
) -> int | None:
    """The lowest limit of queued jobs that applies; None where there is none.

    Args:
        associations: lines of ``account|MaxSubmitJobs|DefaultQOS``.
        classes: lines of ``qos|MaxSubmitJobsPerUser``.
        account: the account that is charged, or None.
        qos: the quality of service asked for, or None.
    """
    rows = [line.split("|") for line in associations.splitlines() if line.count("|") == 2]
    mine = [row for row in rows if account is None or row[0] == account]
    per_class = dict(line.split("|") for line in classes.splitlines() if line.count("|") == 1)
    texts = [
        text
        for _, limit, default in mine
        for text in (limit, per_class.get(qos or default or "normal", ""))
    ]
    return min((int(text) for text in texts if text.strip().isdigit()), default=None)


def _output(*command: str) -> str | None:
    answer = ask(*command)
    return answer.output if answer.problem is None else None
