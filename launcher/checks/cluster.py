"""What the doctor looks at on a cluster: SLURM's commands, limits, partition, GPUs."""

import shutil
from collections import Counter
from collections.abc import Sequence
from functools import partial

from launcher.checks.machine import Finding
from launcher.cluster.controller import require_one_cluster
from launcher.cluster.limits import read_limits
from launcher.cluster.partitions import misfit, offered, partition_of
from launcher.cluster.profile import Profile, profile_paths
from stilt.errors import ConfigError
from stilt.slurm.commands import ask
from stilt.slurm.nodes import LIST, Node, of_partitions, read_nodes
from stilt.slurm.resources import gpu_number
from stilt.system.invocation import spelled
from stilt.system.units import counted, span

NEEDED = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
TIMEOUT_SECONDS = 15
_ask = partial(ask, seconds=TIMEOUT_SECONDS)


def commands() -> list[Finding]:
    """Looks whether SLURM's commands are here, and its controller and accounting answer."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return [Finding("SLURM", "bad", f"not here: {', '.join(absent)}", "use a login node")]
    ping = _ask("scontrol", "ping")
    if ping.problem:
        return [Finding("SLURM", "bad", ping.problem, "wait for the controller, or ask the admins")]
    version = _ask("sbatch", "--version").output.strip()
    found = [Finding("SLURM", "ok", f"{version}; {ping.output.strip().splitlines()[0]}")]
    problem = _ask("sacct", "--noheader", "--allocations", "--format=JobID").problem
    if problem:
        remedy = "ends of jobs are told from their logs"
        return [*found, Finding("sacct", "warning", problem, remedy)]
    return [*found, Finding("sacct", "ok", "answers")]


def profile_fits(profile: Profile) -> list[Finding]:
    """Looks at the profile, and at the limits and the partition that its jobs meet."""
    where = next((str(path) for path in profile_paths() if path.is_file()), None)
    seen = f"{where or 'no cluster.toml: defaults'}; {profile.time} min, {profile.cpus} CPUs, "
    seen += f"{profile.element_gpus} GPU, {profile.memory or 'default'} memory per element"
    remedy = "" if where else "write ./cluster.toml: account, partition, gres, time"
    found = [Finding("profile", "ok", seen, remedy)]
    try:
        require_one_cluster()
    except ConfigError as error:
        found.append(Finding("clusters", "bad", str(error), "mend these variables"))
    limits = read_limits(profile)
    room = counted(limits.room, "more job") if limits.room is not None else "no limit of jobs"
    seen = f"MaxArraySize {limits.array_size}; you may queue {room}"
    if limits.problem:
        found.append(Finding("limits", "warning", limits.problem, "the usual limits are assumed"))
    elif limits.room == 0:
        remedy = f"wait, or cancel a study: {spelled('cancel')} STUDY"
        found.append(Finding("limits", "warning", seen, remedy))
    else:
        found.append(Finding("limits", "ok", seen))
    return [*found, *partition(profile)]


def partition(profile: Profile) -> list[Finding]:
    """Looks whether the profile's partition is there and up, and could run its elements."""
    answer = _ask(*LIST)
    if answer.problem:
        return [Finding("partition", "bad", answer.problem, "ask the admins")]
    nodes = read_nodes(answer.output)
    names = list(dict.fromkeys(node.partition for node in nodes))
    named = partition_of(profile)
    mine = of_partitions(nodes, named)
    if not mine:
        seen = f"{named or 'no default partition'}: not among {', '.join(names)}"
        return [Finding("partition", "bad", seen, "set 'partition' in cluster.toml")]
    name = ",".join(dict.fromkeys(node.partition for node in mine))
    if not any(node.open for node in mine):
        return [Finding("partition", "bad", f"{name} is not up", "wait, or another partition")]
    limits = [node.limit for node in mine if node.limit is not None]
    longest = f"at most {span(max(limits))}" if len(limits) == len(mine) else "no time limit"
    seen = f"{name}: up, {counted(len({node.name for node in mine}), 'node')}, {longest}"
    found = Finding("partition", "ok", seen)
    if why := misfit(profile, nodes):
        found = Finding("partition", "bad", why, "mend cluster.toml")
    return [found, _gpus(profile, mine)]


def _gpus(profile: Profile, mine: Sequence[Node]) -> Finding:
    if profile.element_gpus == 0:
        if "gpus" in profile.model_fields_set:
            return Finding("GPU", "ok", "none, as the profile says")
        return Finding("GPU", "warning", "the profile asks for none", "set 'gres' or 'gpus'")
    if not any(gpu_number(node.offers or Counter()) for node in mine):
        return Finding("GPU", "bad", "no node of the partition has one", "another 'partition'")
    return Finding("GPU", "ok", offered(mine))
