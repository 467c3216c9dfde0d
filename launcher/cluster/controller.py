"""The cluster whose controller answers here, and whether it answers at all."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stilt.errors import ConfigError
from stilt.slurm.commands import ask
from stilt.slurm.words import setting
from stilt.system.invocation import spelled


@dataclass(frozen=True)
class Controller:
    """What SLURM's controller says of itself."""

    config: str = ""
    """Text of ``scontrol show config``."""
    problem: str | None = None
    """Why it does not answer; None where it does."""

    @property
    def cluster(self) -> str | None:
        """The cluster's name; None where it does not say: slurm.conf(5), ClusterName."""
        return setting(self.config, "ClusterName")


def ask_controller(waiting: Callable[[str], object] | None = None) -> Controller:
    """Asks the controller about itself.

    Args:
        waiting: told what is waited for, where it takes more than a moment.
    """
    answer = ask("scontrol", "show", "config", waiting=waiting)
    if answer.problem is not None:
        return Controller(problem=answer.problem)
    return Controller(answer.output)


def require_controller(waiting: Callable[[str], object] | None = None) -> Controller:
    """Makes sure that jobs can be sent from here, and asked about.

    Where the controller is silent, nothing tells whether what earlier jobs hold is still held, and
    on which cluster: then nothing may be sent.

    Raises:
        ConfigError: It does not answer.
    """
    controller = ask_controller(waiting)
    if controller.problem is not None:
        raise ConfigError(
            f"SLURM does not answer here: {controller.problem}. Nothing was sent; the same command "
            f"goes on once it answers ({spelled('doctor')} tells more)."
        )
    return controller


def require_one_cluster(environment: Mapping[str, str] = os.environ) -> None:
    """Makes sure that jobs are sent to the cluster that will be asked about them.

    sbatch reads SBATCH_CLUSTERS or SLURM_CLUSTERS, the other commands the latter alone; with
    several names, sbatch takes the cluster that would start a job first: sbatch(1), --clusters.

    Raises:
        ConfigError: They name several clusters, or not the same one.
    """
    ours = environment.get("SLURM_CLUSTERS", "")
    if "," in ours or ours == "all":
        raise ConfigError(
            f"SLURM_CLUSTERS={ours}: jobs could go to any of these clusters, and each knows its "
            "own alone. Export the name of one."
        )
    theirs = environment.get("SBATCH_CLUSTERS", ours)
    if theirs != ours:
        raise ConfigError(
            f"SBATCH_CLUSTERS={theirs}: jobs would go where squeue and scancel do not look. "
            f"Export SLURM_CLUSTERS={theirs} instead, which all of SLURM's commands obey."
        )
