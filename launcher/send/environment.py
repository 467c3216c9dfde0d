"""Hides variables of sbatch that contradict the script: they would win over it."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext

from submitit.helpers import clean_env

KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Variables of a job that say where SLURM is, not what the job was given."""
ALWAYS = (
    *("ARRAY_INX", "COMMENT", "DEPENDENCY", "ERROR", "JOB_NAME", "NO_REQUEUE", "OPEN_MODE"),
    *("OUTPUT", "REQUEUE", "SIGNAL", "WAIT"),
    # of GPUs the profile always says something, be it none
    *("GPUS", "GPUS_PER_NODE", "GPUS_PER_SOCKET", "GPUS_PER_TASK", "GRES"),
)
"""Ends of SBATCH_ variables by which jobs would be lost, waited for, or get other GPUs."""
_MEMORY = ("MEM_PER_CPU", "MEM_PER_GPU", "MEM_PER_NODE")
RULED = {
    "cpus-per-task": ("CPUS_PER_GPU",),
    "mem": _MEMORY,
    "mem-per-cpu": _MEMORY,
    "mem-per-gpu": _MEMORY,
    "switches": ("REQ_SWITCH", "WAIT4SWITCH"),
    "time": ("TIMELIMIT",),
}
"""Flags and the variables of other names that they contradict: sbatch(1), INPUT ENVIRONMENT."""


def overriding(flags: Collection[str]) -> set[str]:
    """Variables that are set and would win over a script's flags, which have no dashes."""
    ends = {*ALWAYS, *(flag.upper().replace("-", "_") for flag in flags)}
    ends.update(end for flag in flags for end in RULED.get(flag, ()))
    return set(os.environ) & {f"SBATCH_{end}" for end in ends}


@contextmanager
def without_overriding(flags: Collection[str]) -> Iterator[None]:
    """Hides variables that would win over a script, and those of a job that the launcher runs in.

    Where SLURM is, and the user's variables for what the script leaves open, stay.

    Args:
        flags: what the script sets, without dashes.
    """
    hidden = {name: os.environ[name] for name in overriding(flags)}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or (name.startswith("SBATCH_") and name not in hidden)
    }
    with clean_env() if "SLURM_JOB_ID" in os.environ else nullcontext():
        for name in hidden:
            os.environ.pop(name, None)
        os.environ.update(kept)
        try:
            yield
        finally:
            os.environ.update(hidden)
