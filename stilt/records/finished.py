"""Whether a run has ended with something that can be used: told from files alone."""

from stilt.cell import Run
from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.records.results import Ended, Result, SourceResult, read_record
from stilt.records.validity import judge_of
from stilt.study import Study
from stilt.system.files import file_digest

WEIGHTS = "model.safetensors"
"""A checkpoint's weights, in its source's folder."""


def finished(study: Study, folder: StudyFolder, item: str) -> bool:
    """Whether the run of an id has ended with something that can be used; damaged files do not."""
    try:
        return usable(study, folder, study.runs[item])
    except ResultError:
        return False


def usable(study: Study, folder: StudyFolder, run: Run) -> bool:
    """Whether a run has ended with something that can be used.

    Of a cell that is a valid result; of a source a record that has not diverged, and its weights;
    of the generation the whole rows.

    Raises:
        ResultError: The record is damaged, or cannot be believed.
    """
    if run.source is None and run.cell is None:
        return folder.record(run).is_file()
    record = read_ending(study, folder, run)
    if record is None or run.source is None:
        return record is not None
    return record.status == "ok" and (folder.source(run.id) / WEIGHTS).is_file()


def checkpoint_flaw(folder: StudyFolder, result: SourceResult) -> str | None:
    """What is wrong with a source's checkpoint; None where every file is the one that was saved.

    All of it is read, which takes seconds for a large model.
    """
    place = folder.source(result.source.id)
    for name, digest in {WEIGHTS: result.checkpoint, **result.files}.items():
        path = place / name
        try:
            if file_digest(path) != digest:
                return f"{path}: not the file that was saved with result.json"
        except OSError as error:
            return f"{path}: cannot be read ({error.strerror})"
    return None


def read_ending(study: Study, folder: StudyFolder, run: Run) -> Ended | None:
    """The record of how a cell or source ended; None where it has not, and for the generation.

    Raises:
        ResultError: The record is damaged, or another run's.
    """
    if run.source is None and run.cell is None:
        return None
    path = folder.record(run)
    record = read_record(SourceResult, path) if run.source else read_record(Result, path)
    if record is not None and (flaw := judge_of(study, folder).flaw(record, run)):
        raise ResultError(f"{path}: {flaw}.")
    return record
