"""Which cluster is asked: several may share one home, and know nothing of each other's jobs."""

import os
from collections.abc import Mapping

from launcher.slurmwords import setting
from stilt.errors import ConfigError
from stilt.slurmcommands import ask


def this_cluster() -> str | None:
    """Name of the cluster whose controller answers here; None where it does not say.

    Source: scontrol(1), ``show config``; slurm.conf(5), ClusterName.
    """
    answer = ask("scontrol", "show", "config")
    return setting(answer.output, "ClusterName") if answer.problem is None else None


def insist_on_one_cluster(environment: Mapping[str, str] = os.environ) -> None:
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
