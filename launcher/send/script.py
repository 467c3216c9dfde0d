"""The script that sbatch is given for an array: its flags, and the lines before the worker."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit.slurm.slurm import _make_sbatch_string

from jobs.settings import Settings
from launcher.cluster.profile import JOB_NAME, Profile
from launcher.scheduler.ledger import job_name
from launcher.send.arrays import Array
from launcher.send.pickles import task_folder
from launcher.study.worker_code import QUIET
from stilt.errors import ConfigError
from stilt.folder import StudyFolder

UNFIT = {
    "%": "sbatch puts something else in its place in the names of logs",
    "\\": "sbatch reads it as an escape in the names of logs",
    ":": "PYTHONPATH ends a folder's name there",
    "\n": "it ends a line of the job's script",
    "\r": "it ends a line of the job's script",
}
"""Characters that a study's folder cannot have, and why: sbatch(1), FILENAME PATTERN."""
AS_THEY_ARE = ("account", "constraint", "gres", "partition", "qos")
"""Fields of a profile that sbatch is given under the same name."""


@dataclass
class Script:
    """What sbatch is given for the arrays of one submit."""

    folder: StudyFolder
    """The study's folder; its path is absolute."""
    profile: Profile
    settings: Settings
    """What workers are told."""
    code: Path
    """The code's snapshot."""
    exclude: Sequence[str] = ()
    """Nodes to keep away from, besides the profile's."""

    def parameters(self, array: Array, dependency: str | None = None) -> dict[str, Any]:
        """What submitit is told about one array, with SLURM's text of what it waits for."""
        profile, code = self.profile, shlex.quote(str(self.code))
        nodes = [*([profile.exclude] if profile.exclude else []), *self.exclude]
        found: dict[str, Any] = {
            "job_name": job_name(self.settings.submission),
            # by its comment, an array is found again
            "comment": array.token,
            **{name: getattr(profile, name) for name in AS_THEY_ARE},
            "time": array.minutes or profile.time,
            "exclude": ",".join(nodes) or None,
            "mem": profile.memory,
            "cpus_per_task": profile.cpus,
            # since SLURM 22.05, srun inside a job no longer takes this from sbatch
            # and where jobs are sent without an environment, it would drop what the set-up exports
            "srun_args": [f"--cpus-per-task={profile.cpus}", "--export=ALL"],
            "gpus_per_node": profile.gpus_beside_gres,
            "nodes": 1,
            "ntasks_per_node": 1,
            "signal_delay_s": profile.signal_seconds,
            "stderr_to_stdout": True,
            "array_parallelism": array.parallel,
            "dependency": dependency,
            "wckey": None,
            "setup": [
                *profile.setup,
                # the snapshot comes before what is installed; the working folder is not searched,
                # for which an empty part of PYTHONPATH would stand
                f'PYTHONPATH=$(printf %s {code}:"${{PYTHONPATH:-}}" | tr -s :)',
                "export PYTHONPATH=${PYTHONPATH%:}",
                "export PYTHONSAFEPATH=1",
                *(f"export {name}={value}" for name, value in QUIET.items()),
                f"export OMP_NUM_THREADS={self.settings.threads or 1}",
            ],
            "additional_parameters": {
                "requeue": True,
                "kill-on-invalid-dep": "yes",
                **{
                    key: value
                    for key, value in profile.extra.items()
                    if value is not False and key != JOB_NAME
                },
            },
        }
        return {key: value for key, value in found.items() if value is not None or key == "wckey"}

    def text(self, array: Array, dependency: str | None = None) -> str:
        """The script itself, as submitit writes it."""
        tasks = task_folder(self.folder, array.token)
        text: str = _make_sbatch_string(
            command=f"{shlex.quote(sys.executable)} -u -m submitit.core._submit "
            f"{shlex.quote(str(tasks))}",
            folder=self.folder.slurm,
            map_count=len(array.bundles) if len(array.bundles) > 1 else None,
            **self.parameters(array, dependency),
        )
        return text

    def flags(self, array: Array) -> set[str]:
        """Names of the flags of sbatch that the script sets, without dashes."""
        return set(re.findall(r"^#SBATCH --([a-z0-9-]+)", self.text(array), re.MULTILINE))


def require_safe_path(folder: StudyFolder) -> None:
    """Makes sure that jobs can find a study's folder by its path.

    Raises:
        ConfigError: The path has a character that sbatch or Python takes for something else.
    """
    path = str(folder.path.resolve())
    for character, why in UNFIT.items():
        if character in path:
            raise ConfigError(
                f"the study's folder {path!r}: with --executor slurm its path cannot have "
                f"{character!r} ({why}). Choose another --root or --study."
            )
