"""How a study stands at one moment: its items, and what follows from them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from launcher.scheduler.reasons import Kind
from stilt.folder import StudyFolder
from stilt.study import Study

State = Literal["done", "running", "pending", "failed", "open"]
STATES: tuple[State, ...] = ("done", "running", "pending", "failed", "open")


@dataclass(frozen=True)
class Item:
    """A run, and how it stands."""

    id: str
    stage: Literal["synthesis", "source", "target", "evaluate"]
    name: str
    source: str = ""
    target: str = ""
    cost: float = 0.0
    """Estimated work: in seconds where a calibration predicts them, else in training tokens."""
    state: State = "open"
    kind: Kind | Literal[""] = ""
    """Class of the failure, or of what ended the job of an item that is open again."""
    why: str = ""
    """Why it failed or is open again, or what it waits for."""
    attempts: int = 0
    share: float = 0.0
    """Work done of a running item, 0 to 1."""
    started: float | None = None
    ended: float | None = None
    """When it ended, or was taken over from another study."""
    seconds: float = 0.0
    """Time it took, if done."""
    on_gpu: bool = False
    diverged: bool = False
    smaller_passes: bool = False
    """Memory ran out, and it was made with fewer examples at a time than the study asks for."""
    score: float | None = None
    metric: str = ""
    host: str = ""
    job: str | None = None
    taken_from: str = ""
    """The study that it was taken over from, and was run for; empty where it was run for this."""
    resumable: bool = False
    """An interrupted run left its state: the next attempt goes on."""


@dataclass(frozen=True)
class StudyStatus:
    """A study at one moment."""

    study: Study
    folder: StudyFolder
    items: list[Item]
    """Every run, what others need first."""
    now: float
    unanswered: list[str] = field(default_factory=list)
    """Why squeue or sacct could not be asked, where that matters."""
    gpu_seconds: float | None = None
    """What SLURM allocated; None where it does not say."""
    command: str = ""
    """The last submit's command line."""
    damaged: list[str] = field(default_factory=list)
    """What of submissions.jsonl cannot be read."""
    away: str = ""
    """Where the study's jobs are, if they cannot be asked for here."""
    outside: list[str] = field(default_factory=list)
    """Where its trackers' runs lie, and what a webhook was told."""
    calibrated: bool = False
    """Whether the work of items is estimated in seconds."""

    @cached_property
    def cells(self) -> list[Item]:
        """The runs that tables count."""
        return [item for item in self.items if item.stage in ("target", "evaluate")]

    @cached_property
    def sources(self) -> list[Item]:
        """The runs that cells need: sources, and before them the generation of rows."""
        return [item for item in self.items if item.stage in ("synthesis", "source")]

    def count(self) -> Counter[State]:
        """Counts the cells in each state."""
        return Counter(cell.state for cell in self.cells)

    @property
    def live(self) -> bool:
        """Whether anything runs or waits for its turn."""
        return any(item.state in ("running", "pending") for item in self.items)

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return any(item.state == "failed" for item in self.items)

    @property
    def work_done(self) -> float:
        """Share of the estimated work that is done, 0 to 1."""
        total = sum(item.cost for item in self.items)
        done = sum(i.cost * (1.0 if i.state == "done" else i.share) for i in self.items)
        return done / total if total else 0.0

    @cached_property
    def speeds(self) -> dict[str, float]:
        """Estimated work that a worker does in a second, by target, where runs have ended on it.

        That of all targets together stands under an empty name, once anything was measured.
        """
        work: dict[str, float] = defaultdict(float)
        seconds: dict[str, float] = defaultdict(float)
        for item in self.items:
            if item.state == "done" and item.seconds and not item.diverged:
                # where nothing was calibrated, one target's runs alone would tell too little
                for name in {item.target if self.calibrated else "", ""}:
                    work[name] += item.cost
                    seconds[name] += item.seconds
        for item in self.items if not seconds else ():
            if item.state == "running" and item.share > 0 and item.started:
                work[""] += item.share * item.cost
                seconds[""] += self.now - item.started
        known = {"": 1.0} if self.calibrated else {}
        return known | {name: work[name] / seconds[name] for name in seconds if seconds[name] > 0}

    @property
    def left(self) -> float | None:
        """Seconds until what is submitted will have ended, with as many workers as now."""
        workers = sum(item.state == "running" for item in self.items)
        speeds = self.speeds
        if not workers or not speeds.get(""):
            return None
        todo = [
            i.cost * (1 - i.share) / (speeds.get(i.target) or speeds[""])
            for i in self.items
            if i.state in ("running", "pending")
        ]
        # one item is not spread over workers
        return max(sum(todo) / workers, *todo)

    @cached_property
    def own(self) -> list[Item]:
        """Those that were not taken over from another study, where their time was spent."""
        return [item for item in self.items if not item.taken_from]

    @property
    def began(self) -> float | None:
        """When the first run began."""
        return min((item.started for item in self.own if item.started), default=None)

    @property
    def last(self) -> float | None:
        """When something last ended, or was taken over."""
        return max((item.ended for item in self.items if item.ended), default=None)

    @property
    def run_seconds(self) -> float:
        """Seconds of all finished and running items."""
        begun = (item.started for item in self.own if item.state == "running")
        running = sum(self.now - started for started in begun if started)
        return running + sum(item.seconds for item in self.own)
