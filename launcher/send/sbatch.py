"""Calls sbatch, and tells the job that it made from whatever else a site's wrapper prints."""

import re
from collections.abc import Callable, Collection
from pathlib import Path

from launcher.scheduler.ledger import LedgerLine
from launcher.send.environment import without_overriding
from launcher.send.takeover import LOOKS, find_array
from stilt.slurm.commands import Answer, ask

SECONDS = 300
"""For one sbatch, which a busy controller may keep waiting."""
UNSURE = ("timed out", "contact", "connect")
"""Words by which sbatch leaves open whether the controller took the job."""
UNREACHED = "connect failure"
"""What it says where nothing can have been taken, after trying for 9 s: tried with 22.05."""
_ID = re.compile(r"(?:Submitted batch job )?(\d+)(?:;\S+| on cluster \S+)?")
"""A line with an id: of ``sbatch --parsable``, or of a wrapper that takes the flag away."""


class Refused(Exception):  # noqa: N818 - the caller tells the person
    """SLURM took nothing; the message is sbatch's."""


def send(
    script: Path, line: LedgerLine, flags: Collection[str], waiting: Callable[[str], object]
) -> str:
    """Gives a script to sbatch; returns the array's job id.

    An id that does not stand alone in the answer is not trusted: the array is looked for by its
    name and its token. So is one whose sbatch failed, as SLURM may have taken it all the same.

    Args:
        script: what sbatch reads.
        line: the array's line of the ledger.
        flags: flags that the script sets, without dashes.
        waiting: told what is waited for, where it takes more than a moment.

    Raises:
        Refused: SLURM took nothing.
    """
    with without_overriding(flags):
        answer = ask("sbatch", "--parsable", str(script), seconds=SECONDS, waiting=waiting)
    said = [text.strip() for text in answer.output.splitlines() if text.strip()]
    named = [matched[1] for text in said if (matched := _ID.fullmatch(text))]
    if answer.problem is None and len(said) == len(named) == 1:
        return named[0]
    told = _told(answer)
    unsure = answer.problem is None or answer.code is None
    unsure |= UNREACHED not in told and any(word in told.lower() for word in UNSURE)
    job = find_array(line, LOOKS if unsure else 1)
    if job is None and answer.problem is None and len(named) == 1:
        # it may have ended by now
        job = named[0]
    if job is None:
        raise Refused(told)
    return job


def _told(answer: Answer) -> str:
    """What sbatch says, in one line."""
    lines = [line.strip() for line in answer.errors.splitlines() if line.strip()]
    errors = [line.removeprefix("sbatch: error:").strip() for line in lines if "error:" in line]
    if errors or answer.problem:
        return " ".join(errors) or (lines[-1] if lines else str(answer.problem))
    return f"it names no job: {' '.join(answer.output.split())[:200]!r}"
