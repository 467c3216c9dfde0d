"""The SLURM executor: sends a plan as job arrays through submitit and is done with it.

Nothing here waits for jobs. What a launcher leaves behind if it dies at any point is told from
submissions.jsonl (a line before the first sbatch, one after each) and from squeue, by job name.
"""

import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import (
    FailedJobError,
    FailedSubmissionError,
)
from submitit.helpers import clean_env
from submitit.slurm.slurm import _make_sbatch_string

from jobs.slurm_task import BundleTask
from launcher.arrays import Array
from launcher.cluster import Profile
from launcher.opening import worker_environment
from launcher.recovery import (
    LOOKS,
    Intent,
    append_line,
    find_array,
    job_line,
    now,
    place_pickles,
    planned,
)
from stilt.errors import ConfigError
from stilt.plan import Bundle
from stilt.study import StudyFolder

KEPT_VARIABLES = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Variables of a job that say where SLURM is, not what the job was given."""
FULL = ("MaxSubmitJob", "max submit job limit", "MaxJobCount")
"""What sbatch says where the user may queue no more; sbatch(1) and slurmctld's messages."""
NO_NODE = "node configuration is not available"
"""What sbatch says where no node fits; seen with 22.05, the only fitting node excluded."""


@dataclass
class Sent:
    """How a submit went."""

    arrays: list[tuple[Array, str]] = field(default_factory=list)
    """Each array with its job id."""
    left: list[Bundle] = field(default_factory=list)
    """Bundles that did not go out."""
    problem: str | None = None
    """Why they did not."""


def sbatch_parameters(
    profile: Profile,
    *,
    submission: str,
    token: str,
    code: Path,
    threads: int,
    exclude: Sequence[str] = (),
    dependency: str | None = None,
    parallel: int = 1,
) -> dict[str, Any]:
    """What submitit is told about one array.

    Args:
        profile: the cluster's profile.
        submission: id of the submit, which names the job.
        token: goes into the job's comment, so that an array can be found again.
        code: the code's snapshot.
        threads: CPU threads of each worker process.
        exclude: nodes to keep away from, besides the profile's.
        dependency: SLURM's text of it.
        parallel: elements that may run at one time.
    """
    inherited = worker_environment()
    variables = {
        name: inherited[name]
        for name in (
            "HF_HUB_OFFLINE",
            "HF_HUB_DISABLE_PROGRESS_BARS",
            "TOKENIZERS_PARALLELISM",
            "TQDM_DISABLE",
        )
    }
    nodes = [*([profile.exclude] if profile.exclude else []), *exclude]
    found: dict[str, Any] = {
        "job_name": f"stilt-{submission}",
        "comment": token,
        "account": profile.account,
        "partition": profile.partition,
        "qos": profile.qos,
        "gres": profile.gres,
        "constraint": profile.constraint,
        "exclude": ",".join(nodes) or None,
        "time": profile.time,
        "mem": profile.memory,
        "cpus_per_task": profile.cpus,
        # since SLURM 22.05, srun inside a job no longer takes this from sbatch
        "srun_args": [f"--cpus-per-task={profile.cpus}"],
        "gpus_per_node": None if profile.gres else (profile.element_gpus or None),
        "nodes": 1,
        "ntasks_per_node": 1,
        "signal_delay_s": profile.signal_seconds,
        "stderr_to_stdout": True,
        "array_parallelism": parallel,
        "dependency": dependency,
        "wckey": None,
        "setup": [
            *profile.setup,
            # the snapshot comes before whatever is installed; the working folder is not searched
            f'export PYTHONPATH="{code}${{PYTHONPATH:+:$PYTHONPATH}}" PYTHONSAFEPATH=1',
            *(f"export {name}={value}" for name, value in variables.items()),
            f"export OMP_NUM_THREADS={threads}",
        ],
        "additional_parameters": {
            "requeue": True,
            "kill-on-invalid-dep": "yes",
            **{key: value for key, value in profile.extra.items() if value is not False},
        },
    }
    return {key: value for key, value in found.items() if value is not None or key == "wckey"}


def sbatch_text(parameters: Mapping[str, Any], folder: StudyFolder, elements: int) -> str:
    """The script that sbatch is given for an array, for a dry run."""
    logs = folder.slurm.resolve()
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(logs))}"
    count = elements if elements > 1 else None
    text: str = _make_sbatch_string(command=command, folder=logs, map_count=count, **parameters)
    return text


class Sender:
    """Sends the arrays of one submit."""

    def __init__(
        self,
        folder: StudyFolder,
        profile: Profile,
        *,
        submission: str,
        code: Path,
        workers: int,
        threads: int,
        command: str,
        exclude: Sequence[str] = (),
    ) -> None:
        self.folder = StudyFolder(folder.path.resolve())
        self.profile = profile
        self.submission = submission
        self.code = code
        self.threads = threads
        self.command = command
        self.exclude = exclude
        self.sent = Sent()
        self.workers = workers

    def parameters(self, array: Array, waits: str | None) -> dict[str, Any]:
        """See ``sbatch_parameters``."""
        return sbatch_parameters(
            self.profile,
            submission=self.submission,
            token=array.token,
            code=self.code,
            threads=self.threads,
            exclude=self.exclude,
            dependency=waits,
            parallel=array.parallel,
        )

    def send(self, arrays: Sequence[Array], held: Mapping[str, str]) -> Sent:
        """Calls sbatch for each array; returns as soon as SLURM has taken them.

        Args:
            arrays: in an order in which what one needs comes before it.
            held: job ids of sources (or ``synthesis``) that an earlier submit's job makes.

        Returns:
            What went out, and what did not because SLURM would not take it.
        """
        self.folder.slurm.mkdir(parents=True, exist_ok=True)
        intent = Intent(
            submission=self.submission,
            time=now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            arrays=tuple(planned(array) for array in arrays),
            minutes=self.profile.time,
            timeouts=self.profile.max_timeouts,
            workers=self.workers,
            gpus=self.profile.element_gpus,
            command=self.command,
            snapshot=os.path.relpath(self.code, self.folder.path),
        )
        append_line(self.folder, intent.model_dump(mode="json"))
        sent = self.sent
        jobs: dict[int, str] = {}
        for position, array in enumerate(arrays):
            if sent.problem or not set(array.ok) <= set(jobs):
                sent.left += array.bundles
                continue
            try:
                job = self._sbatch_somewhere(array, dependency(array, jobs, held))
            except _Refused as refusal:
                sent.problem = str(refusal)
                sent.left += array.bundles
                continue
            jobs[position] = job
            sent.arrays.append((array, job))
            append_line(self.folder, job_line(intent, planned(array), job))
        return sent

    def _sbatch_somewhere(self, array: Array, waits: str | None) -> str:
        """Better a node that broke before than none: the list of others may be wrong."""
        try:
            return self._sbatch(array, waits)
        except _Refused as refusal:
            if not self.exclude or NO_NODE not in str(refusal):
                raise
        self.exclude = ()
        return self._sbatch(array, waits)

    def _sbatch(self, array: Array, waits: str | None) -> str:
        executor = SlurmExecutor(self.folder.slurm, max_num_timeout=self.profile.max_timeouts)
        executor.update_parameters(**self.parameters(array, waits))
        tasks = [self._task(bundle.id) for bundle in array.bundles]
        try:
            # submitit shows sbatch's words as they come; they are told once, in one line
            with outside_job(), redirect_stderr(StringIO()):
                jobs = executor.submit_array(tasks)
        except (FailedJobError, FailedSubmissionError) as error:
            # sbatch may time out although the controller took the job: look before giving up
            said = _said(error)
            unsure = any(word in said.lower() for word in ("timed out", "contact", "connect"))
            job = find_array(self.submission, array.token, LOOKS if unsure else 1)
            if job is None:
                raise _Refused(said) from None
            place_pickles(self.folder, job, tasks, self.profile.time, self.profile.max_timeouts)
            return job
        return str(jobs[0].job_id).partition("_")[0]

    def _task(self, bundle: str) -> BundleTask:
        return BundleTask(str(self.folder.path), bundle, self.workers)


class _Refused(Exception):  # noqa: N818 - the caller tells the person
    """SLURM took nothing; the message is sbatch's."""


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line.startswith("sbatch: error:")]
    return " ".join(line.removeprefix("sbatch: error:").strip() for line in told) or lines[-1]


def is_full(problem: str) -> bool:
    """Whether sbatch refused because the user has too many jobs in the queue."""
    return any(word in problem for word in FULL)


def dependency(array: Array, jobs: Mapping[int, str], held: Mapping[str, str]) -> str | None:
    """SLURM's text for what an array waits for; None where it waits for nothing.

    Args:
        array: the array.
        jobs: job ids by position of the arrays before it.
        held: job ids of what other submits' jobs make.
    """
    ok = [jobs[position] for position in array.ok]
    ok += [held[need] for need in array.needs if need in held]
    parts = [":".join(["afterok", *ok])] if ok else []
    ended = [jobs[position] for position in array.ended if position in jobs]
    if ended:
        parts.append(":".join(["afterany", *ended]))
    return ",".join(parts) or None


@contextmanager
def outside_job() -> Iterator[None]:
    """Hides what a surrounding job was given, but not where SLURM and the user's defaults are."""
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_VARIABLES or name.startswith("SBATCH_")
    }
    with clean_env():
        os.environ.update(kept)
        yield


def insist_on_slurm() -> None:
    """Makes sure that jobs can be submitted from here.

    Raises:
        ConfigError: sbatch is not installed here.
    """
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise ConfigError(
                f"--executor slurm: {program} is not installed here. Run this on a login node of a "
                "cluster, or use --executor local."
            )
