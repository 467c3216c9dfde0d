"""From a plan's bundles to job arrays: what waits for what, and how many may run at a time."""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stilt.plan import Bundle


@dataclass(frozen=True)
class Array:
    """One job array: bundles of one stage that wait for the same thing."""

    stage: str
    needs: tuple[str, ...]
    """Source id, or ``synthesis``, or both, whose jobs must succeed first."""
    bundles: tuple[Bundle, ...]
    parallel: int
    """Elements that may run at one time."""
    ok: tuple[int, ...] = ()
    """Positions of the arrays that make what this one needs, but for what another job makes."""
    ended: tuple[int, ...] = ()
    """Positions of arrays whose places this one takes: they must have ended, however."""

    @property
    def token(self) -> str:
        """What tells this array from the others of a submission."""
        return self.bundles[0].id


@dataclass
class _Lane:
    """Arrays that never run at the same time as each other's: a source, then its targets."""

    before: list[Bundle] = field(default_factory=list)
    """Synthesis and source, each an array of its own."""
    targets: list[Bundle] = field(default_factory=list)

    @property
    def cost(self) -> float:
        return sum(bundle.cost for bundle in (*self.before, *self.targets))


def arrange(
    bundles: Sequence[Bundle], *, array_size: int, parallel: int | None = None
) -> list[Array]:
    """Arranges bundles into arrays, in an order in which they can be submitted.

    Each source is an array of its own, and its targets wait for it alone. No array has more than
    ``array_size`` elements. A limit on what runs at a time is divided: over sources (each with its
    targets, which cannot run while it trains) in proportion to their work, and within one over its
    arrays; where there are more of them than places, some wait until others have ended.

    Args:
        bundles: a plan's bundles, each after what it needs.
        array_size: elements of one array at most.
        parallel: elements that may run at one time over all arrays; None for no limit.
    """
    lanes = _lanes(bundles)
    shares, queue = _shares(lanes, parallel)
    found: list[Array] = []
    maker: dict[str, int] = {}
    last: dict[int, tuple[int, ...]] = {}  # positions of the arrays that a lane ends with

    def add(array: Array) -> int:
        makes = array.bundles[0].items[0]
        found.append(replace(array, ok=tuple(maker[n] for n in array.needs if n in maker)))
        if array.stage != "target":
            maker[makes] = len(found) - 1
        return len(found) - 1

    def start(name: int) -> None:
        """A lane's synthesis and source."""
        earlier = queue.get(name)
        last[name] = last[earlier] if earlier is not None else ()
        ended = last[name]
        for bundle in lanes[name].before:
            last[name] = (add(Array(bundle.stage, bundle.needs, (bundle,), 1, ended=ended)),)
            ended = ()

    def finish(name: int) -> None:
        """A lane's targets, in chunks."""
        targets, share = lanes[name].targets, shares[name]
        if not targets:
            return
        # to wait for its own source is to wait for all that the source waited for
        ended = () if lanes[name].before else last[name]
        chunks = _chunks(targets, array_size)
        parts = _divide(share, [len(chunk) for chunk in chunks])
        made: list[int] = []
        for chunk, part in zip(chunks, parts, strict=True):
            made.append(add(Array("target", chunk[0].needs, tuple(chunk), part, ended=ended)))
            if share is not None and share < len(chunks):
                ended = (made[-1],)
        last[name] = (made[-1],) if ended == (made[-1],) else tuple(made)

    # whatever is submitted first runs first where places are few: others wait for the sources
    at_once = [name for name in range(len(lanes)) if name not in queue]
    for name in at_once:
        start(name)
    for name in at_once:
        finish(name)
    for name in queue:
        start(name)
        finish(name)
    return found


def _chunks(targets: Sequence[Bundle], array_size: int) -> list[list[Bundle]]:
    """Bundles that wait for the same, as many as one array takes."""
    groups: dict[tuple[str, ...], list[Bundle]] = defaultdict(list)
    for bundle in targets:
        groups[bundle.needs].append(bundle)
    return [
        members[i : i + array_size]
        for members in groups.values()
        for i in range(0, len(members), array_size)
    ]


def _lanes(bundles: Sequence[Bundle]) -> list[_Lane]:
    """Groups bundles into lanes; whatever a lane needs is in it or in an earlier one."""
    lanes: dict[str | None, _Lane] = defaultdict(_Lane)
    synthesis = [bundle for bundle in bundles if bundle.stage == "synthesis"]
    for bundle in bundles:
        if bundle.stage == "source":
            lane = lanes[bundle.items[0]]
            if bundle.needs and synthesis:
                lane.before.append(synthesis.pop())
            lane.before.append(bundle)
        elif bundle.stage == "target":
            lanes[bundle.needs[0] if bundle.needs else None].targets.append(bundle)
    if synthesis:
        # only targets (or nobody) wait for it
        key = synthesis[0].items[0]
        lanes[key].before.append(synthesis.pop())
    return sorted(
        lanes.values(), key=lambda lane: not any(b.stage == "synthesis" for b in lane.before)
    )


def _shares(
    lanes: Sequence[_Lane], parallel: int | None
) -> tuple[list[int | None], Mapping[int, int]]:
    """Places of each lane, and for each lane that must wait for places the lane it follows."""
    if parallel is None:
        return [None] * len(lanes), {}
    if len(lanes) <= parallel:
        total = sum(lane.cost for lane in lanes) or 1.0
        spare = parallel - len(lanes)
        exact = [lane.cost / total * spare for lane in lanes]
        shares = [1 + int(part) for part in exact]
        order = sorted(range(len(lanes)), key=lambda i: int(exact[i]) - exact[i])
        for i in order[: parallel - sum(shares)]:
            shares[i] += 1
        return list(shares), {}
    heap: list[tuple[float, int, int | None]] = [(0.0, slot, None) for slot in range(parallel)]
    follows: dict[int, int] = {}
    # in the lanes' order, so that none waits for one that is submitted later
    for i, lane in enumerate(lanes):
        load, slot, before = heapq.heappop(heap)
        if before is not None:
            follows[i] = before
        heapq.heappush(heap, (load + lane.cost, slot, i))
    return [1] * len(lanes), follows


def _divide(share: int | None, sizes: Sequence[int]) -> list[int]:
    """Divides places over chunks of one lane; fewer places than chunks go to each in its turn."""
    if share is None:
        return list(sizes)
    if share < len(sizes):
        return [min(share, size) for size in sizes]
    whole, rest = divmod(share, len(sizes))
    return [min(size, whole + (i < rest)) for i, size in enumerate(sizes)]
