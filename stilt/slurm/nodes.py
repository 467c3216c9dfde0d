"""Which nodes of a cluster a job can run on, as far as SLURM's list of them tells.

Whoever keeps a job away from a broken node must know that another is left: SLURM refuses a job that
no node fits, or lets it wait for ever (seen with 22.05).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stilt.slurm.resources import Resources, holds, resources
from stilt.slurm.words import seconds

LIST = ("sinfo", "--all", "--noheader", "--Node", "--format=%N|%G|%f|%t|%P|%c|%m|%l|%a")
"""The command whose output is read here; sinfo(1). Only with ``--all`` are hidden partitions told,
and beside it sinfo takes no ``--partition``."""
UP = frozenset(("alloc", "comp", "idle", "mix", "plnd"))
"""Short names of states in which a node takes jobs, now or later; sinfo(1), NODE STATE CODES."""
STATE_MARKS = "+~#-"
"""Marks behind a state that do not keep jobs away: completing, powered down or up, planned for."""


@dataclass(frozen=True)
class Node:
    """A node in one of its partitions."""

    name: str
    offers: Resources | None
    """Its generic resources; None where they are not understood."""
    features: str
    state: str
    partition: str
    default: bool
    """Whether jobs that name no partition go to this one."""
    cpus: int | None = None
    memory: int | None = None
    """Megabytes."""
    limit: int | None = None
    """Seconds that a job may take in this partition; None for no limit."""
    open: bool = True
    """Whether the partition is up."""


def read_nodes(listed: str) -> list[Node]:
    """Every node that the output of ``LIST`` tells, once for each of its partitions."""
    found = []
    for line in listed.splitlines():
        fields = line.strip().split("|")
        if len(fields) not in (5, 9):
            continue
        name, gres, features, state, where, *more = fields
        cpus, memory, limit, up = more or ("", "", "", "up")
        found.append(
            Node(
                name=name,
                offers=resources(gres),
                features=features,
                state=state.rstrip(STATE_MARKS),
                partition=where.rstrip("*"),
                default=where.endswith("*"),
                cpus=int(cpus) if cpus.isdecimal() else None,
                memory=int(memory) if memory.isdecimal() else None,
                limit=seconds(limit),
                open=up == "up",
            )
        )
    return found


def of_partitions(nodes: Iterable[Node], names: str | None) -> list[Node]:
    """The nodes of some partitions, with commas between; of the default one where none is named."""
    wanted = names.split(",") if names else []
    return [node for node in nodes if (node.partition in wanted if wanted else node.default)]


def fitting(
    listed: str, *, gres: str | None, constraint: str | None, partition: str | None
) -> frozenset[str]:
    """Nodes that certainly can run a job, now or later.

    Args:
        listed: output of ``LIST``.
        gres: generic resources that the job wants of a node, as sbatch or scontrol write them.
        constraint: features that the job wants.
        partition: partitions of the job, with commas; the default one where absent.
    """
    wanted = resources(gres or "")
    if wanted is None:
        return frozenset()
    return frozenset(
        node.name
        for node in of_partitions(read_nodes(listed), partition)
        if node.state in UP
        and node.offers is not None
        and holds(node.offers, wanted)
        and _has_features(node.features, constraint)
    )


def _has_features(features: str, constraint: str | None) -> bool:
    """Whether a node has the features wanted; no, where the expression is more than a list."""
    if not constraint or constraint == "(null)":
        return True
    has = set(features.split(","))
    for sign, enough in ((r"[&,]", all), (r"\|", any)):
        names = re.split(sign, constraint)
        if all(re.fullmatch(r"[\w.:-]+", name) for name in names):
            return enough(name in has for name in names)
    return False
