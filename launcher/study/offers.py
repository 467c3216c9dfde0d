"""What other studies have of the runs that a study lacks: only looked for, nothing is written."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from launcher.study.known_rows import KnownRows
from launcher.study.outstanding import Outstanding
from launcher.study.resolve import ResolvedStudy
from stilt.cell import SYNTHESIS, Run
from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.records.finished import WEIGHTS, read_ending
from stilt.records.pins import Pin, pin_name
from stilt.records.results import Ended, RecordError, Result, SourceResult, read_record
from stilt.records.validity import Judge, rows_of


@dataclass(frozen=True)
class Offer:
    """What another study has of a run."""

    run: Run
    folders: tuple[StudyFolder, ...]
    """Studies that have it; of a source those with the same weights, to be tried in this order."""
    record: Ended | None = None
    """How it ended; None for generated rows."""
    whole: bool = True
    """Whether more than the record is there: of a source that was cleaned its weights are gone."""
    mends: bool = False
    """Whether this study has the record, and lacks the weights that it tells of."""

    @property
    def seconds(self) -> float:
        """Time that it took there."""
        return sum(self.record.timings.model_dump().values()) if self.record else 0.0


@dataclass
class Offers:
    """All of it, in an order in which it can be taken over: what others need comes first."""

    found: list[Offer] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Why something that is there cannot be taken over, a line each."""
    pins: dict[str, Pin] = field(default_factory=dict)
    """The rows by which it was judged, by ``pin_name``."""

    @property
    def cells(self) -> list[Offer]:
        """Those of cells."""
        return [offer for offer in self.found if offer.run.cell is not None]

    @property
    def there(self) -> set[str]:
        """What cells need and will have: sources with their weights, and rows."""
        return {offer.run.id for offer in self.found if offer.run.cell is None and offer.whole}

    @property
    def seconds(self) -> float:
        """Time that all of it took where it was run."""
        return sum(offer.seconds for offer in self.found)


def find_offers(
    resolved: ResolvedStudy, state: Outstanding, others: Sequence[StudyFolder]
) -> Offers:
    """Looks for what a study lacks in other studies.

    A record counts where it would count here: it is of the very run, by its id, and was scored on
    the rows that this study began with. A cell counts only where it started from the weights that
    this study has of its source, or takes over.

    Args:
        resolved: the study; its rows are told from its pins, or read where it has none yet.
        state: what it lacks.
        others: folders of other studies, the preferred ones first.
    """
    if not others or not state.missing:
        return Offers()
    return _Search(resolved, state, others).run()


class _Trained(NamedTuple):
    """A source, as another study has it."""

    folder: StudyFolder
    record: SourceResult
    whole: bool


class _Scored(NamedTuple):
    """A cell, as another study has it, and SHA-256 of the weights that it started from."""

    folder: StudyFolder
    record: Result
    start: str | None


class _Search:
    """One look at other studies."""

    def __init__(
        self, resolved: ResolvedStudy, state: Outstanding, others: Sequence[StudyFolder]
    ) -> None:
        self.study, self.folder = resolved.study, resolved.folder
        self.state, self.others = state, others
        self.rows = KnownRows(resolved, generated=SYNTHESIS in state.there)
        self.judge = Judge(self.study, self.folder, self.rows.pins)
        self.own: dict[str, SourceResult] = {}
        """Records of sources that this study has, with their weights or without."""
        self._left: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        """(study, reason) -> files there that cannot be taken over."""
        self._told: list[str] = []

    def run(self) -> Offers:
        """Everything that can be taken over."""
        runs = self.study.runs
        # what a live job of this study is making will have weights, or rows, of its own
        wanted = {
            cell: runs[cell]
            for cell in self.state.missing
            if not self.state.held.intersection(runs[cell].needs)
        }
        needs = {need for run in wanted.values() for need in run.needs}
        rows = self._rows(needs | {need for item in needs for need in runs[item].needs})
        trained = {
            source: self._trained(runs[source]) for source in self.study.sources.keys() & needs
        }
        scored = self._scored(wanted, trained)
        weights = {
            source: self._weights(source, found, scored) for source, found in trained.items()
        }
        cells = [
            offer
            for cell, found in scored.items()
            if (offer := self._cell(wanted[cell], found, weights))
        ]
        taken = {offer.run.id for offer in cells}
        sources = [
            offer
            for source in self.study.sources
            if (chosen := weights.get(source)) is not None
            and (
                offer := self._source(
                    runs[source],
                    [found for found in trained[source] if found.record.checkpoint == chosen],
                    used=any(source in runs[cell].needs for cell in taken),
                    lacked=any(source in runs[cell].needs for cell in wanted.keys() - taken),
                )
            )
        ]
        return Offers([*rows, *sources, *cells], self._lines(), self.rows.pins)

    def _rows(self, needs: set[str]) -> list[Offer]:
        """Generated rows, where this study has none and a run needs them."""
        if SYNTHESIS not in needs - self.state.there:
            return []
        found, told = self.rows.find_generated(self.others)
        self._told += told
        return [Offer(self.study.runs[SYNTHESIS], (found,))] if found else []

    def _trained(self, run: Run) -> list[_Trained]:
        """The records of a source in other studies that would count here."""
        try:
            own = read_ending(self.study, self.folder, run)
        except ResultError:
            own = None
        if isinstance(own, SourceResult) and own.status == "ok":
            self.own[run.id] = own
        found = []
        for other in self.others:
            record = self._read(SourceResult, other, run)
            if isinstance(record, SourceResult) and record.status == "ok":
                whole = (other.source(run.id) / WEIGHTS).is_file()
                found.append(_Trained(other, record, whole))
        return found

    def _scored(
        self, wanted: dict[str, Run], trained: dict[str, list[_Trained]]
    ) -> dict[str, list[_Scored]]:
        """The results of wanted cells in other studies that would count here, in grid order."""
        there: dict[str, list[StudyFolder]] = defaultdict(list)
        for other in self.others:
            try:
                names = {path.stem for path in other.results.iterdir()}
            except FileNotFoundError:
                continue
            except OSError as error:
                self._leave(other, other.results, f"cannot be read ({error.strerror})")
                continue
            for cell in wanted.keys() & names:
                there[cell].append(other)
        found: dict[str, list[_Scored]] = {}
        for cell, run in wanted.items():
            for other in there.get(cell, ()):
                record = self._read(Result, other, run)
                if isinstance(record, Result):
                    start = record.start or _start(other, run, trained)
                    found.setdefault(cell, []).append(_Scored(other, record, start))
        return found

    def _weights(
        self, source: str, found: list[_Trained], scored: dict[str, list[_Scored]]
    ) -> str | None:
        """SHA-256 of the weights of a source that this study goes by; None where it trains it.

        It keeps its own. Else it takes those that are there as a whole and that most cells started
        from.
        """
        if source in self.own:
            return self.own[source].checkpoint
        counts = Counter(
            start
            for cell, results in scored.items()
            if source in self.study.runs[cell].needs
            for start in {result.start for result in results}
        )
        ranked = sorted(found, key=lambda one: (not one.whole, -counts[one.record.checkpoint]))
        return ranked[0].record.checkpoint if ranked else None

    def _cell(self, run: Run, found: list[_Scored], weights: dict[str, str | None]) -> Offer | None:
        """The first result of a cell that started from the weights that this study goes by."""
        assert run.cell is not None
        source = run.cell.source_id
        for scored in found:
            if source is None or (scored.start and scored.start == weights[source]):
                return Offer(run, (scored.folder,), scored.record)
        why = "it started from other weights of its source than this study has"
        if not found[0].start:
            why = "the record of its source is not there, so nobody knows what it started from"
        elif source is not None and weights[source] is None:
            why = "its source cannot be taken over, and trained here its weights may be others"
        self._leave(found[0].folder, found[0].folder.record(run), why)
        return None

    def _source(self, run: Run, same: list[_Trained], *, used: bool, lacked: bool) -> Offer | None:
        """A source, with its weights where they are.

        Args:
            run: its run.
            same: the studies that have it with the weights that this study goes by.
            used: whether a cell that started from it is taken over.
            lacked: whether a cell that needs it is still to be run.
        """
        whole = [trained for trained in same if trained.whole]
        own = self.own.get(run.id)
        if run.id in self.state.there or not ((lacked and whole) or (used and same and not own)):
            return None
        best = whole or same
        folders = tuple(trained.folder for trained in best)
        return Offer(run, folders, own or best[0].record, bool(whole), own is not None)

    def _read(
        self, model: type[Result] | type[SourceResult], other: StudyFolder, run: Run
    ) -> Ended | None:
        """The record of a run in another study; None where there is none that counts here."""
        path = other.record(run)
        try:
            record = read_record(model, path)
        except RecordError as error:
            self._leave(other, path, error.reason)
            return None
        if record is None:
            return None
        task, size = rows_of(run)
        pin = self.rows.pin(task, size)
        if pin is None:
            if problem := self.rows.problems[pin_name(task, size)]:
                why = f"whether it is of the rows of {task!r} here is not known: {problem}"
                self._leave(other, path, why)
            return None
        flaw = self.judge.flaw(record, run)
        if flaw is None:
            return record
        where = f" (task {task!r}: {pin.where})" if record.data != pin.digest else ""
        self._leave(other, path, f"{flaw}{where}")
        return None

    def _leave(self, folder: StudyFolder, path: Path, reason: str) -> None:
        self._left[folder.path, reason.removesuffix(".")].append(path)

    def _lines(self) -> list[str]:
        """What cannot be taken over: the same reason in one study is one line."""
        return self._told + [
            f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {reason}"
            for (_, reason), files in self._left.items()
        ]


def _start(folder: StudyFolder, run: Run, trained: dict[str, list[_Trained]]) -> str | None:
    """The weights that another study has of a cell's source, which older records do not tell."""
    assert run.cell is not None
    found = trained.get(run.cell.source_id or "", [])
    return next((one.record.checkpoint for one in found if one.folder is folder), None)
