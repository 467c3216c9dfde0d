"""What a study shows, in sentences: made from the same frames as its tables."""

from collections.abc import Iterator

import polars as pl

from analysis.stats.degenerate import DEFINITIONS, Definition
from analysis.stats.differences import Question
from analysis.stats.outcomes import CONVENTION
from analysis.stats.scope import FIXED
from analysis.tables.presentation import percent, signed, source_title, target_title
from stilt.cell import NONE
from stilt.study import Study
from stilt.training.power import ALPHA


def sentences(
    study: Study,
    summary: pl.DataFrame,
    differences: pl.DataFrame,
    pooled: pl.DataFrame,
    asked: Question,
    *,
    brief: bool = False,
) -> list[str]:
    """Says how far the study is, how each source compares with ``none``, and how often runs fail.

    Args:
        study: for names.
        summary: of ``analysis.stats.summary.summarize_cells``.
        differences: of ``analysis.stats.differences.differences_against_none``.
        pooled: of ``analysis.stats.differences.pooled_differences``.
        asked: what the numbers rest on.
        brief: leave out what a table's caption says.

    Returns:
        Sentences. None of them claims anything of a comparison that is not final, but, where what
        is valid at any look was asked for, what that bound says.
    """
    targets = summary.filter(pl.col("stage") == "target")
    return [
        *_progress(summary),
        *_gains(study, differences, asked),
        *(f"All seeds together, i{line[1:]}" for line in _gains(study, pooled, asked)),
        *_open(study, differences, asked),
        *_best(study, targets),
        *_degenerate(study, targets, None if brief else asked.definition),
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
            "no comparison is final before all of its pairs have ended."
        )


def _gains(study: Study, differences: pl.DataFrame, asked: Question) -> Iterator[str]:
    """One sentence per source: on how many targets it helps, how clearly, from where to where."""
    known = differences.filter(pl.col("mean").is_not_null())
    if not asked.interim:
        known = known.filter("final")
    for source in known["source"].unique(maintain_order=True):
        rows = known.filter(pl.col("source") == source).sort("mean", maintain_order=True)
        of = _count(len(rows), "target")
        name = source_title(study, source)
        higher, best = (int((rows[column] > 0).sum()) for column in ("mean", "best"))
        p = pl.col("interim_p_holm" if asked.interim else "p_holm")
        clear = rows.filter(p < ALPHA)
        up, down = int((clear["mean"] > 0).sum()), int((clear["mean"] < 0).sum())
        low, high = rows.row(0, named=True), rows.row(-1, named=True)
        span = f"{signed(low['mean'])} points on {target_title(study, low['target'])}"
        if len(rows) > 1:
            span = f"from {span} to {signed(high['mean'])} on {target_title(study, high['target'])}"
        if asked.interim:
            scope = f"a bound that stays valid at any look, for {FIXED}"
        else:
            scope = "; elsewhere ".join(
                f"for {words}" for words in rows["generalises_to"].unique(maintain_order=True)
            )
        yield (
            f"In these runs {name} has a higher mean than None on {higher} of {of} ({span}) and a "
            f"higher best run on {best}; after Holm's correction {_clearly(up, down)} "
            f"(p < {ALPHA:g}, {scope})."
        )


def _clearly(up: int, down: int) -> str:
    """On how many targets a mean differs for sure."""
    parts = [
        f"{words} on {number}" for words, number in (("higher", up), ("lower", down)) if number
    ]
    return f"the mean is clearly {' and '.join(parts)}" if parts else "no difference is certain"


def _open(study: Study, differences: pl.DataFrame, asked: Question) -> Iterator[str]:
    """Comparisons of which nothing is claimed yet, but what is valid at any look."""
    waiting = differences.filter(~pl.col("final"))
    parts = [
        f"{source_title(study, source)} on {_count(some.height, 'target')} "
        f"({some['ended'].sum()} of {some['pairs'].sum()} pairs)"
        for (source,), some in waiting.group_by("source", maintain_order=True)
    ]
    if parts:
        claim = "but for this bound, " if asked.interim else ""
        yield f"Not final, so {claim}nothing is claimed of it yet: {'; '.join(parts)}."


def _best(study: Study, targets: pl.DataFrame) -> Iterator[str]:
    """Which source has the highest mean on each target whose runs have all ended."""
    parts = []
    for target in targets["target"].unique(maintain_order=True):
        rows = targets.filter(pl.col("target") == target)
        if len(rows) > 1 and (rows["ended"] == rows["cells"]).all():
            top = rows.sort("mean", descending=True, maintain_order=True).row(0, named=True)
            name = source_title(study, top["source"])
            parts.append(f"on {target_title(study, target)} {name} ({percent(top['mean'])})")
    if parts:
        yield (
            f"Highest mean score × 100 of these runs: {'; '.join(parts)}. How certain that is, "
            "the differences from None tell."
        )


def _degenerate(
    study: Study, targets: pl.DataFrame, definition: Definition | None
) -> Iterator[str]:
    """How many runs of each source are degenerate, over all targets; the rule where given."""
    pooled = targets.group_by("source", maintain_order=True).agg(
        pl.col("degenerate", "judged").sum()
    )
    pooled = pooled.filter(pl.col("judged") > 0).sort(pl.col("source") != NONE, maintain_order=True)
    parts = [
        f"{source_title(study, source)} {count} of {judged} ({percent(count / judged)} %)"
        for source, count, judged in pooled.iter_rows()
    ]
    if parts:
        rule = f" ({DEFINITIONS[definition]}, or a non-finite loss)" if definition else ""
        held = f", for {FIXED}" if definition else ""
        yield f"Degenerate runs{rule}, all targets{held}: {'; '.join(parts)}."


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
