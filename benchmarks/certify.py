"""Whether a recipe that changes numbers may stand in for ``paper``: a certificate of paired cells.

    python -m benchmarks.certify fast [--grid FILE] [--root FOLDER] [--json FILE]
                                      [--write docs/choices.md]

Runs every cell of a grid twice, by ``launcher/submit.py --executor local``: under the recipe
``paper`` and under the one that is asked for. The two cells of a pair have source, target,
hyperparameters and seed in common, and each recipe trains sources of its own. A second call runs
only what is missing.

The recipe is admitted where two one-sided tests (TOST; Schuirmann 1987) at 5 % each show, on at
least 64 pairs of at least 32 configurations, that the mean score differs by less than 0.5 points
and the share of degenerate runs by less than 10. Seeds of a configuration share its fate, so
configurations are what is counted:

- the mean by Student's t over the configurations' mean differences;
- the share by Tango's score test (1998) for paired shares, of as many pairs as tell as much: pairs
  divided by the design effect; where no pair differs, of as many as there are configurations. Ten
  points is what 32 configurations can show of a recipe that changes nothing, or next to nothing.

A recipe of which an interval lies wholly outside is not admitted; where it does neither, or cells
have no score, there is not enough evidence. Ends with 0 where the recipe is admitted, else with 1.
"""

from stilt.system.command import exit_code

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from scipy import optimize, stats

import stilt
from analysis.stats.outcomes import outcome
from stilt.errors import ConfigError
from stilt.grid import Recipe
from stilt.system.files import write_text

REPOSITORY = Path(__file__).resolve().parents[1]
GRID = Path(__file__).with_suffix(".toml")
REFERENCE: Recipe = "paper"
PAIRS = 64
"""Pairs below which nothing is admitted."""
CONFIGURATIONS = 32
"""The same of configurations: of fewer, flips are too few to tell how far seeds go together."""
POINTS = 0.5
"""Margin of the mean score, in points of 100."""
SHARE = 10.0
"""Margin of the share of degenerate runs, in points of 100."""
ALPHA = 0.05
"""Of each one-sided test; so the intervals that belong to them are of 90 %."""
CONFIGURATION = (
    *("source", "target", "learning_rate", "batch_size", "warmup_ratio"),
    *("init_seed", "order_seed"),
)
PAIR = (*CONFIGURATION, "seed")
"""What two cells of a pair have in common."""

Verdict = Literal["admitted", "not admitted", "not enough evidence"]


@dataclass(frozen=True)
class Equivalence:
    """A difference, the recipe's minus that of ``paper``, in points, and what is shown of it."""

    value: float
    low: float
    high: float
    """Ends of the 90 % interval."""
    p: float
    """The larger of the two one-sided tests'."""
    margin: float

    @property
    def shown(self) -> bool:
        """Whether the difference is shown to be smaller than the margin."""
        return self.p < ALPHA

    @property
    def refuted(self) -> bool:
        """Whether it is shown to be larger."""
        return self.low > self.margin or self.high < -self.margin


def mean_within(differences: np.ndarray, margin: float = POINTS) -> Equivalence:
    """TOST of a mean of pairs.

    Args:
        differences: (configurations, seeds), in points.
        margin: in points.

    Source: Schuirmann 1987; one-sample t-tests over the configurations' means.
    """
    means = differences.mean(axis=1)
    value, error, free = float(means.mean()), float(stats.sem(means)), len(means) - 1
    if error < 1e-12:
        # the recipes give the same scores, or scores that differ by one and the same number
        return Equivalence(value, value, value, float(abs(value) >= margin), margin)
    half = stats.t.ppf(1 - ALPHA, free) * error
    p = stats.t.sf((margin - abs(value)) / error, free)
    return Equivalence(value, value - half, value + half, float(p), margin)


def share_within(differences: np.ndarray, margin: float = SHARE) -> Equivalence:
    """TOST of the difference of two shares of paired runs.

    Args:
        differences: (configurations, seeds): 1 where only the recipe's run is degenerate, -1 where
            only that of ``paper`` is, else 0.
        margin: in points.

    Source: Tango 1998 for the test, Franco et al. 2019 for the design effect.
    """
    pairs, number = differences.size, len(differences)
    value = float(differences.mean())
    # without a pair that differs, nothing tells whether seeds go together
    effective = float(number)
    if spread := float(((differences - value) ** 2).sum()):
        sums = differences.sum(axis=1) - value * differences.shape[1]
        clustered = float((sums**2).sum()) * number / (number - 1)
        effective = pairs / min(max(clustered / spread, 1.0), pairs / number)
    scale = effective / pairs
    more, fewer = (float((differences == sign).sum()) * scale for sign in (1, -1))

    def score(difference: float) -> float:
        return tango(more, fewer, effective, difference)

    quantile = stats.norm.ppf(1 - ALPHA)
    edge = 1 - 1e-9
    ends = [
        float(optimize.brentq(lambda d: score(d) - sign * quantile, -edge, edge))
        for sign in (1, -1)
    ]
    p = max(stats.norm.sf(score(-margin / 100)), stats.norm.cdf(score(margin / 100)))
    return Equivalence(100 * value, 100 * ends[0], 100 * ends[1], float(p), margin)


def tango(more: float, fewer: float, pairs: float, difference: float) -> float:
    """Score statistic of the hypothesis that two paired shares differ by so much.

    Args:
        more: pairs of which only the first run is degenerate.
        fewer: pairs of which only the second one is.
        pairs: all of them.
        difference: first share minus second, strictly between -1 and 1.

    Source: Tango 1998, Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design, Statistics in Medicine 17, equations 10 to 14.
    """
    linear = -more - fewer + (2 * pairs - more + fewer) * difference
    root = math.sqrt(linear**2 + 8 * pairs * fewer * difference * (1 - difference))
    likeliest = (root - linear) / (4 * pairs)
    variance = pairs * (2 * likeliest + difference * (1 - difference))
    return (more - fewer - pairs * difference) / math.sqrt(max(variance, 1e-300))


@dataclass(frozen=True)
class Certificate:
    """What is shown of a recipe."""

    recipe: str
    pairs: int
    configurations: int
    missing: int
    """Pairs of which a cell has no score."""
    mean: Equivalence | None
    """Of scores; None while cells are missing."""
    share: Equivalence | None
    """Of degenerate runs."""
    degenerate: tuple[int, int]
    """Degenerate runs of the recipe, and of ``paper``."""
    parts: tuple[tuple[str, int, float, int, int], ...]
    """Source and target; pairs, mean difference in points, degenerate runs of both."""
    commits: tuple[str, ...]
    devices: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        known = [one for one in (self.mean, self.share) if one is not None]
        if any(one.refuted for one in known):
            return "not admitted"
        enough = self.pairs >= PAIRS and self.configurations >= CONFIGURATIONS
        if known and enough and all(one.shown for one in known):
            return "admitted"
        return "not enough evidence"


def certify(recipe: str, other: pl.DataFrame, paper: pl.DataFrame) -> Certificate:
    """What the cells of two studies, as ``stilt.results`` gives them, show of a recipe.

    Args:
        recipe: its name.
        other: the study's of that recipe.
        paper: the study's of the recipe ``paper``, of the same grid.
    """
    sides = [
        side.filter(pl.col("stage") == "target").select(*PAIR, outcome(), "degenerate")
        for side in (other, paper)
    ]
    pairs = sides[0].join(
        sides[1], on=PAIR, suffix="_paper", nulls_equal=True, maintain_order="left"
    )
    whole = pairs.drop_nulls(["outcome", "outcome_paper", "degenerate", "degenerate_paper"])
    whole = whole.with_columns(
        points=100 * (pl.col("outcome") - pl.col("outcome_paper")),
        flips=pl.col("degenerate").cast(pl.Int64) - pl.col("degenerate_paper").cast(pl.Int64),
    )
    missing = pairs.height - whole.height
    by = whole.group_by(CONFIGURATION, maintain_order=True)
    mean = share = None
    if not missing and whole.height:
        clusters = by.agg("points", "flips")
        mean = mean_within(np.array(clusters["points"].to_list()))
        share = share_within(np.array(clusters["flips"].to_list()))
    parts = whole.group_by("source", "target", maintain_order=True).agg(
        pl.len(), pl.col("points").mean(), pl.col("degenerate", "degenerate_paper").sum()
    )
    ran = pl.concat([side.select("commit", "device").drop_nulls() for side in (other, paper)])
    return Certificate(
        recipe,
        pairs.height,
        by.len().height,
        missing,
        mean,
        share,
        (int(whole["degenerate"].sum()), int(whole["degenerate_paper"].sum())),
        tuple((f"{source}, {target}", *rest) for source, target, *rest in parts.rows()),
        *(tuple(sorted(set(ran[name]))) for name in ("commit", "device")),
    )


def rows(found: Certificate) -> list[tuple[str, ...]]:
    """The certificate's table: a head, all pairs, and each source and target."""
    recipe = found.recipe
    head = (
        *("source, target", "pairs", f"Δ mean, `{recipe}` minus `{REFERENCE}` [90 %]", "p"),
        *(f"degenerate, `{recipe}` / `{REFERENCE}`", "Δ share [90 %]", "p"),
    )
    both = "{} / {}".format(*found.degenerate)
    whole = ("all", str(found.pairs), *_said(found.mean), both, *_said(found.share))
    parts = [
        (name, str(pairs), f"{points:+.2f}", "", f"{some} / {others}", "", "")
        for name, pairs, points, some, others in found.parts
    ]
    return [head, whole, *parts]


def _said(found: Equivalence | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    p = "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]", p


def sentence(found: Certificate) -> str:
    """The verdict, and what it rests on."""
    scores = f"{found.pairs} pairs of {found.configurations} configurations"
    if found.missing:
        scores += f", {found.missing} of which lack a score"
    return (
        f"Recipe {found.recipe}: {found.verdict}. Asked for: at least {PAIRS} pairs of "
        f"{CONFIGURATIONS} configurations; mean within "
        f"{POINTS:g} points and share of degenerate runs within {SHARE:g}, each p below {ALPHA:g}. "
        f"Seen: {scores}, commit {', '.join(found.commits) or 'unknown'}, on "
        f"{', '.join(found.devices) or 'no device'}. It speaks of these targets' dev examples and "
        "these source checkpoints."
    )


def page(found: Certificate, command: str) -> str:
    """The certificate in Markdown."""
    head, *rest = rows(found)
    lines = [f"`{command}`. {sentence(found)}", ""]
    lines += [f"| {' | '.join(head)} |", f"|---|--:{'|---' * (len(head) - 2)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rest)])


def marks(recipe: str) -> tuple[str, str]:
    """The lines between which a page has a recipe's certificate."""
    return f"<!-- certificate of {recipe}, by benchmarks/certify.py -->", "<!-- end of it -->"


def written(path: Path, recipe: str, text: str) -> str:
    """A page with a certificate in place of what stood there.

    Raises:
        ConfigError: It has no place for one.
    """
    begin, end = marks(recipe)
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ConfigError(f"--write {path}: it has no lines {begin} and {end}.")
    return f"{before}{begin}\n{text}\n{end}{after}"


def submit(grid: Path, root: Path, more: Sequence[str], variables: Mapping[str, str]) -> None:
    """Runs what a grid's study lacks, on this machine.

    Raises:
        SystemExit: It was not begun, or was interrupted; that cells fail is seen later.
    """
    command = [sys.executable, str(REPOSITORY / "launcher/submit.py"), "--grid", str(grid)]
    command += ["--executor", "local", "--root", str(root), *more]
    done = subprocess.run(command, env={**os.environ, **variables}, check=False)
    if done.returncode > 1:
        raise SystemExit(done.returncode)


def run(options: argparse.Namespace) -> int:
    """Runs both studies and tells what they show; returns the exit code."""
    if not options.grid.is_file():
        raise ConfigError(f"--grid {options.grid}: no such grid file.")
    if options.write:
        written(options.write, options.recipe, "")
    root = options.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    # a grid's own tasks lie beside it
    beside = [str(options.grid.resolve().parent), os.environ.get("STILT_TASKS", "")]
    variables = {"STILT_TASKS": os.pathsep.join(filter(None, beside))}
    more = ["--data-dir", str(options.data_dir.resolve())] if options.data_dir else []
    more += ["--model", options.model] if options.model else []
    frames = []
    for recipe in (options.recipe, REFERENCE):
        grid = root / f"certify-{recipe}.toml"
        include = options.grid.resolve().with_suffix("")
        grid.write_text(f'include = ["{include}"]\nrecipe  = "{recipe}"\n', encoding="utf-8")
        submit(grid, root, more, variables)
        frames.append(stilt.results(stilt.open_study(str(root / grid.stem))))
    found = certify(options.recipe, frames[0], frames[1])
    console = Console(width=130)
    head, *rest = rows(found)
    table = Table(*(name.replace("`", "") for name in head))
    for row in rest:
        table.add_row(*row)
    console.print(table)
    console.print(sentence(found))
    if options.json:
        whole = {**asdict(found), "verdict": found.verdict}
        write_text(options.json, json.dumps(whole, indent=1) + "\n")
    if options.write:
        command = f"python -m benchmarks.certify {' '.join(options.words)}"
        write_text(options.write, written(options.write, options.recipe, page(found, command)))
    return 0 if found.verdict == "admitted" else 1


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    others = [name for name in get_args(Recipe) if name != REFERENCE]
    parser.add_argument("recipe", choices=others)
    parser.add_argument("--grid", type=Path, default=GRID, help="other pairs; its recipe is unused")
    parser.add_argument("--root", type=Path, default=Path("logs/certify"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--model", help="in place of the grid's")
    parser.add_argument("--json", type=Path, help="file for every number")
    parser.add_argument("--write", type=Path, help="page that gets the table")
    options = parser.parse_args(words)
    options.words = sys.argv[1:] if words is None else words
    return exit_code(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
