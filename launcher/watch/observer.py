"""Looking at a study: every run told from its files first, then from its jobs."""

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from launcher.scheduler.job_states import JobState
from launcher.scheduler.liveness import ClaimLiveness
from launcher.scheduler.logs import log_end, log_files
from launcher.scheduler.reasons import WITHDRAWN, Reason, died, reason_of_end
from launcher.watch.outside import told
from launcher.watch.study_status import Item, StudyStatus
from stilt.cell import SYNTHESIS, Run
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.finished import read_ending
from stilt.records.results import Failure, Result, SourceResult, read_record
from stilt.study import Study
from stilt.training.speed.calibration import Calibration, read_calibration
from stilt.training.speed.forecast import forecast


class Observer:
    """Looks at one study again and again, and reads a file again only if it changed."""

    def __init__(self, folder: StudyFolder, study: Study) -> None:
        self.folder = folder
        self.study = study
        calibration = _calibration(folder)
        self.calibrated = calibration is not None
        setting = calibration.settings[0] if calibration else None
        # of the study's own runs, a status knows how long they took in any case
        weigh = forecast(study, calibration, setting).base
        self._runs = [
            (run, Item(run.id, run.stage, run.name, run.source_name, run.task, weigh(run)))
            for run in study.runs.values()
        ]
        self._read: dict[Path, tuple[tuple[int, int], Item]] = {}

    def look(self, *, ask: bool = True) -> StudyStatus:
        """Returns how the study stands now.

        Args:
            ask: ask SLURM even if no claim needs it, for what it allocated.
        """
        liveness = ClaimLiveness(self.folder)
        look = _Look(self, liveness)
        items = [look.item(run, blank) for run, blank in self._runs]
        made = {item.source: item for item in items if item.stage == "source"}
        asked = liveness.scheduler if ask or liveness.asked else None
        silent = (asked.squeue_problem or look.unanswered, asked.sacct_problem) if asked else ()
        return StudyStatus(
            study=self.study,
            folder=self.folder,
            items=[_after(item, made.get(item.source)) for item in items],
            now=time.time(),
            unanswered=list(filter(None, silent)),
            gpu_seconds=_allocated(liveness) if asked else None,
            command=next((li.command for li in reversed(liveness.lines) if li.command), ""),
            damaged=liveness.ledger.damaged,
            away=look.away,
            outside=told(self.folder, time.time()),
            calibrated=self.calibrated,
        )

    def ended(self, run: Run, blank: Item) -> Item:
        """Tells how a run stands by its record alone, which is read again if it has changed."""
        path = self.folder.record(run)
        try:
            found = path.stat()
        except FileNotFoundError:
            # whoever reads a link to nothing says so
            lost = run.stage != SYNTHESIS and path.is_symlink()
            return self._ended(run, blank, 0.0) if lost else blank
        except OSError as error:
            why = f"{path}: no file to be read ({error.strerror})"
            return replace(blank, state="failed", kind="damaged", why=why)
        stamp = (found.st_mtime_ns, found.st_size)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, self._ended(run, blank, found.st_mtime))
        return known[1]

    def _ended(self, run: Run, blank: Item, written: float) -> Item:
        if run.stage == SYNTHESIS:
            return replace(blank, state="done", ended=written)
        try:
            record = read_ending(self.study, self.folder, run)
        except ResultError as error:
            return replace(blank, state="failed", kind="damaged", why=str(error))
        if record is None:
            return blank
        taken = record.taken_from
        item = replace(
            blank,
            state="done",
            attempts=record.provenance.attempt,
            started=_seconds(record.provenance.started),
            ended=_seconds(taken.when if taken else record.provenance.finished),
            seconds=sum(record.timings.model_dump().values()),
            on_gpu=not record.provenance.device.startswith("cpu"),
            diverged=record.status == "diverged",
            smaller_passes=self._in_smaller_passes(run, record),
            score=record.score,
            metric=record.metric,
            host=record.provenance.host,
            # a job of another study has no log here
            job=None if taken else record.provenance.job,
            taken_from=taken.study if taken else "",
        )
        if run.source is not None and item.diverged:
            why = "its training diverged, so its weights are of no use"
            return replace(item, state="failed", kind="diverged", why=why)
        return item

    def _in_smaller_passes(self, run: Run, record: Result | SourceResult) -> bool:
        chunk = record.training.chunk if record.training else None
        if chunk is None or run.hyperparameters is None:
            return False
        return chunk < self.study.examples(run.task, run.hyperparameters)


class _Look:
    """What is known at one moment about claims, failures and jobs."""

    def __init__(self, observer: Observer, liveness: ClaimLiveness) -> None:
        self.folder = observer.folder
        self.ended = observer.ended
        self.liveness = liveness
        self.away = ""
        self.unanswered = ""
        # one listing instead of a look for each of a thousand cells
        self.claimed = {path.stem for path in self.folder.claims.glob("*.json")}
        self.failed = {path.stem for path in self.folder.failures.glob("*.json")}

    def item(self, run: Run, blank: Item) -> Item:
        """Tells how a run stands, and whether it left a state to go on from."""
        item = self._item(run, blank)
        if item.state == "done":
            return item
        return replace(item, resumable=self.folder.resume(run.id).exists())

    def _item(self, run: Run, blank: Item) -> Item:
        """Tells how a run stands by its record, its claim and its failure.

        The claim is read before the result: a worker writes the result, then removes the claim.
        """
        claim = claims.read(self.folder.claim(run.id)) if run.id in self.claimed else None
        item = self.ended(run, blank)
        if item.state == "done":
            return item
        if claim is not None:
            if self.liveness.lives(claim):
                return self._held(blank, claim)
            # it may have ended properly since the first look
            item = self.ended(run, blank)
            if item.state == "done":
                return item
            failure = self._failure(run.id)
            if self.folder.claim(run.id).exists() and not self._ended_in(claim, failure):
                return self._died(blank, claim)
            if failure is not None:
                self.failed.add(run.id)
        return self._without_claim(item)

    def _failure(self, item: str) -> Failure | None:
        """What is recorded of an item's latest failure; None where that is nothing, or damaged."""
        try:
            return read_record(Failure, self.folder.failure(item))
        except ResultError:
            return None

    def _ended_in(self, claim: claims.Claim, failure: Failure | None) -> bool:
        """Whether a failure is that of the attempt which a dead claim stands for.

        An older one is of an earlier attempt; and where a node broke, the claim was kept for
        another attempt, which has died since.
        """
        if failure is None or (failure.kind == "node" and failure.job is not None):
            return False
        element = self.liveness.element(claim) if claim.on_slurm else None
        if element is not None and failure.job is not None:
            return failure.job in (element, element.partition("_")[0])
        sign = max(claim.taken or 0, claim.started or 0, claim.updated or 0)
        # records have whole seconds
        return int(sign) <= (_seconds(failure.finished) or 0)

    def _held(self, blank: Item, claim: claims.Claim) -> Item:
        job = self.liveness.job(claim)
        why = self._unseen() if claim.on_slurm and job is None else ""
        known = replace(
            blank,
            why=why,
            host=claim.host,
            job=self.liveness.element(claim),
        )
        waiting = job is not None and job.state not in ("RUNNING", "COMPLETING", "SUSPENDED")
        if claim.running and not waiting:
            share = claim.done / claim.total if claim.total else 0.0
            return replace(known, state="running", share=min(share, 1.0), started=claim.started)
        return replace(known, state="pending", why=known.why or _waits(claim, job))

    def _unseen(self) -> str:
        """Why SLURM does not list a job that is taken to live; empty where it soon may."""
        if unanswered := self.liveness.unanswered:
            self.unanswered = unanswered
            return "SLURM does not answer"
        self.away = self.liveness.away
        return f"its job is on cluster {self.liveness.cluster}" if self.away else ""

    def _without_claim(self, item: Item) -> Item:
        if item.state == "failed" or item.id not in self.failed:
            return item
        try:
            failure = read_record(Failure, self.folder.failure(item.id))
        except ResultError as error:
            return replace(item, state="failed", kind="damaged", why=str(error))
        if failure is None:
            return item
        return replace(
            item,
            state="failed",
            kind=failure.kind,
            why=failure.message,
            attempts=failure.attempts,
            host=failure.host,
            job=failure.job,
            ended=_seconds(failure.finished),
        )

    def _died(self, blank: Item, claim: claims.Claim) -> Item:
        reason = self._reason(claim)
        open_again = reason.kind in WITHDRAWN or (not claim.running and reason.kind != "source")
        return replace(
            blank,
            state="open" if open_again else "failed",
            kind=reason.kind,
            why=reason.text,
            host=claim.host,
            job=self.liveness.element(claim),
            started=claim.started,
        )

    def _reason(self, claim: claims.Claim) -> Reason:
        if claim.on_slurm:
            return reason_of_end(self.folder, self.liveness, claim)
        if not claim.running:
            where = f"its launcher (process {claim.pid} on {claim.host})"
            return Reason("launcher", f"{where} ended before this one began")
        logs = log_files(self.folder, element=None, bundles=(claim.bundle,))
        where = f"its worker (process {claim.pid} on {claim.host})"
        return died(None, log_end(logs), begun=True, where=where)


def _calibration(folder: StudyFolder) -> Calibration | None:
    """The calibration that the study's submit planned by; None where there is none of use."""
    try:
        return read_calibration(folder.calibration)
    except ConfigError:
        return None


def _waits(claim: claims.Claim, job: JobState | None) -> str:
    if job is None:
        return "not seen by SLURM yet" if claim.on_slurm else ""
    if job.state == "RUNNING":
        return "in a running job, not begun"
    why = job.reason or job.state
    # an administrator's hold is not for users to end
    held = "held" in why.lower() and why != "JobHeldAdmin"
    return f"{why}, until: scontrol release {job.job.partition('_')[0]}" if held else why


def _after(cell: Item, source: Item | None) -> Item:
    """Says of a cell that it waits for its source, or never began because of it.

    SLURM drops what waits for a job in which anything ran out of memory, even where the source was
    then trained with smaller steps.
    """
    if source is None or cell is source:
        return cell
    if source.state == "done" and cell.kind == "source":
        why = "its job was dropped, and the source is there: submit again"
        return replace(cell, state="open", kind="dropped", why=why)
    if source.state == "done":
        return cell
    if cell.state == "pending" and cell.why in ("", "Dependency"):
        return replace(cell, why=f"for source {source.name}")
    never_began = cell.kind and not cell.started and not cell.attempts
    if source.state == "failed" and never_began:
        why = f"its source {source.name} failed: {source.why}"
        return replace(cell, state="failed", kind="source", why=why)
    return cell


def _allocated(liveness: ClaimLiveness) -> float | None:
    """Sums the GPU-seconds that SLURM gave to the study; None where it does not tell."""
    if liveness.scheduler.sacct_problem is not None:
        return None
    asked = {line.array: line.gpus or 0 for line in liveness.lines if line.array}
    total = sum(
        # accounting need not know of GPUs: what was asked for is noted beside the job
        job.spent * (job.gpus or asked.get(job.job.partition("_")[0], 0))
        for job in liveness.scheduler.jobs.values()
    )
    return float(total) or None


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None
