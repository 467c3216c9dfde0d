"""Who is running, or about to run, a cell: one small file each, made atomically."""

import os
import socket
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from stilt.config import Frozen
from stilt.errors import disk_trouble
from stilt.folder import StudyFolder
from stilt.system import processes
from stilt.system.files import create_text, write_text

SILENT_SECONDS = 86_400
"""Without a sign of life, after which what another machine holds is taken to be dead."""

# a signal to 0 or to a number below it goes to many processes
Pid = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
"""Number of a process."""


class Claim(Frozen):
    """One item of a study that a submission holds."""

    # a worker that began before an update of this code must not lose its claim to a new field
    model_config = ConfigDict(extra="ignore")

    item: str
    """The id of a run."""
    submission: str
    """The submission that claimed it."""
    bundle: str
    host: str
    pid: Pid
    """Process of the launcher, then of the worker."""
    birth: str | None = None
    """When that process began, as its system tells it: numbers of processes are used again."""
    taken: float | None = None
    """Seconds since the epoch, when the item was claimed."""
    running: bool = False
    job: str | None = None
    """SLURM's id of the element that runs it."""
    started: float | None = None
    """Seconds since the epoch, when the worker began."""
    updated: float | None = None
    done: int = Field(default=0, ge=0, lt=2**63)
    """Work done, in tokens (or sentences)."""
    total: int = Field(default=0, ge=0, lt=2**63)

    @property
    def sign(self) -> float:
        """When its holder last gave a sign of life, in seconds since the epoch."""
        return self.updated or self.started or self.taken or 0.0

    @property
    def on_slurm(self) -> bool:
        """Whether a SLURM job holds the item; else a process of a launcher's own pool does."""
        return on_slurm(self.submission)


def on_slurm(submission: str) -> bool:
    """Whether a submission sent its bundles to SLURM, by its id."""
    return submission.startswith("slurm-")


def new_claim(item: str, submission: str, bundle: str) -> Claim:
    """A claim by this process."""
    table = {"item": item, "submission": submission, "bundle": bundle, "taken": time.time()}
    return Claim.model_validate(table | _this_process())


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "birth": processes.birth(pid)}


def take(claim: Claim, path: Path) -> bool:
    """Claims an item; False where another claim is there already."""
    return create_text(path, claim.model_dump_json() + "\n", durable=False)


def read(path: Path) -> Claim | None:
    """Reads a claim; None where there is none, it is being replaced, or it is damaged.

    One that may not be read is somebody's: it is held as long as another machine's would be.
    """
    try:
        return Claim.model_validate_json(path.read_bytes())
    except PermissionError:
        return _hidden(path)
    except (OSError, ValidationError):
        return None


def _hidden(path: Path) -> Claim | None:
    """What is known of a claim that may not be read."""
    try:
        taken = path.stat().st_mtime
    except OSError:
        return None
    unknown = {"submission": "hidden", "bundle": "", "host": "hidden", "pid": 1}
    return Claim(item=path.stem, taken=taken, **unknown)


def held(folder: StudyFolder, items: Iterable[str], submission: str) -> dict[str, Claim]:
    """The claims of those of some items that a submission holds."""
    found = {item: read(folder.claim(item)) for item in items}
    return {i: claim for i, claim in found.items() if claim and claim.submission == submission}


def drop_stale(path: Path, seen: Claim | None) -> bool:
    """Removes a claim whose holder is gone; of two who try, one succeeds.

    ``seen`` is what it held when it was found stale; None for a file that is no claim.

    Returns:
        Whether this call removed what was seen, and not a newer claim.
    """
    if _is_newer(read(path), seen):
        return False
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    if _is_newer(read(aside), seen):
        # a newer claim came in between: it goes back, unless a third one is there by now
        create_text(path, aside.read_text(encoding="utf-8"), durable=False)
        aside.unlink(missing_ok=True)
        return False
    # a folder in a claim's place stays aside, where it holds nothing
    with suppress(IsADirectoryError, PermissionError):
        aside.unlink(missing_ok=True)
    return True


def _is_newer(there: Claim | None, seen: Claim | None) -> bool:
    """Whether another holds the item by now, such as the worker of a launcher that died."""
    if there is None or seen is None:
        return there is not None
    return any(getattr(there, name) != getattr(seen, name) for name in HOLDER)


HOLDER = ("submission", "host", "pid", "birth")
"""Fields of a claim that tell who holds it."""


class ClaimUpdater:
    """Writes a running item's progress into its claim, at most every few seconds."""

    def __init__(self, claim: Claim, path: Path, *, job: str | None, every: float = 2.0) -> None:
        self.path = path
        self.every = every
        update = {"running": True, "job": job, "started": time.time()} | _this_process()
        self.claim = claim.model_copy(update=update)
        self._last = 0.0
        self(0, 0)
        # the first step shows at once: what is loaded and trains is told from what still starts
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Notes the work done so far and in all."""
        now = time.time()
        if now - self._last < self.every and done < total:
            return
        self._last = now
        changes = {"updated": now, "done": done, "total": total}
        claim = self.claim.model_copy(update=changes)
        try:
            write_text(self.path, claim.model_dump_json() + "\n", durable=False)
        except OSError as error:
            # a run does not end because its progress cannot be shown
            if not disk_trouble(error):
                raise


def process_lives(claim: Claim) -> bool | None:
    """Whether the claim's process lives; None where it is on another machine."""
    if claim.host != socket.gethostname():
        return None
    if not processes.lives(claim.pid):
        return False
    return claim.birth is None or processes.birth(claim.pid) in (None, claim.birth)


def lives_here(claim: Claim) -> bool:
    """Whether a claim made without a scheduler is still held: by its process, on its machine.

    A claim of another machine that gave no sign for a day is taken to be dead.
    """
    alive = process_lives(claim)
    if alive is None:
        return time.time() - claim.sign < SILENT_SECONDS
    return alive
