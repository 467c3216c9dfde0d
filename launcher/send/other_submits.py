"""Finds what a submit needs and other submits' jobs make, when it is needed, not before.

Of two launchers at work at the same moment each may hold a source that the other's cells need. Each
sends its own sources first, so that neither waits for a job that the other keeps back.
"""

import time
from collections.abc import Iterable, Mapping

from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.resolve import ResolvedStudy
from stilt.records import claims
from stilt.records.finished import finished

PATIENCE_SECONDS = 60
"""How long another launcher, which holds a source, is given to note its job."""


class OtherSubmits:
    """Finds the jobs of other submits."""

    def __init__(self, resolved: ResolvedStudy, own: Iterable[str]) -> None:
        """Looks at nothing yet.

        Args:
            resolved: the study.
            own: ids of the runs that this submit makes itself.
        """
        self.resolved = resolved
        self.unmet: dict[str, str] = {}
        """Source id (or ``synthesis``) -> why nothing can wait for it."""
        self._jobs: dict[str, str | None] = dict.fromkeys(own, "")

    def jobs(self, needs: Iterable[str]) -> Mapping[str, str] | None:
        """Finds the jobs that make some of what is needed.

        Returns:
            Source id (or ``synthesis``) -> job, of what is neither there nor this submit's own;
            None where a need cannot be met: ``unmet`` says why.
        """
        found = {}
        for need in needs:
            if need not in self._jobs:
                self._jobs[need] = self._job(need)
            job = self._jobs[need]
            if job is None:
                return None
            if job:
                found[need] = job
        return found

    def _job(self, need: str) -> str | None:
        """The job that makes what is needed; empty where it is there, None where none makes it."""
        folder = self.resolved.folder
        end = time.monotonic() + PATIENCE_SECONDS
        while not finished(self.resolved.study, folder, need):
            claim = claims.read(folder.claim(need))
            liveness = ClaimLiveness(folder)
            element = liveness.element(claim) if claim else None
            if claim is None:
                why = "it failed a moment ago; submit again"
            elif not claim.on_slurm:
                why = f"{claim.submission} on {claim.host} trains it; submit again after it"
            elif element is not None:
                if liveness.job(claim) is None and not liveness.can_be_asked_for(claim):
                    # its number may be another job's here
                    unknown = "another cluster has" if liveness.here else "SLURM tells nothing of"
                    self.unmet[need] = f"it is made by job {element}, which {unknown}"
                    return None
                # a source is alone in its array, which makes it a plain job
                return element.partition("_")[0]
            elif time.monotonic() > end:
                why = f"{claim.submission} holds it and has no job yet; submit again later"
            else:
                time.sleep(1)
                continue
            self.unmet[need] = why
            return None
        return ""
