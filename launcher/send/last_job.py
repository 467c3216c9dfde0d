"""A small job after all others of a submit, which tells a webhook that they have ended."""

import shlex
import sys
from collections.abc import Sequence

from submitit.slurm.slurm import _make_sbatch_string

from launcher.send.arrays import Array
from launcher.send.environment import without_overriding
from launcher.send.script import Script
from stilt.slurm.commands import ask
from stilt.system.files import write_text

SECONDS = 300
"""For one sbatch, which a busy controller may keep waiting."""
MINUTES = 10
"""Time limit of the job, which takes seconds."""
ARRAYS_OWN = {"gres", "gpus_per_node", "array_parallelism", "comment", "constraint"}
"""Of what arrays ask for, what this job does without."""
SIZES = ("cpus", "gpu", "gres", "mem", "ntasks", "tres")
"""Beginnings of further flags of a profile that say how much is asked for."""


def send_last_job(script: Script, like: Array, jobs: Sequence[str]) -> str | None:
    """Sends the job that starts when some jobs have ended, well or not; why SLURM refused it.

    Args:
        script: of the submit.
        like: an array of it, for account, partition and the like.
        jobs: ids of all its arrays.
    """
    logs = script.folder.slurm
    path = logs / f"{script.settings.submission}_notice.sh"
    write_text(path, last_script(script, like, jobs))
    with without_overriding({"dependency", "time", "mem", "cpus-per-task"}):
        answer = ask("sbatch", "--parsable", str(path), seconds=SECONDS)
    return answer.problem


def last_script(script: Script, like: Array, jobs: Sequence[str]) -> str:
    """The job's script."""
    submission = script.settings.submission
    asked = script.parameters(like, ":".join(["afterany", *jobs]))
    kept = {name: value for name, value in asked.items() if name not in ARRAYS_OWN}
    extra = asked["additional_parameters"].items()
    kept["additional_parameters"] = {k: v for k, v in extra if not k.startswith(SIZES)}
    # another name than the arrays': what is looked up by theirs is a submit's runs
    kept |= {"job_name": f"stilt-notice-{submission}", "time": MINUTES}
    # where nothing says how much memory, some clusters give a whole node's
    kept |= {"cpus_per_task": 1, "mem": "1G"}
    kept |= {"srun_args": ["--cpus-per-task=1", "--export=ALL"], "signal_delay_s": 30}
    command = [sys.executable, "-m", "jobs.notice", str(script.folder.path), submission]
    text: str = _make_sbatch_string(command=shlex.join(command), folder=script.folder.slurm, **kept)
    return text
