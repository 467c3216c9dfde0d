"""How much a cluster takes at a time: its longest array, and how many jobs a user may queue."""

import getpass
import re
from dataclasses import dataclass

from launcher.slurmwords import setting
from stilt.slurmcommands import ask, nodes

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
    """Nodes that jobs can run on."""
    cluster: str | None = None
    """The cluster's name, where it says."""
    problem: str | None = None
    """Why the cluster could not be asked."""


def read_limits(
    account: str | None = None, qos: str | None = None, partition: str | None = None
) -> Limits:
    """Asks the cluster; what cannot be asked is taken to be the usual value.

    Args:
        account: the account that is charged; any of the user's where absent.
        qos: the quality of service asked for; the user's default where absent.
        partition: the partition asked for; any where absent.
    """
    config = _output("scontrol", "show", "config")
    if config is None:
        return Limits(problem="scontrol does not answer")
    size = array_size(config)
    cluster = setting(config, "ClusterName")
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
    limit = submit_limit(associations or "", classes or "", account, qos)
    room = None if limit is None else max(0, limit - len((queued or "").split()))
    return Limits(size, room, frozenset(nodes(partition, "--responding")), cluster)


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
    per_class = {
        name: limit
        for name, bar, limit in (line.partition("|") for line in classes.splitlines())
        if bar
    }
    texts = []
    for _, limit, default in mine:
        texts += [limit, per_class.get(qos or default or "normal", "")]
    return min((int(text) for text in texts if text.strip().isdigit()), default=None)


def _output(*command: str) -> str | None:
    answer = ask(*command)
    return answer.output if answer.problem is None else None
