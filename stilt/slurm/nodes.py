"""Which nodes of a cluster a job can run on, as far as SLURM's list of them tells.

Whoever keeps a job away from a broken node must know that another is left: SLURM refuses a job that
no node fits, or lets it wait for ever (seen with 22.05).
"""

import re
from collections import Counter

from stilt.slurm.words import resources

LIST = ("sinfo", "--all", "--noheader", "--Node", "--format=%N|%G|%f|%t|%P")
"""The command whose output is read here; sinfo(1). Only with ``--all`` are hidden partitions told,
and beside it sinfo takes no ``--partition``."""
UP = frozenset(("alloc", "comp", "idle", "mix", "plnd"))
"""Short names of states in which a node takes jobs, now or later; sinfo(1), NODE STATE CODES."""
STATE_MARKS = "+~#-"
"""Marks behind a state that do not keep jobs away: completing, powered down or up, planned for."""


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
    rows = [line.strip().split("|") for line in listed.splitlines() if line.count("|") == 4]
    return frozenset(
        name
        for name, offered, features, state, where in rows
        if (where.rstrip("*") in partition.split(",") if partition else where.endswith("*"))
        and state.rstrip(STATE_MARKS) in UP
        and _holds(resources(offered), wanted)
        and _has_features(features, constraint)
    )


def _holds(has: Counter[tuple[str, str]] | None, wanted: Counter[tuple[str, str]]) -> bool:
    """Whether a node has what is wanted; a resource without a type is one of any type."""
    return has is not None and all(
        sum(n for (x, k), n in has.items() if x == name and kind in ("", k)) >= count
        for (name, kind), count in wanted.items()
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
