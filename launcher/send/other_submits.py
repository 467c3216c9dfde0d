"""What a submit needs and other submits' jobs make: found when it is needed, not before.

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
            own: what this submit makes itself, or found made: sources, ``synthesis``.
        """
        self.resolved = resolved
        self.own = frozenset(own)
        self.unmet: dict[str, str] = {}
        """Source id (or ``synthesis``) -> why nothing can wait for it."""
        self._jobs: dict[str, str] = {}

    def jobs(self, needs: Iterable[str]) -> Mapping[str, str] | None:
        """Jobs that make some of what is needed.

        Returns:
            Source id (or ``synthesis``) -> job, of what is neither there nor this submit's own;
            None where a need cannot be met: ``unmet`` says why.
        """
        found = {}
        for need in needs:
            if need in self.own:
                continue
            if need not in self._jobs and need not in self.unmet:
                self._look(need)
            if need in self.unmet:
                return None
            if self._jobs[need]:
                found[need] = self._jobs[need]
        return found

    def _look(self, need: str) -> None:
        resolved = self.resolved
        end = time.monotonic() + PATIENCE_SECONDS
        while need not in self._jobs and need not in self.unmet:
            if finished(resolved.study, resolved.folder, need):
                self._jobs[need] = ""
                return
            claim = claims.read(resolved.folder.claim(need))
            element = ClaimLiveness(resolved.folder).element(claim) if claim else None
            if claim is None:
                self.unmet[need] = "it failed a moment ago; submit again"
            elif not claim.on_slurm:
                self.unmet[need] = (
                    f"{claim.submission} on {claim.host} trains it; submit again after it"
                )
            elif element is not None:
                # a source is alone in its array, which makes it a plain job
                self._jobs[need] = element.partition("_")[0]
            elif time.monotonic() > end:
                self.unmet[need] = (
                    f"{claim.submission} holds it and has no job yet; submit again later"
                )
            else:
                time.sleep(1)
