"""What stands between two studies that are compared: refused, or to be known beforehand."""

from collections.abc import Iterator

import polars as pl

from analysis.notes.gaps import places
from analysis.read.collect import Collection
from analysis.stats.differences import same_runs
from analysis.stats.examples import Answers
from analysis.stats.summary import SAME_SOURCE, TRIAL
from stilt.errors import ConfigError
from stilt.study import Study

Names = tuple[str, str]
"""What two studies are called."""


def refuse_other_metrics(names: Names, studies: tuple[Study, Study]) -> None:
    """Refuses studies that score a common target by different metrics.

    Raises:
        ConfigError: There is such a target.
    """
    first, second = studies
    for target in _common(studies):
        metrics = first.tasks[target].metric, second.tasks[target].metric
        if metrics[0] != metrics[1]:
            raise ConfigError(
                f"study {names[0]}: task '{target}', field 'metric' = {metrics[0]!r}; study "
                f"{names[1]}: {metrics[1]!r}. Scores of different metrics cannot be subtracted."
            )


def refuse_other_rows(
    names: Names, parts: tuple[Collection, Collection], answers: tuple[Answers, Answers]
) -> None:
    """Refuses an interval over dev examples where a common target's are not the same.

    Raises:
        ConfigError: Rows differ by their digest, and not in training rows alone.
    """
    for target, line in _rows(names, parts):
        golds = [set(given(target)["gold"].drop_nulls()) for given in answers]
        if golds[0] != golds[1]:
            raise ConfigError(
                f"{line} Differences of runs on other dev examples cannot be resampled by example; "
                "compare with --interval narrow, which holds each study's own examples fixed."
            )


def remarks(names: Names, parts: tuple[Collection, Collection]) -> list[str]:
    """Lines on what differs besides models and scores, and on cells that are not compared.

    Args:
        names: what the studies are called.
        parts: the studies, collected.
    """
    return [
        *_definitions(names, (parts[0].study, parts[1].study)),
        *(line for _, line in _rows(names, parts)),
        *_unpaired(names, parts),
        *_same(parts),
    ]


def _common(studies: tuple[Study, Study]) -> list[str]:
    """Targets of both, in the first one's order."""
    first, second = (
        dict.fromkeys(cell.target for cell in study.cells.values() if cell.stage == "target")
        for study in studies
    )
    return [target for target in first if target in second]


def _definitions(names: Names, studies: tuple[Study, Study]) -> Iterator[str]:
    """Tasks of both, targets or sources, that are not defined alike."""
    for name, task in studies[0].tasks.items():
        if name not in studies[1].tasks:
            continue
        one, other = task.identity(), studies[1].tasks[name].identity()
        fields = [x for x in dict.fromkeys([*one, *other]) if one.get(x) != other.get(x)]
        if fields:
            said = "; ".join(
                f"{field} = {one.get(field, 'default')!r} and {other.get(field, 'default')!r}"
                for field in fields
            )
            yield f"Task {name} is not the same in {names[0]} and {names[1]}: {said}."


def _rows(names: Names, parts: tuple[Collection, Collection]) -> Iterator[tuple[str, str]]:
    """Common targets whose rows are not the same, as far as results tell."""
    for target in _common((parts[0].study, parts[1].study)):
        one, other = (
            part.cells.filter(pl.col("stage") == "target", pl.col("target") == target)
            .select("data", "dev_rows")
            .drop_nulls()
            .unique(maintain_order=True)
            for part in parts
        )
        if one.height and other.height and set(one["data"]) != set(other["data"]):
            counts = [
                ", ".join(map(str, rows["dev_rows"].unique(maintain_order=True)))
                for rows in (one, other)
            ]
            yield (
                target,
                f"Task {target} has other rows in {names[0]} ({counts[0]} for dev) than in "
                f"{names[1]} ({counts[1]}).",
            )


def _unpaired(names: Names, parts: tuple[Collection, Collection]) -> Iterator[str]:
    """Cells of one study that the other one's grid does not have."""
    grids = [part.cells.filter(pl.col("stage") == "target") for part in parts]
    alone = [
        mine.join(
            theirs, on=(*TRIAL, *SAME_SOURCE), how="anti", nulls_equal=True, maintain_order="left"
        )
        for mine, theirs in (grids, grids[::-1])
    ]
    if any(part.height for part in alone):
        where = "; ".join(
            f"{name}: {places(part, grid)}"
            for name, part, grid in zip(names, alone, grids, strict=True)
            if part.height
        )
        yield (
            f"{alone[0].height} cells of {names[0]} and {alone[1].height} of {names[1]} have no "
            f"partner: {where}."
        )


def _same(parts: tuple[Collection, Collection]) -> Iterator[str]:
    """Pairs that compare a run with itself."""
    first, second = (part.cells.filter(pl.col("stage") == "target") for part in parts)
    same = same_runs(first, second)
    if same.height:
        pairs = "1 pair is" if same.height == 1 else f"{same.height} pairs are"
        yield (
            f"{pairs} the same run, taken over, and left out: {places(same, first)}. Where all "
            "pairs of a source and target are, nothing is compared."
        )
