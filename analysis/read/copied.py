"""A copy of what a summary reads of a study, for others: without what its data's terms keep."""

import re
from pathlib import Path

from analysis.read.records import constant_answer
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder
from stilt.records.pins import Pin, read_pin
from stilt.records.results import Failure, Record, Result, SourceResult, line_of, read_record
from stilt.study import Study

ACCOUNTING = "accounting.json"
"""What SLURM said of a study's jobs, kept in its summary folder for machines that cannot ask."""
WITHHELD = "withheld: the task's data are for persons with a credential"


def copy_records(folder: StudyFolder, study: Study, copied: StudyFolder) -> None:
    """Copies what a summary reads of a study's runs, without weights, rows and what is withheld.

    Of tasks whose data need a credential, predictions, labels and messages of failures stay. So
    does all that is of no planned run: it may be of a task that the study no longer has.
    """
    closed = {name for name, task in study.tasks.items() if task.credentialed}
    for run in study.runs.values():
        model = SourceResult if run.source else Result
        for kind, file in ((model, folder.record(run)), (Failure, folder.failure(run.id))):
            if run.source or run.cell or kind is Failure:
                target = copied.path / file.relative_to(folder.path)
                _copy(file, target, kind if run.task in closed else None)
    for file in folder.data_digest("").parent.glob("[!.]*.json"):
        target = copied.data_digest(file.stem)
        secret = any(re.fullmatch(rf"{re.escape(name)}([@-].*)?", file.stem) for name in closed)
        _copy(file, target, Pin if secret else None)
    sheet = folder.synthesis() / "datasheet.json"
    _copy(folder.study_file, copied.study_file)
    _copy(folder.calibration, copied.calibration)
    _copy(sheet, copied.synthesis() / sheet.name)
    _copy(folder.summary / ACCOUNTING, copied.summary / ACCOUNTING)


def _copy(file: Path, target: Path, secret: type[Record] | type[Pin] | None = None) -> None:
    """Copies a file, where there is one; of a secret one, what may be known, or nothing."""
    if not file.is_file():
        return
    content = file.read_bytes() if secret is None else _open_part(secret, file)
    if content is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _open_part(kind: type[Record] | type[Pin], file: Path) -> bytes | None:
    """A record without what its data's terms keep; None where it cannot be read."""
    if issubclass(kind, Pin):
        try:
            pin = read_pin(file)
        except ConfigError:
            return None
        if pin is None:
            return None
        return pin.model_copy(update={"gold": None, "odd": None}).model_dump_json().encode()
    try:
        record = read_record(kind, file)
    except ResultError:
        return None
    if isinstance(record, Failure):
        record = record.model_copy(update={"message": WITHHELD, "traceback": ""})
    elif isinstance(record, (Result, SourceResult)) and record.dev is not None:
        dev = record.dev
        constant = constant_answer(record.metric, dev.predictions, dev.gold)
        open_part = {"predictions": "", "gold": "", "withheld": True, "constant": constant}
        record = record.model_copy(update={"dev": dev.model_copy(update=open_part)})
    return line_of(record).encode() if record is not None else None
