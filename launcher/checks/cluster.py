"""What the doctor looks at on a cluster: SLURM's commands, limits, partition, GPUs."""

import shutil
from collections.abc import Iterable
from functools import partial

from launcher.checks.finding import BAD, OK, WARN, Finding
from launcher.cluster.limits import read_limits, require_one_cluster
from launcher.cluster.profile import Profile, profile_paths
from stilt.errors import ConfigError
from stilt.slurm.commands import ask
from stilt.slurm.words import seconds

NEEDED = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
TIMEOUT_SECONDS = 15
_ask = partial(ask, seconds=TIMEOUT_SECONDS)


def has_slurm() -> bool:
    """Whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def commands() -> list[Finding]:
    """SLURM's commands, and whether those who answer them do."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return [Finding("SLURM", BAD, f"not here: {', '.join(absent)}", "use a login node")]
    ping = _ask("scontrol", "ping")
    if ping.problem:
        return [Finding("SLURM", BAD, ping.problem, "wait for the controller, or ask the admins")]
    version = _ask("sbatch", "--version").output.strip()
    found = [Finding("SLURM", OK, f"{version}; {ping.output.strip().splitlines()[0]}")]
    problem: str | None = "not here"
    if shutil.which("sacct") is not None:
        problem = _ask("sacct", "--noheader", "--allocations", "--format=JobID").problem
    if problem:
        return [*found, Finding("sacct", WARN, problem, "ends of jobs are told from their logs")]
    return [*found, Finding("sacct", OK, "answers")]


def cluster(profile: Profile) -> list[Finding]:
    """Limits and partition that jobs of a profile meet."""
    where = next((str(path) for path in profile_paths() if path.is_file()), None)
    seen = f"{where or 'no cluster.toml: defaults'}; {profile.time} min, {profile.cpus} CPUs, "
    seen += f"{profile.element_gpus} GPU, {profile.memory or 'default'} memory per element"
    remedy = "" if where else "write ./cluster.toml: account, partition, gres, time"
    found = [Finding("profile", OK, seen, remedy)]
    try:
        require_one_cluster()
    except ConfigError as error:
        found.append(Finding("clusters", BAD, str(error), "mend these variables"))
    limits = read_limits(profile)
    if limits.problem:
        found.append(Finding("limits", WARN, limits.problem, "the usual limits are assumed"))
    else:
        room = f"{limits.room} more jobs" if limits.room is not None else "no limit of jobs"
        seen = f"MaxArraySize {limits.array_size}; you may queue {room}"
        full = limits.room == 0
        remedy = "wait, or launcher/cancel.py a study" if full else ""
        found.append(Finding("limits", WARN if full else OK, seen, remedy))
    return [*found, *partition(profile)]


def partition(profile: Profile) -> list[Finding]:
    """The partition that a profile's jobs go to: there, up, long enough, with GPUs."""
    answer = _ask("sinfo", "--all", "--noheader", "--format=%P|%a|%l|%G|%D")
    if answer.problem:
        return [Finding("partition", BAD, answer.problem, "ask the admins")]
    rows = [line.split("|") for line in answer.output.splitlines() if line.count("|") == 4]
    names = list(dict.fromkeys(row[0].rstrip("*") for row in rows))
    default = next((row[0].rstrip("*") for row in rows if row[0].endswith("*")), None)
    wanted = (profile.partition or default or "").split(",")
    mine = [row for row in rows if row[0].rstrip("*") in wanted]
    if not mine:
        seen = f"{profile.partition or 'no default partition'}: not among {', '.join(names)}"
        return [Finding("partition", BAD, seen, "set 'partition' in cluster.toml")]
    name = ",".join(wanted)
    if not any(row[1] == "up" for row in mine):
        return [Finding("partition", BAD, f"{name} is {mine[0][1]}", "wait, or another partition")]
    limit = max((_minutes(row[2]) for row in mine), default=0)
    nodes = sum(int(row[4]) for row in mine if row[4].isdigit())
    seen = f"{name}: up, {nodes} nodes, at most {mine[0][2]}"
    found = Finding("partition", OK, seen)
    if profile.time > limit:
        seen += f", the profile asks for {profile.time} min"
        found = Finding("partition", BAD, seen, "lower 'time'")
    return [found, _gpus(profile, mine)]


def _gpus(profile: Profile, rows: Iterable[list[str]]) -> Finding:
    kinds = sorted({row[3] for row in rows if "gpu" in row[3]})
    if profile.element_gpus == 0:
        return Finding("GPU", WARN, "the profile asks for none", "set 'gres' or 'gpus'")
    if not kinds:
        return Finding("GPU", BAD, "no node of the partition has one", "another 'partition'")
    return Finding("GPU", OK, ", ".join(kinds))


def _minutes(text: str) -> float:
    found = seconds(text)
    return found / 60 if found is not None else float("inf")
