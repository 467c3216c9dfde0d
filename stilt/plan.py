"""What is to be run, in which order, packed into bundles of similar cost."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from pydantic import Field

from stilt.cell import Cell, digest
from stilt.config import Frozen
from stilt.schedule import plan_updates
from stilt.study import Study
from stilt.synthesis.halves import FAKES
from stilt.task import Size, Task

SYNTHESIS = "synthesis"
"""Name of the stage (and of its one item) that generates SynthesisGPT2's rows."""

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


class Plan(Frozen):
    """Bundles in an order in which they can be run: whatever one needs comes before it."""

    bundles: tuple[Bundle, ...]

    @property
    def cost(self) -> float:
        """Estimated work of all bundles, in training tokens."""
        return sum(bundle.cost for bundle in self.bundles)

    def stage(self, stage: str) -> list[Bundle]:
        """The bundles of one stage."""
        return [bundle for bundle in self.bundles if bundle.stage == stage]


def plan(
    study: Study,
    *,
    cells: Collection[str],
    sources_there: Collection[str] = (),
    synthesis_there: bool = False,
    held: Collection[str] = (),
    sizes: Mapping[str, Size] | None = None,
    bundles: int = 8,
    max_cells: int = 64,
) -> Plan:
    """Plans the cells that are still to be run.

    Cells of one source make bundles of their own, so that they start as soon as that source is
    there, whatever else still trains. Within a source, cells are packed longest first into bundles
    of similar cost.

    Args:
        study: the study.
        cells: ids to run; none of them done or held by a live job.
        sources_there: source ids with a valid checkpoint.
        synthesis_there: the generated rows exist.
        held: source ids (or ``synthesis``) that a live job will make.
        sizes: rows and tokens of tasks; the tasks' own published sizes where absent.
        bundles: bundles to aim at for the whole study: more balance better, fewer load less often.
        max_cells: cells in one bundle at most.

    Returns:
        Every id of ``cells`` in exactly one bundle, after the source it needs.
    """
    chosen = set(cells)
    wanted = [cell for cell in study.cells.values() if cell.id in chosen]
    needed = dict.fromkeys(c.source_id for c in wanted if c.source_id)
    missing = [s for s in needed if s not in sources_there and s not in held]
    found: list[Bundle] = []
    generates = _needs_synthesis(study, missing, wanted) and not synthesis_there
    if generates and SYNTHESIS not in held:
        found.append(_bundle("synthesis", [SYNTHESIS], (), synthesis_cost(study, sizes)))
    for source_id in missing:
        generated = study.tasks[study.sources[source_id].task].synthesis
        rows = (SYNTHESIS,) if generates and generated else ()
        found.append(_bundle("source", [source_id], rows, source_cost(study, source_id, sizes)))
    costs = {cell.id: cell_cost(study, cell, sizes) for cell in wanted}
    total = sum(costs.values()) or 1.0
    groups: dict[tuple[str | None, tuple[str, ...]], list[str]] = defaultdict(list)
    for cell in wanted:
        needs: tuple[str, ...] = ()
        if cell.source_id and cell.source_id not in sources_there:
            needs = (cell.source_id,)
        if generates and study.tasks[cell.target].synthesis:
            needs = (*needs, SYNTHESIS)
        groups[cell.source_id, needs].append(cell.id)
    for (_, needs), members in groups.items():
        share = sum(costs[m] for m in members) / total
        count = max(1, round(share * bundles), -(-len(members) // max_cells))
        for packed in pack({m: costs[m] for m in members}, count, max_cells):
            found.append(_bundle("target", packed, needs, sum(costs[m] for m in packed)))
    return Plan(bundles=tuple(_ordered(found)))


def pack(costs: Mapping[str, float], count: int, most: int | None = None) -> list[list[str]]:
    """Packs items into ``count`` bundles of similar cost: longest first, into the lightest bundle.

    Source: Graham 1969, the LPT rule: no bundle exceeds 4/3 of the best possible.

    Args:
        costs: cost of each item.
        count: bundles; with ``most``, at least as many as it takes to hold all items.
        most: items in one bundle at most; a full bundle takes no more.

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


def cell_cost(study: Study, cell: Cell, sizes: Mapping[str, Size] | None = None) -> float:
    """Estimated work of a cell in training tokens: its training and one pass over dev."""
    task = study.tasks[cell.target]
    size = _size(task, sizes)
    dev = size.dev * task.sequences * size.tokens / TRAIN_TO_FORWARD
    if cell.hyperparameters is None:
        return dev
    return dev + _training(task, size.train, cell.hyperparameters.batch_size, size.tokens)


def source_cost(study: Study, source_id: str, sizes: Mapping[str, Size] | None = None) -> float:
    """Estimated work of a source in training tokens: its training and one pass over dev."""
    source = study.sources[source_id]
    task = study.tasks[source.task]
    size = _size(task, sizes)
    rows = min(source.train_size or size.train, size.train)
    dev = size.dev * task.sequences * size.tokens / TRAIN_TO_FORWARD
    return dev + _training(task, rows, source.hyperparameters.batch_size, size.tokens)


def synthesis_cost(study: Study, sizes: Mapping[str, Size] | None = None) -> float:
    """Estimated work of generating SynthesisGPT2's rows, in training tokens of the study's model.

    A row of the task holds a premise and one ending, about half of its tokens each; the generator
    reads the premise once and writes three such endings, so it passes over (1 + 3) / 2 rows' tokens
    forward. Each counts a third of a training token, times the generator's parameters over those of
    the study's model (as many, where the grid does not give the latter). That is arithmetic alone:
    a device that is slow at writing token by token takes longer than this says.
    """
    spec = study.grid.synthesis
    tokens = [_size(task, sizes).tokens for task in study.tasks.values() if task.synthesis]
    if spec is None or not tokens:
        return 0.0
    forward = (spec.sentences + spec.dev_sentences) * max(tokens) * (1 + FAKES) / 2
    generator = spec.generator.parameters or GENERATOR_PARAMETERS
    return forward / TRAIN_TO_FORWARD * generator / (study.grid.model.parameters or generator)


def _training(task: Task, rows: int, batch_size: int, tokens: float) -> float:
    schedule = plan_updates(
        rows=rows,
        epochs=task.epochs,
        batch_size=batch_size,
        warmup_ratio=0.0,
        micro_batch=task.micro_batch,
    )
    return rows * task.sequences * tokens * task.epochs + UPDATE_TOKENS * schedule.total


def _size(task: Task, sizes: Mapping[str, Size] | None) -> Size:
    if sizes and task.name in sizes:
        return sizes[task.name]
    # a user's task may leave its size out; the order of magnitude is all that packing needs
    size = task.size or Size(train=1000, dev=1000, tokens=task.max_length)
    return Size(
        train=min(task.train_size or size.train, size.train),
        dev=min(task.dev_size or size.dev, size.dev),
        tokens=size.tokens,
    )


def _needs_synthesis(study: Study, sources: Iterable[str], cells: Iterable[Cell]) -> bool:
    return any(study.tasks[study.sources[s].task].synthesis for s in sources) or any(
        study.tasks[cell.target].synthesis for cell in cells
    )


def _bundle(stage: str, items: list[str], needs: tuple[str, ...], cost: float) -> Bundle:
    return Bundle.model_validate(
        {
            "id": digest([stage, *items]),
            "stage": stage,
            "items": items,
            "needs": needs,
            "cost": cost,
        }
    )


def _ordered(bundles: list[Bundle]) -> list[Bundle]:
    rank = {"synthesis": 0, "source": 1, "target": 2}
    return sorted(bundles, key=lambda b: (rank[b.stage], bool(b.needs), -b.cost, b.id))
