"""Calls sbatch for each array, splits what is refused, and finds what SLURM took all the same.

What a launcher leaves behind if it dies at any point is told from
submissions.jsonl (a line for each array before the first sbatch, and one after it) and from squeue,
by job name.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from launcher.scheduler.ledger import LedgerLine, append_lines, new_line, note_job
from launcher.scheduler.liveness import ClaimLiveness
from launcher.send.arrays import Array
from launcher.send.pickles import drop_pickles, place_pickles, write_pickles
from launcher.send.sbatch import Refused, send
from launcher.send.script import Script
from stilt.errors import ConfigError
from stilt.folder import StudyFolder
from stilt.plan import Bundle
from stilt.system.files import write_text

LIMITED = ("SubmitJob", "max submit job limit")
"""What sbatch says where a user, an account or a QOS may queue no more: squeue(1), reasons such as
AssocGrpSubmitJobsLimit or QOSMaxSubmitJobPerUserLimit. Every element of an array counts."""
FULL = (*LIMITED, "MaxJobCount")
"""The same, and what it says where nobody can queue more."""
TOO_LONG = "Invalid job array specification"
"""What it says of an array with more elements than the cluster takes."""
NO_NODE = "node configuration is not available"
"""What sbatch says where no node fits; seen with 22.05, the only fitting node excluded."""


@dataclass
class Sender:
    """Sends the arrays of one submit, and tells how it went."""

    script: Script
    cluster: str | None
    """Name of the cluster that they go to, where it says."""
    workers: int
    """Worker processes of one element."""
    waiting: Callable[[str], object]
    """Told what is waited for, where SLURM takes more than a moment."""

    arrays: list[tuple[Array, str]] = field(default_factory=list)
    """Each array that went out, with its job id."""
    jobs: dict[int, list[str]] = field(default_factory=dict)
    """Position of each planned array -> the jobs that it became, several where it was too long."""
    left: list[Bundle] = field(default_factory=list)
    """Bundles that SLURM would not take."""
    problem: str | None = None
    """Why it would not."""

    def send(
        self, arrays: Sequence[Array], outside: Callable[[Iterable[str]], Mapping[str, str] | None]
    ) -> None:
        """Calls sbatch for each array; returns as soon as SLURM has taken them.

        An array that is then in neither ``arrays`` nor ``left`` needs what nobody makes.

        Args:
            arrays: in an order in which what one needs comes before it.
            outside: finds the jobs of other submits that make some of what is needed; None where
                there is nothing to wait for. Asked for one array at a time, as it may take a while.
        """
        folder = self.script.folder
        append_lines(folder, *map(self._line, arrays))
        for position, array in enumerate(arrays):
            if self.problem:
                self.left += array.bundles
                continue
            others = outside(array.needs) if set(array.after_ok) <= set(self.jobs) else None
            if others is not None:
                self._send_parts(position, array, dependency(array, self.jobs, others))

    def _line(self, array: Array) -> LedgerLine:
        """An array as the ledger holds it: enough for another launcher to take it over."""
        script = self.script
        return new_line(
            script.settings.submission,
            (bundle.id for bundle in array.bundles),
            script.settings.command,
            token=array.token,
            stage=array.stage,
            needs=array.needs,
            cluster=self.cluster,
            snapshot=os.path.relpath(script.code, script.folder.path),
            gpus=script.profile.element_gpus,
            minutes=array.minutes or script.profile.time,
            timeouts=script.profile.max_timeouts,
            workers=self.workers,
        )

    def _send_parts(self, position: int, array: Array, waits: str | None) -> None:
        """Sends an array whole, or in as many parts as SLURM takes where it refuses so many.

        Not all limits can be asked for, and of those that say how many jobs may wait none says how
        many more: halving finds what goes. The parts share the array's places.
        """
        left = array.bundles
        count = len(left)
        behind: list[str] = []
        while left:
            places = array.parallel * count // len(array.bundles)
            part = replace(array, bundles=left[:count], parallel=max(1, places))
            line = self._line(part)
            if part.bundles != array.bundles:
                # whoever takes over from here must know which bundles this job would have
                append_lines(self.script.folder, line)
            # fewer places than parts: one after the other
            turn = f"afterany:{behind[-1]}" if behind and not places else None
            try:
                job = self._sbatch(part, line, ",".join(filter(None, (waits, turn))) or None)
            except Refused as refusal:
                said = str(refusal)
                if count > 1 and any(word in said for word in (TOO_LONG, *LIMITED)):
                    count = (count + 1) // 2
                    continue
                self.problem = said
                self.left += left
                return
            behind.append(job)
            self.jobs.setdefault(position, []).append(job)
            self.arrays.append((part, job))
            note_job(self.script.folder, line, job)
            left = left[count:]
            count = min(count, len(left))

    def _sbatch(self, array: Array, line: LedgerLine, waits: str | None) -> str:
        """Sends one array; returns its job id.

        Raises:
            Refused: SLURM took nothing.
        """
        script = self.script
        slurm = script.folder.slurm
        # written before: an element waits only a minute for its task
        pickles = write_pickles(script.folder, line)
        text = slurm / f".{line.token}.sh"
        write_text(text, script.text(array, waits))
        try:
            job = send(text, line, script.flags(array), self.waiting)
            place_pickles(job, pickles)
            text.replace(slurm / f"{job}_submission.sh")
            return job
        except Refused as refusal:
            if script.exclude and NO_NODE in str(refusal):
                # better a node that broke before than none: the list of others may be wrong
                script.exclude = ()
                return self._sbatch(array, line, waits)
            raise
        finally:
            drop_pickles(pickles)
            text.unlink(missing_ok=True)


def dependency(
    array: Array, jobs: Mapping[int, Sequence[str]], held: Mapping[str, str]
) -> str | None:
    """SLURM's text for what an array waits for; None where it waits for nothing.

    Args:
        array: the array.
        jobs: job ids of the arrays before it, by position.
        held: job ids of what other submits' jobs make.
    """
    ok = [job for position in array.after_ok for job in jobs[position]]
    ok += [held[need] for need in array.needs if need in held]
    parts = [":".join(["afterok", *ok])] if ok else []
    ended = [job for position in array.after_any for job in jobs.get(position, ())]
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
