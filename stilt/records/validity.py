"""Whether a result can be believed: the one judgement that every command goes by.

A result counts where it does not contradict itself, is of the very run that its place promises, and
was scored on the same labels as the others of its task. All else that it says of its dev set is
worked out anew from these labels. Which study it was made for decides nothing: a run's id says all
that can change its score.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stilt.cell import Cell, Run, Source, digest_of
from stilt.errors import ConfigError, ResultError
from stilt.folder import StudyFolder
from stilt.records.answers import classes_of, is_numbers, numbers_of
from stilt.records.baselines import chance, majority
from stilt.records.measures import confusion_of, of_confusion, of_numbers
from stilt.records.pins import Pin, keep, pin_name, pin_path, read_pin
from stilt.records.results import Ended, Result, Score, SourceResult, read_record
from stilt.study import Study
from stilt.task import Task

ROUNDING = 1e-9
"""Shares that differ by less are equal: of at most millions of examples, in float64."""
ASKED = 25
"""Results of a task that are asked for its labels where the study did not keep them."""
KEPT, AGAIN = 30.0, 1.0
"""Seconds that their answer is good for, and where a result is about to be refused by it."""


def contradiction(result: Ended) -> str | None:
    """What in a result does not fit the rest of it, by field; None where all does."""
    dev, item = result.dev, result.item
    if (result.status == "ok") != (result.score is not None) or (dev is None) != (
        result.score is None
    ):
        return f"field 'status' = {result.status!r}: 'score' and 'dev' do not agree with it"
    if isinstance(item, Cell) and item.hyperparameters and item.seed != item.hyperparameters.seed:
        return f"field 'cell.seed' = {item.seed}: not the hyperparameters' seed"
    if result.training is None and item.hyperparameters is not None:
        return "field 'training' = null: of a run that trains"
    if dev is None:
        return None
    if result.score != dev.score:
        return f"field 'score' = {result.score}: 'dev.score' is {dev.score}"
    if dev.score != dev.by(result.metric):
        return f"field 'score' = {result.score}: 'dev' has another {result.metric}"
    if dev.withheld:
        told = dev.gold or dev.predictions
        return f"field 'dev.withheld' = true: there are {told[:20]!r}" if told else None
    return _of_numbers(result, dev) if is_numbers(result.metric) else _of_classes(result, dev)


def _of_numbers(result: Ended, dev: Score) -> str | None:
    """What in a result of regression does not fit its predictions."""
    gold, predicted = _numbers(dev.gold), numbers_of(dev.predictions)
    for name, values in (("gold", gold), ("predictions", predicted)):
        if len(values) != result.dev_rows:
            return f"field 'dev.{name}': {len(values)} numbers for {result.dev_rows} rows"
        if not np.isfinite(values).all():
            return f"field 'dev.{name}': numbers are expected, with a space between them"
    found = of_numbers(result.metric, gold, predicted)
    if abs(found - dev.score) > ROUNDING:
        return f"field 'dev.{result.metric}' = {dev.score}: the predictions have {found:.6g}"
    return None


def _of_classes(result: Ended, dev: Score) -> str | None:
    """What in a result does not fit its predicted classes."""
    if len(dev.gold) != result.dev_rows:
        return f"field 'dev_rows' = {result.dev_rows}: 'dev.gold' has {len(dev.gold)} labels"
    if len(dev.predictions) != result.dev_rows:
        return f"field 'dev.predictions': {len(dev.predictions)} for {result.dev_rows} rows"
    predicted, gold = classes_of(dev.predictions), _labels(dev.gold)
    for name, classes, top in (
        ("predictions", predicted, int(predicted.max())),
        ("gold", gold, _top(dev.gold)),
    ):
        if top >= result.classes:
            where = f"example {int(classes.argmax()) + 1}"
            return (
                f"field 'dev.{name}': {where} is of no class"
                if top == 255
                else (
                    f"field 'dev.{name}': {where} is of class {top}, and there are {result.classes}"
                )
            )
    # of a tie a share counts, which predictions do not tell
    right = np.count_nonzero(predicted == gold) / len(gold)
    if dev.accuracy is None or abs(right - dev.accuracy) > dev.ties / len(gold) + ROUNDING:
        return f"field 'dev.accuracy' = {dev.accuracy}: the predictions have {right:.6g}"
    if dev.ties:
        return None
    confusion = confusion_of(gold, predicted, result.classes)
    for name, metric in (("mcc", "mcc"), ("f1", result.metric)):
        told = getattr(dev, name)
        if told is None:
            continue
        found = of_confusion(metric, confusion)
        if abs(found - told) > ROUNDING:
            return f"field 'dev.{name}' = {told}: the predictions have {found:.6g}"
    return None


@lru_cache(64)
def _labels(gold: str) -> np.ndarray:
    """Labels of a dev set, which thousands of results share."""
    return classes_of(gold)


@lru_cache(64)
def _numbers(gold: str) -> np.ndarray:
    """The same of regression."""
    return numbers_of(gold)


@lru_cache(64)
def _top(gold: str) -> int:
    return int(_labels(gold).max())


@lru_cache(64)
def labels_id(gold: str) -> str:
    """Short digest of a dev set's labels."""
    return digest_of(gold)


class Measured(NamedTuple):
    """What a result says of its task and its rows."""

    metric: str
    classes: int
    chance: float
    majority: float
    train_rows: int
    dev_rows: int
    data: str
    gold_id: str | None
    """``labels_id`` of the dev set; None where the run diverged."""
    kind: str | None
    """The task's, as far as the score tells it: only of classes there is an MCC."""


def measured(result: Ended) -> Measured:
    """What a result says of its task and its rows."""
    dev = result.dev
    kind = None
    if dev is not None:
        kind = "multiple-choice" if dev.mcc is None else "classification"
        kind = "regression" if is_numbers(result.metric) else kind
    gold = None if dev is None or dev.withheld else labels_id(dev.gold)
    rows = (result.train_rows, result.dev_rows, result.data, gold, kind)
    return Measured(result.metric, result.classes, result.chance, result.majority, *rows)


class Rows(NamedTuple):
    """A task's rows, as a study's pin or its results know them; None for what neither does."""

    data: str | None = None
    train: int | None = None
    gold: str | None = None
    disputed: bool = False
    """Whether results differ and none of their answers has a majority."""


class Judge:
    """Believes or refuses the results of a study."""

    def __init__(
        self, study: Study, folder: StudyFolder, pins: Mapping[str, Pin] | None = None
    ) -> None:
        """Reads nothing yet; ``pins`` by ``pin_name`` win over those that the folder keeps."""
        self.study = study
        self.folder = folder
        self._pins = {} if pins is None else pins
        self._voted: dict[str, tuple[float, Rows]] = {}
        self._bases: dict[tuple[str, str], dict[str, float]] = {}

    def flaw(self, record: Ended, run: Run) -> str | None:
        """Why the result of a run cannot be believed, by field; None where it can."""
        return (
            contradiction(record)
            or not_planned(record.item, run)
            or self.misfit(measured(record), *rows_of(run))
        )

    def misfit(self, found: Measured, task: str, train_size: int | None) -> str | None:
        """What in a result does not fit its task or the rows that the study began with."""
        said = self._misfit(found, self.study.tasks[task], self._rows(task, train_size))
        if said is None:
            return None
        # its results may say more by now than when they were last asked
        return self._misfit(found, self.study.tasks[task], self._rows(task, train_size, AGAIN))

    def _misfit(self, found: Measured, task: Task, rows: Rows) -> str | None:
        expected = {"metric": task.metric, "classes": task.outputs, "chance": task.chance}
        for name, value in expected.items():
            if value is not None and getattr(found, name) != value:
                return f"field '{name}' = {getattr(found, name)!r}: task {task.name!r} has {value}"
        if found.kind not in (None, task.kind):
            return f"field 'dev.mcc': not of a {task.kind} task such as {task.name!r}"
        if rows.disputed:
            return (
                f"field 'data' or 'dev.gold': results of task {task.name!r} were scored on "
                "different rows, and nothing says which are right"
            )
        if rows.data not in (None, found.data):
            return f"field 'data' = {found.data!r}: this study's rows have digest {rows.data}"
        if rows.train not in (None, found.train_rows):
            return f"field 'train_rows' = {found.train_rows}: this study's task has {rows.train}"
        if rows.gold is None:
            return None
        if found.gold_id not in (None, labels_id(rows.gold)):
            return f"field 'dev.gold': not the labels of task {task.name!r} in this study"
        gold = (_numbers if is_numbers(task.metric) else _labels)(rows.gold)
        if found.dev_rows != len(gold):
            return f"field 'dev_rows' = {found.dev_rows}: this study's task has {len(gold)}"
        bases = self._bases.get((task.name, rows.gold))
        if bases is None:
            bases = {"majority": majority(task, gold), "chance": chance(task, gold)}
            self._bases[task.name, rows.gold] = bases
        for name, base in bases.items():
            if abs(getattr(found, name) - base) > ROUNDING:
                return f"field {name!r} = {getattr(found, name)}: the labels have {base:.6g}"
        return None

    def _rows(self, task: str, train_size: int | None, kept: float = KEPT) -> Rows:
        """A task's rows by its pin, and by its results where the pin lacks something.

        What results said is good for so many seconds: others are written meanwhile.
        """
        name = pin_name(task, train_size)
        try:
            pin = self._pins.get(name) or read_pin(self._pin_path(task, train_size))
        except ConfigError:
            pin = None
        if pin is not None and pin.gold is not None:
            return Rows(pin.digest, pin.train, pin.gold)
        asked, rows = self._voted.get(name, (0.0, Rows()))
        if not asked or time.monotonic() - asked > kept:
            rows = self._vote(task, train_size, pin)
            self._voted[name] = (time.monotonic(), rows)
        return rows

    def _vote(self, task: str, train_size: int | None, pin: Pin | None) -> Rows:
        """What most of a task's first results were scored on."""
        known = Rows(pin.digest, pin.train) if pin else Rows()
        asked = islice(self._sound(task, train_size, known.data), ASKED)
        votes = Counter(
            Rows(r.data, r.train_rows, None if r.dev.withheld else r.dev.gold)
            for r in asked
            if r.dev is not None
        )
        if not votes:
            return known
        (rows, count), total = votes.most_common(1)[0], votes.total()
        return rows if 2 * count > total else known._replace(disputed=True)

    def _sound(self, task: str, train_size: int | None, data: str | None) -> Iterator[Ended]:
        """A task's results that do not contradict themselves, in the grid's order."""
        there = {
            path.stem for path in self.folder.results.glob("*.json")
        } | self.study.sources.keys()
        for run in self.study.runs.values():
            if run.id not in there or rows_of(run) != (task, train_size):
                continue
            path = self.folder.record(run)
            record: Ended | None
            try:
                record = (
                    read_record(SourceResult, path) if run.source else read_record(Result, path)
                )
            except ResultError:
                continue
            if record is None or contradiction(record):
                continue
            if data in (None, record.data) and not not_planned(record.item, run):
                yield record

    def known(self, task: str, train_size: int | None = None) -> frozenset[str]:
        """Digests by which a study knows a task's rows, see ``Splits.known_by``; none at first.

        Rows that were not seen yet in so great a number are known by their dev part.
        """
        own = train_size == self.study.tasks[task].train_size
        for size in (train_size, None) if own else (train_size,):
            if (rows := self._rows(task, size)).data is not None:
                return frozenset({rows.data})
        try:
            pin = self._pins.get(task) or read_pin(self._pin_path(task, None))
        except ConfigError:
            pin = None
        return frozenset({pin.parts[1][1]} if pin is not None and pin.parts else ())

    def pin(self, task: str, train_size: int | None, pin: Pin) -> str:
        """Keeps the rows that were just read for a task, see ``keep``.

        Raises:
            DataError: The rows are not those that the study was begun with.
        """
        path = self._pin_path(task, train_size)
        known = None
        if not path.is_file() or not path.stat().st_size or _damaged(path):
            known = self._vote(task, train_size, None).data
        return keep(path, task, pin, known)

    def _pin_path(self, task: str, train_size: int | None) -> Path:
        return pin_path(self.folder, self.study.tasks, task, train_size)


def _damaged(path: Path) -> bool:
    try:
        return read_pin(path) is None
    except ConfigError:
        return True


_JUDGES: dict[tuple[Path, str], Judge] = {}


def judge_of(study: Study, folder: StudyFolder) -> Judge:
    """The judge of a study's results; it keeps in memory what it knows of the study's rows."""
    key = (folder.path, study.digest)
    if key not in _JUDGES:
        _JUDGES[key] = Judge(study, folder)
    return _JUDGES[key]


def rows_of(run: Run) -> tuple[str, int | None]:
    """The task whose rows a run uses, and how many of its training rows, where not the task's."""
    return run.task, run.source.train_size if run.source is not None else None


def not_planned(found: Cell | Source, run: Run) -> str | None:
    """In what a record's run is not the one that was planned; None where it is.

    What the grid calls its source says nothing: it changes as a grid grows, from ``rte`` to
    ``rte#42``, and the source's id does not.
    """
    planned = run.source or run.cell
    if planned is None:
        return None
    kind = "source" if isinstance(found, Source) else "cell"
    if found.id != planned.id:
        return f"field '{kind}.id' = {found.id!r}: holds {kind} {found.id}, not {planned.id}"
    name = "name" if isinstance(found, Source) else "source"
    # words are made only where something differs: a status looks at thousands of results
    fields = type(planned).model_fields
    if all(getattr(found, f, None) == getattr(planned, f) for f in fields if f != name):
        return None
    there, here = (_flat(item.model_dump(exclude={name}), kind) for item in (found, planned))
    said = [
        f"field {name!r} = {there.get(name)!r}, not {here.get(name)!r}"
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name)
    ]
    return f"not the grid's {kind} of this id: {', '.join(said)}" if said else None


def _flat(table: dict[str, Any], at: str) -> dict[str, Any]:
    """A nested table with dotted names."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{at}.{key}"
        found |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return found
