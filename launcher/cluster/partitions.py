"""Whether any node of a profile's partition could ever run an element, as far as sinfo tells.

By default SLURM takes a job that exceeds its partition's time limit, and lets it wait for ever with
PartitionTimeLimit; one with too many CPUs waits with PartitionConfig (seen with 22.05).
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from launcher.cluster.profile import Profile
from stilt.errors import ConfigError, unknown
from stilt.slurm.commands import ask
from stilt.slurm.nodes import LIST, Node, of_partitions, read_nodes
from stilt.slurm.resources import holds, resources
from stilt.system.units import span

MEGABYTES = {"K": 2**-10, "M": 1, "G": 2**10, "T": 2**20, "": 1}
"""Of each unit of ``--mem``; M where there is none."""
OVERRULES = "partitiontimelimit"
"""Flag of a quality of service that overrules its partition's time limit: sacctmgr(1)."""


def partition_of(profile: Profile, environment: Mapping[str, str] = os.environ) -> str | None:
    """The partitions that elements go to, with commas; None for the default one.

    sbatch(1): the variable stands for the flag.
    """
    return profile.partition or environment.get("SBATCH_PARTITION") or None


def require_fitting_nodes(profile: Profile) -> None:
    """Makes sure that an element is not refused, and does not wait for ever, in its partition.

    Raises:
        ConfigError: No node of it has what is asked for, or none for so long.
    """
    nodes = [node for node in read_nodes(ask(*LIST).output) if node.cpus is not None]
    if why := misfit(profile, nodes):
        raise ConfigError(f"no job of this would ever start: {why}")


def misfit(profile: Profile, nodes: Sequence[Node]) -> str | None:
    """Why no node could ever run an element; None where one could, or where that is in doubt.

    Args:
        profile: what is asked for.
        nodes: the cluster's; their state does not matter, as it changes.
    """
    named = partition_of(profile)
    mine = of_partitions(nodes, named)
    if not nodes or (not named and not mine):
        return None
    if not mine:
        return f"{unknown('partition', str(named), {node.partition for node in nodes})}"
    where = ", ".join(sorted({node.partition for node in mine}))
    enough = _with_resources(profile, mine, where)
    if isinstance(enough, str):
        return enough
    longest = max((node.limit or 0 for node in enough), default=0)
    unlimited = any(node.limit is None for node in enough)
    if not unlimited and 60 * profile.time > longest and not _overruled(profile):
        return (
            f"'time' = {profile.time} minutes, and partition {where} allows {span(longest)} at "
            f"most. Lower 'time' (--time {longest // 60}): what does not end within it goes on in "
            "the next job."
        )
    return None


def _with_resources(profile: Profile, mine: Sequence[Node], where: str) -> list[Node] | str:
    """The nodes that have what an element wants, or why there is none."""
    wanted = resources(profile.node_resources or "") or Counter()
    memory = _megabytes(profile, os.environ)
    most_cpus = max(node.cpus or 0 for node in mine)
    most_memory = max(node.memory or 0 for node in mine)
    wants = (
        (
            f"'cpus' = {profile.cpus}",
            f"{most_cpus} CPUs at most",
            [node for node in mine if node.cpus is None or node.cpus >= profile.cpus],
        ),
        (
            f"'memory' = {memory:.0f}M",
            f"{most_memory}M at most",
            [node for node in mine if node.memory is None or node.memory >= memory],
        ),
        (
            f"'gres' = {profile.node_resources}",
            offered(mine),
            [node for node in mine if node.offers is None or holds(node.offers, wanted)],
        ),
    )
    for asked, there, fit in wants:
        if not fit:
            return f"{asked}, and the nodes of partition {where} have {there}."
    together = [node for node in mine if all(node in fit for _, _, fit in wants)]
    all_asked = ", ".join(asked for asked, _, _ in wants)
    return together or f"no node of partition {where} has all of {all_asked}."


def offered(nodes: Sequence[Node]) -> str:
    """What nodes have of GPUs and the like, in words."""
    found = {
        f"{name}{f':{kind}' if kind else ''}:{number}"
        for node in nodes
        for (name, kind), number in (node.offers or {}).items()
        if number
    }
    return " or ".join(sorted(found)) or "none of it"


def _megabytes(profile: Profile, environment: Mapping[str, str]) -> float:
    """Memory that an element asks of its node; 0 where it does not say, or wants all there is."""
    text = profile.memory or environment.get("SBATCH_MEM_PER_NODE", "")
    digits = text.rstrip("KMGT")
    if not digits.isdecimal():
        return 0
    return int(digits) * MEGABYTES.get(text[len(digits) :], 0)


def _overruled(profile: Profile) -> bool:
    """Whether a quality of service that may be the job's overrules its partition's time limit."""
    mine = profile.qos or os.environ.get("SBATCH_QOS")
    answer = ask("sacctmgr", "--noheader", "--parsable2", "show", "qos", "format=name,flags")
    rows = (line.lower().split("|") for line in answer.output.splitlines() if line.count("|") == 1)
    return any(OVERRULES in flags for name, flags in rows if mine is None or name == mine.lower())
