"""Arranges bundles into job arrays: what waits for what, and how many may run at a time."""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stilt.plan import Bundle


@dataclass(frozen=True)
class Array:
    """One job array: bundles of one stage that wait for the same thing."""

    bundles: tuple[Bundle, ...]
    parallel: int
    """Elements that may run at one time."""
    after_ok: tuple[int, ...] = ()
    """Positions of the arrays that must succeed first; the sender adds jobs of other submits."""
    after_any: tuple[int, ...] = ()
    """Positions of arrays whose places this one takes: it waits until they end, well or not."""
    minutes: int | None = None
    """Time limit of an element, where its seconds were predicted; else the profile's."""

    @property
    def stage(self) -> str:
        """The stage of all its bundles."""
        return self.bundles[0].stage

    @property
    def needs(self) -> tuple[str, ...]:
        """Source id, or ``synthesis``, or both, whose jobs must succeed first."""
        return self.bundles[0].needs

    @property
    def token(self) -> str:
        """What tells this array from the others of a submission."""
        return self.bundles[0].id


@dataclass
class _Group:
    """A source and its targets: while it trains, they cannot run."""

    before: list[Bundle] = field(default_factory=list)
    """Synthesis and source, each an array of its own."""
    targets: list[Bundle] = field(default_factory=list)

    @property
    def cost(self) -> float:
        return sum(bundle.weight for bundle in (*self.before, *self.targets))


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
    groups = _groups(bundles)
    shares, queue = _shares(groups, parallel)
    found: list[Array] = []
    maker: dict[str, int] = {}
    last: dict[int, tuple[int, ...]] = {}  # positions of the arrays that a group ends with

    def add(bundles: Sequence[Bundle], places: int, ended: tuple[int, ...]) -> int:
        ok = tuple(maker[need] for need in bundles[0].needs if need in maker)
        found.append(Array(tuple(bundles), places, ok, ended))
        if bundles[0].stage != "target":
            maker[bundles[0].items[0]] = len(found) - 1
        return len(found) - 1

    def start(name: int) -> None:
        """A group's synthesis and source."""
        ended = last[name] = last[queue[name]] if name in queue else ()
        for bundle in groups[name].before:
            last[name] = (add([bundle], 1, ended),)
            ended = ()

    def finish(name: int) -> None:
        """A group's targets, in chunks."""
        targets, share = groups[name].targets, shares[name]
        if not targets:
            return
        # to wait for its own source is to wait for all that the source waited for
        ended = () if groups[name].before else last[name]
        chunks = _chunks(targets, array_size)
        parts = _divide(share, [len(chunk) for chunk in chunks])
        in_turn = share is not None and share < len(chunks)
        made: list[int] = []
        for chunk, part in zip(chunks, parts, strict=True):
            made.append(add(chunk, part, ended))
            if in_turn:
                ended = (made[-1],)
        last[name] = ended if in_turn else tuple(made)

    # whatever is submitted first runs first where places are few: others wait for the sources
    at_once = [name for name in range(len(groups)) if name not in queue]
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


def _groups(bundles: Sequence[Bundle]) -> list[_Group]:
    """Puts each source with its targets; what a group needs is in it or in an earlier one."""
    groups: dict[str | None, _Group] = defaultdict(_Group)
    synthesis = [bundle for bundle in bundles if bundle.stage == "synthesis"]
    for bundle in bundles:
        if bundle.stage == "source":
            group = groups[bundle.items[0]]
            if bundle.needs and synthesis:
                group.before.append(synthesis.pop())
            group.before.append(bundle)
        elif bundle.stage == "target":
            groups[bundle.needs[0] if bundle.needs else None].targets.append(bundle)
    if synthesis:
        # only targets (or nobody) wait for it
        key = synthesis[0].items[0]
        groups[key].before.append(synthesis.pop())
    return sorted(
        groups.values(), key=lambda group: not any(b.stage == "synthesis" for b in group.before)
    )


def _shares(
    groups: Sequence[_Group], parallel: int | None
) -> tuple[list[int | None], Mapping[int, int]]:
    """How many elements of each group run at once, and which group each that waits comes after."""
    if parallel is None:
        return [None] * len(groups), {}
    if len(groups) <= parallel:
        total = sum(group.cost for group in groups) or 1.0
        spare = parallel - len(groups)
        exact = [group.cost / total * spare for group in groups]
        shares = [1 + int(part) for part in exact]
        order = sorted(range(len(groups)), key=lambda i: int(exact[i]) - exact[i])
        for i in order[: parallel - sum(shares)]:
            shares[i] += 1
        return list(shares), {}
    heap: list[tuple[float, int, int | None]] = [(0.0, slot, None) for slot in range(parallel)]
    follows: dict[int, int] = {}
    # in the groups' order, so that none waits for one that is submitted later
    for i, group in enumerate(groups):
        load, slot, before = heapq.heappop(heap)
        if before is not None:
            follows[i] = before
        heapq.heappush(heap, (load + group.cost, slot, i))
    return [1] * len(groups), follows


def _divide(share: int | None, sizes: Sequence[int]) -> list[int]:
    """Divides places over chunks of one group; fewer places than chunks go to each in its turn."""
    if share is None:
        return list(sizes)
    if share < len(sizes):
        return [min(share, size) for size in sizes]
    whole, rest = divmod(share, len(sizes))
    return [min(size, whole + (i < rest)) for i, size in enumerate(sizes)]
