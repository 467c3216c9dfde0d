"""One study compared with another shape of it: which runs come, which go, and why ids changed."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stilt.cell import NONE, SYNTHESIS, Cell, Run
from stilt.errors import printable
from stilt.study import TOLD, Study
from stilt.system.units import counted

MOST = 10
"""Differences that are listed; of more there is the number."""
WIDEST = 60
"""Characters of a value that are shown."""
USUAL: dict[str, Any] = {"processes": 1, "head": "keep"}
"""What a field means that an id's content leaves out."""

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """What becomes of a study's runs where another shape of it takes its place."""

    there: Study
    here: Study

    @cached_property
    def came(self) -> list[Run]:
        """Runs that only the new shape has, in its order."""
        return [run for run in self.here.runs.values() if run.id not in self.there.runs]

    @cached_property
    def gone(self) -> list[Run]:
        """Runs that only the old shape has: no longer planned, or other runs by now."""
        here = self.here.runs
        return [
            run
            for run in self.there.runs.values()
            if run.id not in here or (run.stage == SYNTHESIS and self._causes(run, here[run.id]))
        ]

    @cached_property
    def pairs(self) -> list[tuple[Run, Run]]:
        """Of the runs that go, those that become others, each with what it becomes."""
        places = {_place(self.here, run): run for run in self.here.runs.values()}
        found = ((run, places.get(_place(self.there, run))) for run in self.gone)
        return [(old, new) for old, new in found if new is not None]

    @cached_property
    def changed(self) -> dict[str, tuple[str, ...]]:
        """Why runs become others: id that they had -> the fields that differ."""
        return {old.id: self._causes(old, new) for old, new in self.pairs}

    @property
    def same(self) -> bool:
        """Whether the two differ in nothing but their history."""
        return self.there.digest == self.here.digest

    def grown(self) -> str:
        """What comes, as ``+288 cells: target wic``; what else changes, where no run does."""
        if not self.came:
            return f"no other runs: {'; '.join(self.other_fields())}"
        instead = {new.id for _, new in self.pairs}
        new = [run for run in self.came if run.id not in instead]
        cells = [run.cell for run in new if run.cell]
        found = [f"+{_numbers(new).replace(' and ', ' and +')}"] if new else []
        if cells:
            found[0] += f": {_axes(self.here, cells, self.there)}"
        if instead:
            found.append(
                f"{_numbers(run for run in self.came if run.id in instead)} in place of others"
            )
        return "; ".join(found)

    def lost(self) -> list[str]:
        """Which runs go, and why, one line for each reason."""
        groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
        for run in self.gone:
            groups[self.changed.get(run.id, ())].append(run)
        dropped = groups.pop((), [])
        found = []
        for causes, runs in groups.items():
            sort = _sort(runs[-1])
            others = f"is another {sort}" if len(runs) == 1 else f"are other {sort}s"
            found.append(f"{'; '.join(causes)}, so {_numbers(runs)} {others}")
        if dropped:
            cells = [run.cell for run in dropped if run.cell]
            axes = f": {_axes(self.there, cells, self.here)}" if cells else ""
            found.append(f"no longer in the grid: {_numbers(dropped)}{axes}")
        more = [f"and for {len(found) - MOST} more reasons"] if len(found) > MOST else []
        return found[:MOST] + more

    def other_fields(self) -> list[str]:
        """What differs between the two shapes' tables, field by field."""
        old, new = (s.model_dump(mode="json", exclude=TOLD) for s in (self.there, self.here))
        found = [f"{path} {_shown(a)} -> {_shown(b)}" for path, a, b in differing("", old, new)]
        more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
        return found[:MOST] + more

    def _causes(self, old: Run, new: Run) -> tuple[str, ...]:
        """Why two runs of one place have two ids, in words."""
        before, after = self.there.identity_of(old), self.here.identity_of(new)
        found = []
        for path, a, b in differing("", before, after):
            if path == "source" and isinstance(a, str) and isinstance(b, str):
                continue
            found.append(self._said(path, a, b, old, new))
        if old.cell and new.cell and old.cell.source_id != new.cell.source_id:
            first, then = (
                study.runs.get(cell.source_id or "")
                for study, cell in ((self.there, old.cell), (self.here, new.cell))
            )
            found += self._causes(first, then) if first and then else []
        return tuple(dict.fromkeys(found))

    def _said(self, path: str, a: Any, b: Any, old: Run, new: Run) -> str:
        """One field that differs, as a person who edited it would look for it."""
        head, _, rest = path.partition(".")
        if head == "task":
            # a field that has its usual value is not in an id's content
            a = _value(self.there.tasks[old.task], rest) if a is _ABSENT else a
            b = _value(self.here.tasks[new.task], rest) if b is _ABSENT else b
            return f"{new.task}: {rest} {_shown(a)} -> {_shown(b)}"
        if head == "hyperparameters":
            # of all sources alike: a cell's own are what pairs it
            return f"source.{rest} {_shown(a)} -> {_shown(b)}"
        if head == "train_size":
            return f"source {new.source_name}: {head} {_shown(a)} -> {_shown(b)}"
        usual = USUAL.get(head, _ABSENT)
        a, b = (usual if value is _ABSENT else value for value in (a, b))
        return f"{path} {_shown(a)} -> {_shown(b)}"


def differing(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every place at which two JSON values differ: its path, and what is there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            yield from differing(inner, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif _tables(old) and _tables(new) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differing(f"{path}[{place}]", one, other)
    elif old != new:
        yield path, old, new


def _tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _value(model: Any, path: str) -> Any:
    """What a dotted path leads to in a task; ``_ABSENT`` where it leads nowhere."""
    value = model.model_dump(mode="json")
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    return printable(json.dumps(value, ensure_ascii=False), WIDEST)


def _place(study: Study, run: Run) -> tuple[Any, ...]:
    """What a person takes for the same run, whatever its id: its source, target and point."""
    cell = run.cell
    source = run.source or (study.sources.get(cell.source_id or "") if cell else None)
    # a source's seed stands in its name only where a grid has several
    start = (source.name.partition("#")[0], source.hyperparameters.seed) if source else (NONE,)
    return (run.stage, *start, run.task, *((cell.hyperparameters, cell.seed) if cell else ()))


def _sort(run: Run) -> str:
    return "cell" if run.cell else "source" if run.source else "generation"


def _numbers(runs: Iterable[Run]) -> str:
    """How many runs of each sort there are, in words."""
    sorts = Counter(map(_sort, runs))
    return " and ".join(
        counted(sorts[sort], sort) for sort in ("source", "generation", "cell") if sorts[sort]
    )


def _axes(study: Study, cells: Collection[Cell], other: Study) -> str:
    """What sets some of a study's cells apart from all of another shape's, axis by axis."""
    if not cells:
        return "no cell"
    rest = other.cells.values()
    found = []
    for axis in _AXES:
        mine, theirs = (
            {v for c in group if (v := _AXES[axis](c)) is not None} for group in (cells, rest)
        )
        if new := [value for value in _in_order(mine) if value not in theirs]:
            found.append(f"{axis} {', '.join(map(str, new))}")
    if found:
        return "; ".join(found)
    places = Counter(f"{cell.source} → {cell.target}" for cell in cells)
    shown = [f"{place} ({count})" for place, count in places.most_common(MOST)]
    return "other combinations, " + ", ".join(shown)


def _in_order(values: Iterable[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def _point(name: str) -> Any:
    return lambda cell: getattr(cell.hyperparameters, name, None)


_AXES: dict[str, Any] = {
    "target": lambda cell: cell.target if cell.hyperparameters else None,
    "evaluation on": lambda cell: None if cell.hyperparameters else cell.target,
    "source": lambda cell: cell.source.partition("#")[0],
    "source seed": lambda cell: (
        int(cell.source.partition("#")[2] or 42) if cell.source_id else None
    ),
    "learning rate": _point("learning_rate"),
    "batch size": _point("batch_size"),
    "warmup ratio": _point("warmup_ratio"),
    "seed": _point("seed"),
    "evaluation seed": lambda cell: None if cell.hyperparameters else cell.seed,
    "init seed": _point("init_seed"),
    "order seed": _point("order_seed"),
}
"""What may be new of a cell, in the order in which it is told."""
