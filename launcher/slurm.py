"""The SLURM executor: sends a plan as job arrays through submitit and is done with it.

Nothing here waits for jobs. What a launcher leaves behind if it dies at any point is told from
submissions.jsonl (a line before the first sbatch, one after each) and from squeue, by job name.
"""

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import (
    FailedJobError,
    FailedSubmissionError,
)

from jobs.slurm_task import BundleTask
from launcher.arrays import Array
from launcher.cluster import Profile
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
from launcher.sbatchenvironment import overriding, without_overriding
from launcher.sbatchscript import flags, sbatch_parameters, sbatch_text
from stilt.errors import ConfigError
from stilt.plan import Bundle
from stilt.study import StudyFolder

FULL = ("MaxSubmitJob", "max submit job limit", "MaxJobCount")
"""What sbatch says where the user may queue no more; sbatch(1) and slurmctld's messages."""


@dataclass
class Sent:
    """How a submit went."""

    arrays: list[tuple[Array, str]] = field(default_factory=list)
    """Each array with its job id."""
    left: list[Bundle] = field(default_factory=list)
    """Bundles that did not go out."""
    problem: str | None = None
    """Why they did not."""


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
        cluster: str | None = None,
    ) -> None:
        self.folder = StudyFolder(folder.path.resolve())
        self.profile = profile
        self.submission = submission
        self.code = code
        self.threads = threads
        self.command = command
        self.exclude = exclude
        self.cluster = cluster
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
            cluster=self.cluster,
        )
        append_line(self.folder, intent.model_dump(mode="json"))
        sent = self.sent
        jobs: dict[int, str] = {}
        for position, array in enumerate(arrays):
            if sent.problem or not set(array.ok) <= set(jobs):
                sent.left += array.bundles
                continue
            try:
                job = self._sbatch(array, dependency(array, jobs, held))
            except _Refused as refusal:
                sent.problem = str(refusal)
                sent.left += array.bundles
                continue
            jobs[position] = job
            sent.arrays.append((array, job))
            append_line(self.folder, job_line(intent, planned(array), job))
        return sent

    def _sbatch(self, array: Array, waits: str | None) -> str:
        executor = SlurmExecutor(self.folder.slurm, max_num_timeout=self.profile.max_timeouts)
        parameters = self.parameters(array, waits)
        executor.update_parameters(**parameters)
        tasks = [self._task(bundle.id) for bundle in array.bundles]
        try:
            # submitit shows sbatch's words as they come; they are told once, in one line
            with without_overriding(self._flags(parameters)), redirect_stderr(StringIO()):
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

    def unused_variables(self, array: Array) -> list[str]:
        """The user's variables for sbatch that the array's script, or the launcher, overrules."""
        return sorted(overriding(os.environ, self._flags(self.parameters(array, None))))

    def _flags(self, parameters: Mapping[str, Any]) -> set[str]:
        return flags(sbatch_text(parameters, self.folder, 1))

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
