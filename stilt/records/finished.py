"""Whether what others wait for is there: told from files alone."""

from stilt.errors import ResultError
from stilt.folder import StudyFolder
from stilt.plan import SYNTHESIS
from stilt.records.results import SourceResult, read_record, read_result
from stilt.study import Study

WEIGHTS = "model.safetensors"
"""A checkpoint's weights, in its source's folder."""


def finished(study: Study, folder: StudyFolder, item: str) -> bool:
    """Whether an item has ended with something that can be used.

    Args:
        study: the study.
        folder: where it lives.
        item: a cell's id: its result is valid; a source's: it did not diverge and its weights are
            there; or ``synthesis``: its rows are whole.
    """
    if item == SYNTHESIS:
        return (folder.synthesis() / "dev.jsonl").is_file()
    try:
        if item in study.sources:
            record = trained(study, folder, item)
            return record is not None and record.status == "ok"
        cell = study.cells.get(item)
        path = folder.result(item)
        return cell is not None and read_result(cell, study.digest, path) is not None
    except ResultError:
        return False


def trained(study: Study, folder: StudyFolder, source_id: str) -> SourceResult | None:
    """The record of a source; None where it has none, another's, or no longer its weights.

    Raises:
        ResultError: The record is damaged.
    """
    place = folder.source(source_id)
    record = read_record(SourceResult, place / "result.json")
    if record is None or record.source != study.sources[source_id]:
        return None
    if record.study != study.digest:
        return None
    return record if record.status != "ok" or (place / WEIGHTS).is_file() else None
