"""The SLURM executor: sends a plan as job arrays through submitit and is done with it.

Nothing here waits for jobs. What a launcher leaves behind if it dies at any point is told from
submissions.jsonl (a line for each array before the first sbatch, and one after it) and from squeue,
by job name.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import (
    FailedJobError,
    FailedSubmissionError,
)

from jobs.settings import Settings
from jobs.slurm_task import BundleTask
from launcher.cluster.limits import Limits
from launcher.cluster.profile import Profile
from launcher.scheduler.ledger import LedgerLine, append_lines, new_line, now
from launcher.scheduler.liveness import ClaimLiveness
from launcher.send.arrays import Array
from launcher.send.environment import overriding, without_overriding
from launcher.send.script import flags, sbatch_parameters, sbatch_text
from launcher.send.takeover import LOOKS, find_array, place_pickles
from launcher.study.resolve import ResolvedStudy
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.plan import Bundle

LIMITED = ("SubmitJob", "max submit job limit")
"""What sbatch says where a user, an account or a QOS may queue no more: squeue(1), reasons such as
AssocGrpSubmitJobsLimit or QOSMaxSubmitJobPerUserLimit. Every element of an array counts."""
FULL = (*LIMITED, "MaxJobCount")
"""What it says where nobody can queue more, too."""
TOO_LONG = "Invalid job array specification"
"""What it says of an array with more elements than the cluster takes."""
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
    jobs: dict[int, list[str]] = field(default_factory=dict)
    """Position of each planned array -> the jobs that it became, several where it was too long."""


class Sender:
    """Sends the arrays of one submit."""

    def __init__(
        self,
        resolved: ResolvedStudy,
        profile: Profile,
        limits: Limits,
        settings: Settings,
        code: Path,
        exclude: Sequence[str] = (),
    ) -> None:
        """Sends nothing yet.

        Args:
            resolved: the study.
            profile: what is asked for.
            limits: what the cluster takes.
            settings: what workers are told.
            code: the code's snapshot.
            exclude: nodes to keep away from, besides the profile's.
        """
        self.folder = StudyFolder(resolved.folder.path.resolve())
        self.profile = profile
        self.limits = limits
        self.settings = settings
        self.code = code
        self.exclude = exclude
        self.sent = Sent()
        self.workers = profile.workers(resolved.study.grid.processes)

    def parameters(self, array: Array, waits: str | None) -> dict[str, Any]:
        """See ``sbatch_parameters``."""
        profile, settings, code = self.profile, self.settings, self.code
        return sbatch_parameters(
            array, profile, settings, code, exclude=self.exclude, dependency=waits
        )

    def send(
        self,
        arrays: Sequence[Array],
        outside: Callable[[Iterable[str]], Mapping[str, str] | None],
    ) -> Sent:
        """Calls sbatch for each array; returns as soon as SLURM has taken them.

        Args:
            arrays: in an order in which what one needs comes before it.
            outside: finds the jobs of other submits that make some of what is needed; None where
                there is nothing to wait for. Asked for one array at a time, as it may take a while.

        Returns:
            What went out, and what did not because SLURM would not take it; what is in neither
            needs something that nobody makes.
        """
        self.folder.slurm.mkdir(parents=True, exist_ok=True)
        append_lines(self.folder, *map(self._line, arrays))
        sent = self.sent
        for position, array in enumerate(arrays):
            if sent.problem:
                sent.left += array.bundles
                continue
            held = outside(array.needs) if set(array.ok) <= set(sent.jobs) else None
            if held is not None:
                self._send_parts(position, array, dependency(array, sent.jobs, held))
        return sent

    def _line(self, array: Array) -> LedgerLine:
        """An array as the ledger holds it: enough for another launcher to take it over."""
        return new_line(
            self.settings.submission,
            (bundle.id for bundle in array.bundles),
            self.settings.command,
            token=array.token,
            stage=array.stage,
            needs=array.needs,
            cluster=self.limits.cluster,
            snapshot=os.path.relpath(self.code, self.folder.path),
            gpus=self.profile.element_gpus,
            minutes=self.profile.time,
            timeouts=self.profile.max_timeouts,
            workers=self.workers,
        )

    def _send_parts(self, position: int, array: Array, waits: str | None) -> None:
        """Sends an array whole, or in as many parts as SLURM takes where it refuses so many.

        Not all limits can be asked for, and of those that say how many jobs may wait none says how
        many more: halving finds what goes. The parts share the array's places.
        """
        sent = self.sent
        left = array.bundles
        count = len(left)
        behind: list[str] = []
        while left:
            part = share(array, left[:count])
            line = self._line(part)
            if part.bundles != array.bundles:
                # whoever takes over from here must know which bundles this job would have
                append_lines(self.folder, line)
            # fewer places than parts: one after the other
            turn = f"afterany:{behind[-1]}" if behind and not fits(array, part) else None
            try:
                job = self._sbatch_somewhere(part, ",".join(filter(None, (waits, turn))) or None)
            except _Refused as refusal:
                said = str(refusal)
                if count > 1 and (TOO_LONG in said or any(word in said for word in LIMITED)):
                    count = (count + 1) // 2
                    continue
                sent.problem = said
                sent.left += left
                return
            behind.append(job)
            sent.jobs.setdefault(position, []).append(job)
            sent.arrays.append((part, job))
            append_lines(self.folder, line.model_copy(update={"array": job, "time": now()}))
            left = left[count:]
            count = min(count, len(left))

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
        parameters = self.parameters(array, waits)
        executor.update_parameters(**parameters)
        place = str(self.folder.path)
        tasks = [BundleTask(place, bundle.id, self.workers) for bundle in array.bundles]
        try:
            # submitit shows sbatch's words as they come; they are told once, in one line
            with without_overriding(self._flags(parameters)), redirect_stderr(StringIO()):
                jobs = executor.submit_array(tasks)
        except (FailedJobError, FailedSubmissionError) as error:
            # sbatch may time out although the controller took the job: look before giving up
            said = _said(error)
            unsure = any(word in said.lower() for word in ("timed out", "contact", "connect"))
            job = find_array(self.settings.submission, array.token, LOOKS if unsure else 1)
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


class _Refused(Exception):  # noqa: N818 - the caller tells the person
    """SLURM took nothing; the message is sbatch's."""


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line.startswith("sbatch: error:")]
    return " ".join(line.removeprefix("sbatch: error:").strip() for line in told) or lines[-1]


def is_full(problem: str) -> bool:
    """Whether sbatch refused because the user has too many jobs in the queue."""
    return any(word in problem for word in FULL)


def share(array: Array, bundles: tuple[Bundle, ...]) -> Array:
    """The part of an array with some of its bundles, and with its part of the places."""
    places = array.parallel * len(bundles) // len(array.bundles)
    return replace(array, bundles=bundles, parallel=max(1, places))


def fits(array: Array, part: Array) -> bool:
    """Whether parts of this size may run at the same time."""
    return array.parallel * len(part.bundles) >= len(array.bundles)


def dependency(
    array: Array, jobs: Mapping[int, Sequence[str]], held: Mapping[str, str]
) -> str | None:
    """SLURM's text for what an array waits for; None where it waits for nothing.

    Args:
        array: the array.
        jobs: job ids of the arrays before it, by position.
        held: job ids of what other submits' jobs make.
    """
    ok = [job for position in array.ok for job in jobs[position]]
    ok += [held[need] for need in array.needs if need in held]
    parts = [":".join(["afterok", *ok])] if ok else []
    ended = [job for position in array.ended for job in jobs.get(position, ())]
    if ended:
        parts.append(":".join(["afterany", *ended]))
    return ",".join(parts) or None


def require_slurm() -> None:
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


def require_own_cluster(folder: StudyFolder) -> None:
    """Makes sure that all jobs of a study go to one cluster.

    Raises:
        ConfigError: SLURM here is another cluster than the one that the study was first sent to.
    """
    liveness = ClaimLiveness(folder)
    if liveness.at_home is False:
        raise ConfigError(
            f"{folder.path}: this study belongs to cluster {liveness.cluster}, where it was first "
            f"sent, and SLURM here is cluster {liveness.here}. Submit there, or begin a study of "
            "another name here: --study NAME."
        )
