"""What is to be run, in which order, packed into bundles of similar cost."""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Literal

from pydantic import Field

from stilt.cell import SYNTHESIS, Run, digest
from stilt.config import Frozen
from stilt.schedule import plan_updates
from stilt.study import Study
from stilt.synthesis.halves import FAKES
from stilt.task import Size, Task

TRAIN_TO_FORWARD = 3.0
"""Cost of a training token in forward tokens: one forward and a backward of twice its work."""
UPDATE_TOKENS = 25.0
"""Cost of one optimizer update in training tokens, whatever the batch (benchmarks/padding.py)."""
GENERATOR_PARAMETERS = 302_000_000
"""Of GPT-2 medium, without embeddings: 24 layers x 12 x 1024 squared. Taken for every generator of
which the grid gives no ``parameters``."""


class Bundle(Frozen):
    """What one process runs, one item after the other; one element of a job array."""

    id: str
    stage: Literal["synthesis", "source", "target"]
    items: tuple[str, ...] = Field(min_length=1)
    """Ids of cells or of one source; ``synthesis`` for the generation."""
    needs: tuple[str, ...] = ()
    """What must be there first: the source's id, ``synthesis``, or both in this order."""
    cost: float = Field(ge=0)
    """Estimated work in training tokens."""
    seconds: float | None = Field(default=None, ge=0, exclude_if=lambda value: value is None)
    """Predicted seconds of one worker, where a forecast was made."""

    @property
    def weight(self) -> float:
        """What bundles of one plan are compared by: predicted seconds, else estimated work."""
        return self.cost if self.seconds is None else self.seconds


class Plan(Frozen):
    """Bundles in an order in which they can be run: whatever one needs comes before it."""

    bundles: tuple[Bundle, ...]

    @property
    def cost(self) -> float:
        """Estimated work of all bundles, in training tokens."""
        return sum(bundle.cost for bundle in self.bundles)

    @property
    def seconds(self) -> float | None:
        """Predicted seconds of all bundles, of one worker; None without a forecast."""
        found = [bundle.seconds for bundle in self.bundles if bundle.seconds is not None]
        return sum(found) if len(found) == len(self.bundles) else None


def plan(
    study: Study,
    *,
    cells: Collection[str],
    there: Collection[str] = (),
    held: Collection[str] = (),
    sizes: Mapping[str, Size] | None = None,
    bundles: int = 8,
    max_cells: int = 64,
    seconds: Callable[[Run], float] | None = None,
    most_seconds: float | None = None,
    order: Mapping[str, int] | None = None,
) -> Plan:
    """Plans the cells that are still to be run.

    Cells of one source make bundles of their own, so that they start as soon as that source is
    there, whatever else still trains. Within a source, cells are packed longest first into bundles
    of similar cost.

    Args:
        study: the study.
        cells: ids to run; none of them done or held by a live job.
        there: sources with a valid checkpoint, and ``synthesis`` where the rows are generated.
        held: sources (or ``synthesis``) that a live job will make.
        sizes: rows and tokens of tasks; the tasks' own published sizes where absent.
        bundles: bundles to aim at for the whole study: more balance better, fewer load less often.
        max_cells: cells in one bundle at most.
        seconds: predicts the seconds of a run; without it, bundles are packed by estimated work.
        most_seconds: predicted seconds that no bundle of several cells exceeds.
        order: id -> place of a cell among those of its bundle; dearest first where absent.

    Returns:
        Every id of ``cells`` in exactly one bundle, after the source it needs.
    """
    chosen = set(cells)
    wanted = [run for run in study.runs.values() if run.cell is not None and run.id in chosen]
    lacked = {run.id: tuple(n for n in run.needs if n not in there) for run in study.runs.values()}
    makers = {need for run in wanted for need in lacked[run.id]}.difference(held)
    makers |= {need for maker in makers for need in lacked[maker]}.difference(held)
    made = [run for run in study.runs.values() if run.id in makers]
    costs = {run.id: cost(study, run, sizes) for run in [*made, *wanted]}
    times = {run.id: seconds(run) for run in [*made, *wanted]} if seconds else None
    weights = costs if times is None else times
    found = [_bundle(run.stage, [run.id], lacked[run.id], costs, times) for run in made]
    total = sum(weights[run.id] for run in wanted) or 1.0
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for run in wanted:
        groups[run.source_name, lacked[run.id]].append(run.id)
    for (_, needs), members in groups.items():
        share = sum(weights[m] for m in members)
        count = max(1, round(share / total * bundles), -(-len(members) // max_cells))
        for packed in _packed({m: weights[m] for m in members}, count, max_cells, most_seconds):
            items = sorted(packed, key=order.__getitem__) if order else packed
            found.append(_bundle("target", items, needs, costs, times))
    rank = {"synthesis": 0, "source": 1, "target": 2}
    found.sort(key=lambda b: (rank[b.stage], bool(b.needs), -b.weight, b.id))
    return Plan(bundles=tuple(found))


def pack(costs: Mapping[str, float], count: int, most: int | None = None) -> list[list[str]]:
    """Packs items into ``count`` bundles of similar cost: longest first, into the lightest bundle.

    Source: Graham 1969, the LPT rule: no bundle exceeds 4/3 of the best possible.

    With ``most``, a bundle of so many items takes no more, and ``count`` has to be enough for all.

    Returns:
        At most ``count`` non-empty lists that hold every item once, dearest items first.
    """
    heap = [(0.0, index) for index in range(min(count, len(costs)))]
    packed: list[list[str]] = [[] for _ in heap]
    for item in sorted(costs, key=lambda item: -costs[item]):
        load, index = heapq.heappop(heap)
        packed[index].append(item)
        if most is None or len(packed[index]) < most:
            heapq.heappush(heap, (load + costs[item], index))
    return packed


def _packed(
    weights: Mapping[str, float], count: int, most: int, most_weight: float | None
) -> list[list[str]]:
    """Packs items as ``pack``, into more bundles where one of several items would weigh more."""
    if most_weight is not None:
        count = max(count, math.ceil(sum(weights.values()) / most_weight))
    while True:
        found = pack(weights, count, most)
        if most_weight is None or all(
            len(items) == 1 or sum(weights[item] for item in items) <= most_weight
            for items in found
        ):
            return found
        count += 1 + count // 20


def weights(
    study: Study, bundle: Bundle, sizes: Mapping[str, Size] | None = None
) -> dict[str, float]:
    """The part of a bundle's weight that each of its runs has, by its estimated work."""
    work = {item: cost(study, study.runs[item], sizes) for item in bundle.items}
    total = sum(work.values()) or 1.0
    return {item: bundle.weight * part / total for item, part in work.items()}


def cost(study: Study, run: Run, sizes: Mapping[str, Size] | None = None) -> float:
    """Estimated work of a run in training tokens: its training and one pass over dev.

    ``sizes`` are rows and tokens of tasks; the tasks' own published sizes where absent.
    """
    if run.stage == SYNTHESIS:
        return _generation(study, sizes)
    task = study.tasks[run.task]
    size = size_of(study, task, sizes)
    dev = size.dev * task.sequences * size.tokens / TRAIN_TO_FORWARD
    if run.hyperparameters is None:
        return dev
    own = run.source.train_size if run.source is not None else None
    rows = min(own or size.train, size.train)
    schedule = plan_updates(
        rows=rows,
        epochs=task.epochs,
        batch_size=run.hyperparameters.batch_size,
        warmup_ratio=0.0,
        micro_batch=task.micro_batch,
    )
    tokens = rows * task.sequences * size.tokens * task.epochs
    return dev + (tokens + UPDATE_TOKENS * schedule.total)


def _generation(study: Study, sizes: Mapping[str, Size] | None) -> float:
    """Estimated work of generating SynthesisGPT2's rows, in training tokens of the study's model.

    A row of the task holds a premise and one ending, about half of its tokens each; the generator
    reads the premise once and writes three such endings, so it passes over (1 + 3) / 2 rows' tokens
    forward. Each counts a third of a training token, times the generator's parameters over those of
    the study's model (as many, where the grid does not give the latter). That is arithmetic alone:
    a device that is slow at writing token by token takes longer than this says.
    """
    spec = study.grid.synthesis
    if spec is None:
        return 0.0
    tokens = max(
        size_of(study, task, sizes).tokens for task in study.tasks.values() if task.synthesis
    )
    forward = (spec.sentences + spec.dev_sentences) * tokens * (1 + FAKES) / 2
    generator = spec.generator.parameters or GENERATOR_PARAMETERS
    return forward / TRAIN_TO_FORWARD * generator / (study.grid.model.parameters or generator)


def size_of(study: Study, task: Task, sizes: Mapping[str, Size] | None = None) -> Size:
    """Rows and tokens of a task: as they were read, else as they will be made, or as published."""
    if sizes and task.name in sizes:
        return sizes[task.name]
    # a user's task may leave its size out; the order of magnitude is all that packing needs
    size = task.size or Size(train=1000, dev=1000, tokens=task.max_length)
    if task.synthesis and (spec := study.grid.synthesis):
        size = Size(train=spec.sentences, dev=spec.dev_sentences, tokens=size.tokens)
    return Size(
        train=min(task.train_size or size.train, size.train),
        dev=min(task.dev_size or size.dev, size.dev),
        tokens=size.tokens,
    )


def _bundle(
    stage: str,
    items: list[str],
    needs: tuple[str, ...],
    costs: Mapping[str, float],
    times: Mapping[str, float] | None,
) -> Bundle:
    sums = {
        "cost": sum(costs[item] for item in items),
        "seconds": None if times is None else sum(times[item] for item in items),
    }
    table = {"id": digest([stage, *items]), "stage": stage, "items": items, "needs": needs}
    return Bundle.model_validate(table | sums)
