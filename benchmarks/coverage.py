"""What intervals and p-values are worth, by simulation: the table in docs/coverage.md.

    python -m benchmarks.coverage [--tables N] [--seed SEED] [--write docs/coverage.md]

Draws N tables of every setting from models whose truth is known (``tests.support.simulated_runs``),
and counts how often an interval of 95 % holds the truth, and how often a p of at most .05 (or an
interim bound, over all looks together) tells apart what is the same. The standard error of a share
of 95 % is 0.7 % with 1,000 tables. The coverage of a share of degenerate runs is exact.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from tests.support.simulated_runs import (
    Setting,
    cochran_rejects,
    improvement_covers,
    interim_rejects,
    mcnemar_rejects,
    naive_look_rejects,
    narrow_covers,
    narrow_covers_new_examples,
    permutation_rejects,
    proportion_coverage,
    share,
    whole_covers,
)

KINDS = ("normal", "bimodal")
SIZES = (6, 18)
RISKS = range(2, 51)
"""Percent of runs that are degenerate."""


class Claim(NamedTuple):
    """One line of the table."""

    what: str
    setting: str
    stated: str
    once: Callable[[np.random.Generator], bool]


def claims() -> Iterator[Claim]:
    """Every interval and p that is printed, in the settings in which it was tried."""
    held, told = "95 %", "at most 5 %"
    for kind in KINDS:
        for size in SIZES:
            for rows in (277, 1267):
                setting = Setting(kind, size, rows)
                words = f"{kind}, {size} configurations, {rows:,} examples"
                once = partial(whole_covers, setting=setting)
                yield Claim("mean difference, whole", words, held, once)
    for seeds, spread in ((2, 0.1), (3, 0.0), (3, 0.1), (5, 0.1)):
        setting = Setting("normal", 18, 1267, seeds, spread)
        words = f"normal, 18 configurations, 1,267 examples, {seeds} source seeds" + (
            "" if spread else " that change nothing"
        )
        yield Claim(
            "mean difference, whole, pooled", words, held, partial(whole_covers, setting=setting)
        )
    for kind in KINDS:
        for size in (4, *SIZES):
            words = f"{kind}, {size} configurations"
            at = {"kind": kind, "configurations": size}
            yield Claim("mean difference, narrow", words, held, partial(narrow_covers, **at))
            yield Claim(
                "p of the narrow one, no difference",
                words,
                told,
                partial(permutation_rejects, **at),
            )
            yield Claim("P(improve)", words, held, partial(improvement_covers, **at))
    for size in SIZES:
        at = {"risk": 0.3, "shared": 0.7, "number": size}
        words = f"risk 0.3, 70 % share a fate, {size} configurations"
        yield Claim("degenerate p, no difference", words, told, partial(mcnemar_rejects, **at))
        yield Claim("p of effects, no effect", words, told, partial(cochran_rejects, **at))
    for kind in KINDS:
        words = f"{kind}, 20 looks"
        at = {"kind": kind, "configurations": 20}
        yield Claim("interim bound, no difference", words, told, partial(interim_rejects, **at))
        yield Claim(
            "for contrast: the final p at every look", words, "-", partial(naive_look_rejects, **at)
        )
    for rows in (277, 1267):
        yield Claim(
            "for contrast: the narrow interval, read for new examples",
            f"normal, 18 configurations, {rows:,} examples",
            "-",
            partial(narrow_covers_new_examples, setting=Setting("normal", 18, rows)),
        )


def exact_lines() -> Iterator[str]:
    """The share of degenerate runs: summed over all tables, so that nothing is drawn."""
    for shared in (0.0, 0.7):
        for size in SIZES:
            found = [proportion_coverage(risk / 100, shared, size) for risk in RISKS]
            yield (
                f"| share of degenerate runs | {100 * shared:.0f} % share a fate, {size} "
                f"configurations | 95 % | {100 * np.mean(found):.1f} % ({100 * min(found):.1f} "
                f"to {100 * max(found):.1f} %) |"
            )


HEAD = """# What intervals and p-values are worth

How often an interval of 95 % holds the truth, and how often a p of at most .05 tells apart what is
the same, in {tables:,} simulated tables of each setting. The models, whose truth is known, are in
[tests/support/simulated_runs.py](../tests/support/simulated_runs.py): two seeds a configuration;
in *bimodal* tables a quarter of the runs are degenerate, half of them with their configuration. The
standard error of a share of 95 % is {error:.1f} % here. The table is made by
`python -m benchmarks.coverage --write docs/coverage.md`; shorter versions of its lines are tests.

The share of degenerate runs is a whole count over few runs, so that no interval holds it equally
often whatever the risk: of 12 independent runs with a risk of .05, at most one is degenerate with
probability .88 and at most two with .98, and nothing lies between. Its coverage is therefore the
mean over risks of .02, .03, ... .50 (the measure of Agresti and Coull 1998, and of Brown, Cai and
DasGupta 2001), with the least and the most at one risk in brackets. It is summed over all tables,
not drawn.

| what | setting | stated | measured |
|---|---|--:|--:|
"""


def main() -> None:
    """Measures every claim, prints it, and writes the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tables", type=int, default=1000, help="of every setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="Markdown file")
    asked = parser.parse_args()
    console, lines = Console(), []
    for claim in claims():
        found = share(claim.once, asked.tables, asked.seed)
        lines.append(f"| {claim.what} | {claim.setting} | {claim.stated} | {100 * found:.1f} % |")
        console.print(lines[-1], soft_wrap=True, highlight=False)
    for line in exact_lines():
        lines.append(line)
        console.print(line, soft_wrap=True, highlight=False)
    if asked.write:
        text = (
            HEAD.format(tables=asked.tables, error=100 * (0.95 * 0.05 / asked.tables) ** 0.5)
            + "\n".join(lines)
            + "\n"
        )
        asked.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
