"""What the doctor looks at on a cluster: SLURM's commands, limits, partition, GPUs."""

import shutil
from collections.abc import Iterable
from functools import partial

from launcher.checks.machine import Finding
from launcher.cluster.limits import read_limits, require_one_cluster
from launcher.cluster.profile import Profile, profile_paths
from stilt.errors import ConfigError
from stilt.slurm.commands import ask
from stilt.slurm.words import seconds

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
    room = f"{limits.room} more jobs" if limits.room is not None else "no limit of jobs"
    seen = f"MaxArraySize {limits.array_size}; you may queue {room}"
    if limits.problem:
        found.append(Finding("limits", "warning", limits.problem, "the usual limits are assumed"))
    elif limits.room == 0:
        found.append(Finding("limits", "warning", seen, "wait, or launcher/cancel.py a study"))
    else:
        found.append(Finding("limits", "ok", seen))
    return [*found, *partition(profile)]


def partition(profile: Profile) -> list[Finding]:
    """Looks whether the profile's partition is there and up, allows its time, and has GPUs."""
    answer = _ask("sinfo", "--all", "--noheader", "--format=%P|%a|%l|%G|%D")
    if answer.problem:
        return [Finding("partition", "bad", answer.problem, "ask the admins")]
    rows = [line.split("|") for line in answer.output.splitlines() if line.count("|") == 4]
    names = list(dict.fromkeys(row[0].rstrip("*") for row in rows))
    default = next((row[0].rstrip("*") for row in rows if row[0].endswith("*")), None)
    wanted = (profile.partition or default or "").split(",")
    mine = [row for row in rows if row[0].rstrip("*") in wanted]
    if not mine:
        seen = f"{profile.partition or 'no default partition'}: not among {', '.join(names)}"
        return [Finding("partition", "bad", seen, "set 'partition' in cluster.toml")]
    name = ",".join(wanted)
    if not any(row[1] == "up" for row in mine):
        return [
            Finding("partition", "bad", f"{name} is {mine[0][1]}", "wait, or another partition")
        ]
    limits = [seconds(row[2]) for row in mine]
    nodes = sum(int(row[4]) for row in mine if row[4].isdigit())
    seen = f"{name}: up, {nodes} nodes, at most {mine[0][2]}"
    found = Finding("partition", "ok", seen)
    if all(limit is not None and 60 * profile.time > limit for limit in limits):
        seen += f", the profile asks for {profile.time} min"
        found = Finding("partition", "bad", seen, "lower 'time'")
    return [found, _gpus(profile, mine)]


def _gpus(profile: Profile, rows: Iterable[list[str]]) -> Finding:
    kinds = sorted({row[3] for row in rows if "gpu" in row[3]})
    if profile.element_gpus == 0:
        return Finding("GPU", "warning", "the profile asks for none", "set 'gres' or 'gpus'")
    if not kinds:
        return Finding("GPU", "bad", "no node of the partition has one", "another 'partition'")
    return Finding("GPU", "ok", ", ".join(kinds))
