"""What other studies have finished is taken over, so that nothing is trained twice.

Each run is taken over under a claim of this study, and is whole in its place or not there at all:
whoever is killed here leaves a claim that the next submit finds to be stale.
"""

import errno
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from launcher.scheduler.liveness import ClaimLiveness
from launcher.study.claiming import claim, new_submission, release
from launcher.study.offers import Offer, Offers, find_offers
from launcher.study.outstanding import Lives, Outstanding
from launcher.study.resolve import ResolvedStudy
from stilt.cell import SYNTHESIS, Run
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.finished import WEIGHTS, checkpoint_flaw, finished, read_ending
from stilt.records.pins import pin_name
from stilt.records.results import Result, SourceResult, TakenFrom, write_record
from stilt.records.validity import judge_of, rows_of
from stilt.study import Study
from stilt.synthesis.datasheet import whole_rows
from stilt.system.files import link_or_copy, replacing_folder
from stilt.system.units import counted, span

EndedT = TypeVar("EndedT", Result, SourceResult)

RECORD = "result.json"
"""A source's record, beside its weights."""
TAKES_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What only a disk says that is written to: this study's, and not the other's."""


def other_studies(folder: StudyFolder, named: Iterable[Path] = ()) -> list[StudyFolder]:
    """Folders of other studies: those that are named, then the neighbours of a study, by name.

    Args:
        folder: the study's own, which is not among them.
        named: folders of studies, or folders that hold studies.

    Raises:
        ConfigError: One that is named is neither.
    """
    found: list[Path] = []
    for place in named:
        inside = [path.parent for path in sorted(place.glob("*/study.json"))]
        if not (place / "study.json").is_file() and not inside:
            what = "no study here, and none in it" if place.is_dir() else "no such folder"
            raise ConfigError(f"--from {place}: {what}. Name a study's folder, or a root of such.")
        found += [place] if (place / "study.json").is_file() else inside
    found += [path.parent for path in sorted(folder.path.parent.glob("*/study.json"))]
    places = {folder.path.resolve(): folder.path}
    for path in found:
        places.setdefault(path.resolve(), path)
    return [StudyFolder(path) for path in list(places.values())[1:]]


def take_over(
    resolved: ResolvedStudy,
    state: Outstanding,
    others: Sequence[StudyFolder],
    lives: Lives,
    console: Console,
) -> bool:
    """Takes over what other studies have of the runs that a study lacks, and says so.

    Args:
        resolved: the study, begun.
        state: what it lacks.
        others: other studies, which are only read.
        lives: whether a claim's job still lives.
        console: is told what was taken over, and what was left and why.

    Returns:
        Whether anything was taken over.
    """
    offers = find_offers(resolved, state, others)
    for message in offers.left:
        console.print(Text.assemble(("not taken over:", "yellow"), f" {message}"))
    if not offers.found:
        return False
    taking = _Taking(resolved, offers, lives, console)
    taken = [(offer, place) for offer in offers.found if (place := taking.take(offer))]
    for line in told(taken):
        console.print(Text.assemble(("taken over:", "green"), f" {line}"))
    return bool(taken)


def told(taken: Iterable[tuple[Offer, StudyFolder]]) -> list[str]:
    """What comes from each study, in a line: sources and rows by name, cells by number."""
    groups: dict[Path, list[Offer]] = {}
    for offer, place in taken:
        groups.setdefault(place.path, []).append(offer)
    return [
        f"{_listed([offer.run for offer in some])} from study {path.name} ({path}), which took "
        f"{span(sum(offer.seconds for offer in some))} there"
        for path, some in groups.items()
    ]


def _listed(runs: Sequence[Run]) -> str:
    """Runs in words: ``source hellaswag and 24 cells``."""
    cells = sum(run.cell is not None for run in runs)
    names = [run.title for run in runs if run.cell is None]
    parts = [*names, *([counted(cells, "cell")] if cells else [])]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


class _Taking:
    """Takes one thing after the other, each under a claim."""

    def __init__(
        self, resolved: ResolvedStudy, offers: Offers, lives: Lives, console: Console
    ) -> None:
        self.study, self.folder = resolved.study, resolved.folder
        self.offers, self.lives, self.console = offers, lives, console
        self.submission = new_submission("reuse")
        self.needed = {need for offer in offers.cells for need in offer.run.needs}
        """What cells that are taken over started from."""
        self.lacking: set[str] = set()
        """What was offered and could not be taken."""

    def take(self, offer: Offer) -> StudyFolder | None:
        """Takes a run over; returns the study that it was taken from, None where it was not."""
        run, place = offer.run, None
        if not self.lacking.intersection(run.needs) and claim(
            run.id, "", self.folder, self.submission, self.lives
        ):
            try:
                if not self._made(run):
                    place = self._take(offer)
            finally:
                release(self.folder, self.submission, [run.id])
        if place is None:
            self.lacking.add(run.id)
        return place

    def _made(self, run: Run) -> bool:
        """Whether a worker of this study has made it since it was looked for."""
        if not finished(self.study, self.folder, run.id):
            return False
        record = read_ending(self.study, self.folder, run)
        if not isinstance(record, SourceResult):
            return True
        return checkpoint_flaw(self.folder.source(run.id), record) is None

    def _take(self, offer: Offer) -> StudyFolder | None:
        run, record = offer.run, offer.record
        if run.stage == SYNTHESIS:
            place = self._first(offer, self._take_rows)
        elif isinstance(record, SourceResult):
            place = self._take_source(offer, record)
        else:
            assert isinstance(record, Result)
            place = offer.folders[0]
            self._keep_rows(run)
            write_record(self._ours(record, run, place), self.folder.record(run))
        if place is not None:
            self.folder.failure(run.id).unlink(missing_ok=True)
            self.folder.resume(run.id).unlink(missing_ok=True)
        return place

    def _first(
        self, offer: Offer, take: Callable[[Offer, StudyFolder], None]
    ) -> StudyFolder | None:
        """The first study from which a run's files can be taken; says why of those before."""
        for place in offer.folders:
            try:
                take(offer, place)
            except ResultError as error:
                why = str(error)
            except OSError as error:
                if error.errno in TAKES_NO_MORE:
                    raise
                why = f"{error.filename or place.path}: {error.strerror}"
            else:
                return place
            self.console.print(Text.assemble(("not taken over:", "yellow"), f" {why}"))
        return None

    def _take_rows(self, offer: Offer, place: StudyFolder) -> None:
        spec = self.study.grid.synthesis
        assert spec is not None, offer.run.id
        with replacing_folder(self.folder.synthesis()) as new:
            _bring(place.synthesis(), new, _files(place.synthesis()))
            if whole_rows(spec, new) is None:
                raise ResultError(f"{place.synthesis()}: gone while it was read")

    def _take_source(self, offer: Offer, record: SourceResult) -> StudyFolder | None:
        """Takes a source with its weights; without them where only cells of it are wanted."""
        self._keep_rows(offer.run)
        place = self._first(offer, self._take_weights) if offer.whole else None
        if place is None and offer.run.id in self.needed and not offer.mends:
            place = offer.folders[0]
            with replacing_folder(self.folder.source(offer.run.id)) as new:
                write_record(self._ours(record, offer.run, place), new / RECORD)
        return place

    def _take_weights(self, offer: Offer, place: StudyFolder) -> None:
        run, record = offer.run, offer.record
        assert isinstance(record, SourceResult)
        there = place.source(run.id)
        names = [WEIGHTS, *record.files] if record.files else _files(there)
        with replacing_folder(self.folder.source(run.id)) as new:
            _bring(there, new, [name for name in names if name != RECORD])
            if flaw := checkpoint_flaw(new, record):
                raise ResultError(flaw.replace(str(new), str(there)))
            ours = record if offer.mends else self._ours(record, run, place)
            write_record(ours, new / RECORD)

    def _ours(self, record: EndedT, run: Run, place: StudyFolder) -> EndedT:
        """A record as this study keeps it: all as it was, and where it was taken from."""
        taken_from = TakenFrom(
            study=place.path.resolve().name,
            folder=str(place.path.resolve()),
            when=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        # what this study's grid calls its source
        named = {"source": run.source} if run.source else {"cell": run.cell}
        return record.model_copy(update={"taken_from": taken_from} | named)

    def _keep_rows(self, run: Run) -> None:
        """Begins with the rows that a record was judged by, where the study has not yet."""
        rows = rows_of(run)
        judge_of(self.study, self.folder).pin(*rows, self.offers.pins[pin_name(*rows)])


def _files(folder: Path) -> list[str]:
    """Names of the files of a folder, without what is being written."""
    return sorted(x.name for x in folder.iterdir() if x.is_file() and x.name[0] != ".")


def _bring(there: Path, here: Path, names: Iterable[str]) -> None:
    """Links or copies files of another study's folder."""
    for name in names:
        link_or_copy(there / name, here / name)


def running_elsewhere(
    study: Study, items: Collection[str], others: Sequence[StudyFolder]
) -> list[str]:
    """Says which of the runs that were just claimed other studies are at, too, a line for each.

    Two submits that begin at once each claim their runs before they look here: one of them tells.
    """
    found = []
    for other in others:
        liveness = ClaimLiveness(other)
        there = {path.stem for path in other.claims.glob("[!.]*.json")}
        twice = [
            study.runs[item]
            for item in items
            if item in there
            and item != SYNTHESIS
            and (held := claims.read(other.claim(item))) is not None
            and liveness.lives(held)
        ]
        if twice:
            found.append(
                f"{_listed(twice)}: study {other.path.name} ({other.path}) runs or awaits the same "
                "now, and each study makes its own. To take them over instead, end this submit and "
                "give it again when they are done there"
            )
    return found
