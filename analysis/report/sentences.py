"""What a study shows, in sentences: made from the same frames as its tables."""

from collections.abc import Iterator

import polars as pl

from analysis.stats.degenerate import DEFINITIONS, Definition
from analysis.stats.outcomes import CONVENTION
from analysis.tables.presentation import percent, signed, source_title, target_title
from stilt.cell import NONE
from stilt.study import Study

SIGNIFICANT = 0.05
"""Holm-adjusted p below which a difference is called clear."""


def sentences(
    study: Study, summary: pl.DataFrame, differences: pl.DataFrame, definition: Definition
) -> list[str]:
    """Says how far the study is, how each source compares with ``none``, and how often runs fail.

    Args:
        study: for names.
        summary: of ``analysis.stats.summary.summarize_cells``.
        differences: of ``analysis.stats.summary.differences_against_none``.
        definition: of a degenerate run, which the numbers rest on.
    """
    targets = summary.filter(pl.col("stage") == "target")
    return [
        *_progress(summary),
        *_gains(study, differences),
        *_best(study, targets),
        *_degenerate(study, targets, definition),
    ]


def _progress(summary: pl.DataFrame) -> Iterator[str]:
    names = ("cells", "scored", "diverged", "failed", "missing")
    count = {name: int(summary[name].sum()) for name in names}
    if count["scored"] == count["cells"]:
        yield f"All {count['cells']:,} cells of the grid have a score."
        return
    labels = {"diverged": "diverged", "failed": "failed", "missing": "have no result yet"}
    rest = [f"{count[name]:,} {label}" for name, label in labels.items() if count[name]]
    yield (
        f"{count['scored']:,} of the grid's {_count(count['cells'], 'cell')} have a score; "
        f"{', '.join(rest)}."
    )
    if count["diverged"]:
        yield CONVENTION
    if count["failed"] + count["missing"]:
        yield (
            "Cells without a result are left out of every number, so numbers may still change; "
            "differences are taken over pairs that ended on both sides."
        )


def _gains(study: Study, differences: pl.DataFrame) -> Iterator[str]:
    """One sentence per source: on how many targets it helps, how clearly, from where to where."""
    known = differences.filter(pl.col("mean").is_not_null())
    for source in known["source"].unique(maintain_order=True):
        rows = known.filter(pl.col("source") == source).sort("mean", maintain_order=True)
        of = _count(len(rows), "target")
        name = source_title(study, source)
        higher, best = (int((rows[column] > 0).sum()) for column in ("mean", "best"))
        clear = rows.filter(pl.col("p_holm") < SIGNIFICANT)
        up, down = int((clear["mean"] > 0).sum()), int((clear["mean"] < 0).sum())
        low, high = rows.row(0, named=True), rows.row(-1, named=True)
        span = f"{signed(low['mean'])} points on {target_title(study, low['target'])}"
        if len(rows) > 1:
            span = f"from {span} to {signed(high['mean'])} on {target_title(study, high['target'])}"
        yield (
            f"{name} has a higher mean than None on {higher} of {of} ({span}) and a higher best "
            f"run on {best}; after Holm's correction the mean is clearly higher on {up} and "
            f"clearly lower on {down} (p < {SIGNIFICANT:g})."
        )


def _best(study: Study, targets: pl.DataFrame) -> Iterator[str]:
    """Which source has the highest mean on each target."""
    parts = []
    for target in targets["target"].unique(maintain_order=True):
        rows = targets.filter((pl.col("target") == target) & pl.col("mean").is_not_null())
        if len(rows) > 1:
            top = rows.sort("mean", descending=True, maintain_order=True).row(0, named=True)
            name = source_title(study, top["source"])
            parts.append(f"on {target_title(study, target)} {name} ({percent(top['mean'])})")
    if parts:
        yield f"Highest mean score × 100: {'; '.join(parts)}."


def _degenerate(study: Study, targets: pl.DataFrame, definition: Definition) -> Iterator[str]:
    """How many runs of each source are degenerate, over all targets."""
    pooled = targets.group_by("source", maintain_order=True).agg(
        pl.col("degenerate", "judged").sum()
    )
    pooled = pooled.filter(pl.col("judged") > 0).sort(pl.col("source") != NONE, maintain_order=True)
    parts = [
        f"{source_title(study, source)} {count} of {judged} ({percent(count / judged)} %)"
        for source, count, judged in pooled.iter_rows()
    ]
    if parts:
        yield (
            f"Degenerate runs ({DEFINITIONS[definition]}, or a non-finite loss), all targets: "
            f"{'; '.join(parts)}."
        )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
