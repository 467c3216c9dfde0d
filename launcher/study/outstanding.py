"""What a study still lacks: told from its files first, then from the jobs that hold claims."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.records import claims
from stilt.records.finished import checkpoint_flaw, read_ending, usable
from stilt.records.results import RecordError, SourceResult
from stilt.study import Study

Lives = Callable[[claims.Claim], bool]


@dataclass(frozen=True)
class Outstanding:
    """Ids of a study's runs that are done, held and missing."""

    done: set[str] = field(default_factory=set)
    """Cells with a valid result."""
    there: set[str] = field(default_factory=set)
    """What cells need and have: sources with record and weights, ``synthesis`` with its rows."""
    held: set[str] = field(default_factory=set)
    """Of the rest, what a live job holds."""
    missing: list[str] = field(default_factory=list)
    """Cells to submit, in the grid's order."""
    hopeless: dict[str, list[str]] = field(default_factory=dict)
    """Source whose training diverged, as it would again -> cells that have no result for it."""
    closed: list[str] = field(default_factory=list)
    """Messages on results that may be valid, but may not be read: their cells are left alone."""
    damaged: list[str] = field(default_factory=list)
    """Messages on records that are not what their name says; their runs are run again."""
    broken: set[str] = field(default_factory=set)
    """Sources with a sound record beside a damaged checkpoint."""


def outstanding(study: Study, folder: StudyFolder, lives: Lives) -> Outstanding:
    """Sorts the runs of a study into done, held by a live job, and missing.

    Args:
        study: the study.
        folder: where it lives.
        lives: whether a claim's job still lives.

    Raises:
        ResultError: The record of a source may not be read.
    """
    found = Outstanding()
    # claims first, here and for each run: one that ends meanwhile drops its claim when its result
    # is written, and would else be seen in neither
    claimed = names_in(folder.claims)
    begun = claimed | names_in(folder.results)
    for run in study.runs.values():
        if run.cell and run.id not in begun:
            found.missing.append(run.id)
            continue
        claim = claims.read(folder.claim(run.id)) if run.id in claimed else None
        try:
            if usable(study, folder, run):
                (found.done if run.cell else found.there).add(run.id)
                continue
        except RecordError as error:
            if error.kind == "unreadable":
                # it may well be valid: to run it again would replace it
                if run.cell is None:
                    raise
                found.closed.append(str(error))
                continue
            found.damaged.append(str(error))
        except ResultError as error:
            found.damaged.append(str(error))
        if claim is not None and lives(claim):
            found.held.add(run.id)
        elif run.cell:
            found.missing.append(run.id)
    for source in study.sources:
        if source not in found.there | found.held and _diverged(study, folder, source):
            cells = [cell for cell in found.missing if source in study.runs[cell].needs]
            if cells:
                found.hopeless[source] = cells
    left = {cell for cells in found.hopeless.values() for cell in cells}
    found.missing[:] = [cell for cell in found.missing if cell not in left]
    for source in _needed(study, found):
        record = read_ending(study, folder, study.runs[source])
        place = folder.source(source)
        flaw = checkpoint_flaw(place, record) if isinstance(record, SourceResult) else None
        if flaw is not None:
            found.there.discard(source)
            found.broken.add(source)
            found.damaged.append(f"{flaw}; the source is trained again")
    return found


def _diverged(study: Study, folder: StudyFolder, source: str) -> bool:
    """Whether a sound record says that a source's training diverged."""
    try:
        record = read_ending(study, folder, study.runs[source])
    except ResultError:
        return False
    return record is not None and record.status == "diverged"


def names_in(folder: Path) -> set[str]:
    """Ids that the files of a folder are named by; none where there is no folder.

    Listed at once: of a hundred thousand cells most may have no file yet.
    """
    try:
        return {path.stem for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def _needed(study: Study, found: Outstanding) -> list[str]:
    """Trained sources that missing cells start from: the only ones that are read whole."""
    needs = {need for cell in found.missing for need in study.runs[cell].needs}
    return [source for source in study.sources if source in needs & found.there]
