"""What the columns of the CSV files mean: ``csv-metadata.json``, in W3C's CSV on the Web.

Source: https://www.w3.org/TR/tabular-metadata/, whose readers look for a file of this name.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from analysis.read.columns import DESCRIBED
from analysis.stats.scope import FIXED

NAME = "csv-metadata.json"

_RUNS = f"for {FIXED}; generalises to other configurations and seeds alone"
_ROW = "generalises to what column generalises_to says; null until the comparison is final"
_FINAL = f"{_RUNS}; null until the comparison is final"
_DEV = f"for {FIXED}"
_ANY = f"valid however often it is looked at; {_RUNS}"

MEANINGS: dict[str, str] = {
    "score": "fraction; in the task's metric",
    "share": "share of degenerate runs among those judged",
    "low": f"lower end of the 95 % confidence interval of share, {_RUNS}",
    "high": f"upper end of the 95 % confidence interval of share, {_RUNS}",
    "missed": "share of runs that learnt nothing that the definition majority takes for healthy",
    "rule": "definition of a degenerate run that auto takes here",
    "mean": "mean of the runs that ended, or mean difference of the pairs that ended; fraction",
    "mean_low": f"lower end of the 95 % confidence interval of mean, {_ROW}",
    "mean_high": f"upper end of the 95 % confidence interval of mean, {_ROW}",
    "best": "highest score of the runs that ended, or the difference of the two highest",
    "best_low": f"lower end of a range of best, no confidence interval, {_FINAL}",
    "best_high": f"upper end of a range of best, no confidence interval, {_FINAL}",
    "p": "two-sided p that the mean difference is 0, or that a factor has no effect; in "
    f"differences and comparisons {_ROW}; in effects {_RUNS}",
    "p_holm": "p adjusted over the table by Holm's method; generalises to what p does",
    "error": f"standard error of the mean difference; {_ROW}",
    "error_runs": "part of error from configurations with their seeds",
    "error_examples": "part of error from dev examples; null where they are held fixed",
    "error_sources": "part of error from source seeds; null where there is one",
    "improvement": "probability that a run of the first beats one of the second, ties half",
    "improvement_low": f"lower end of the 95 % confidence interval of improvement, {_FINAL}",
    "improvement_high": f"upper end of the 95 % confidence interval of improvement, {_FINAL}",
    "mcnemar": f"exact p that both are equally often degenerate, by configuration, {_FINAL}",
    "mcnemar_holm": f"mcnemar adjusted over the table by Holm's method, {_FINAL}",
    "interim_e": f"largest e-value so far that differences are symmetric about 0, {_ANY}",
    "interim_p": f"1 / interim_e, {_ANY}",
    "interim_p_holm": f"interim_p adjusted over the table by Holm's method, {_ANY}",
    "final": "whether every pair that the grid plans has ended",
    "interval": "whole: dev examples are resampled, too; narrow: they are held fixed",
    "generalises_to": "what the interval of mean, p and error speak of",
    "source_seed": "source's seed, or standard deviation of a run's score if it alone varied",
    "hyperparameters": "standard deviation of a run's score if they alone varied",
    "seed": "the run's seed, or standard deviation of a run's score if it alone varied",
    "examples": "standard deviation of the mean score over resampled dev sets",
    "seed_pairs": "pairs of scored runs that have all but their seeds in common",
    "seed_pairs_planned": "pairs that the grid plans of runs with all but their seeds in common",
    "seed_flips": f"share of dev examples that two seeds answer differently, {_DEV}",
    "none_pairs": "pairs of scored runs of the source and of none, of equal trials",
    "none_pairs_planned": "pairs that the grid plans of the source and of none, of equal trials",
    "none_flips": f"share of dev examples that source and none answer differently, {_DEV}",
    "gained": f"share of dev examples that the source has right and none wrong, {_DEV}",
    "lost": f"share of dev examples that none has right and the source wrong, {_DEV}",
    "measured_pairs": "finished pairs that the spread was measured on; 0 where it is assumed",
    "sd_configurations": "standard deviation of the difference from none over hyperparameters",
    "sd_seeds": "standard deviation of the difference of two runs within hyperparameters",
    "sd_examples": "standard deviation over dev examples of their mean part in the difference; "
    "null where dev examples are held fixed",
    "smallest": "smallest mean difference that a single test shows with a probability of .80 at "
    "p < .05; fraction; null where none can be shown",
    "smallest_holm": "the same where Holm's method over all comparisons is at its strictest",
    "lowest_p": "lowest p that swapping so many configurations can give",
    "lowest_p_holm": "lowest_p where Holm's method is at its strictest",
    "seconds": "mean over runs of load, encode, train and evaluate, of interrupted attempts, too",
    "expected": f"mean best score of so many trials of this grid, for {FIXED}",
}
"""Of columns whose name does not say it all, in whichever file of tables they stand."""

CELLS = "cells.csv"
"""One row for each cell: its columns mean what ``analysis.read.columns`` says."""


def metadata(frames: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Describes CSV files.

    Args:
        frames: the file's name -> the frame that it was written from.
    """
    return {
        "@context": "http://www.w3.org/ns/csvw",
        "tables": [
            {"url": url, "tableSchema": {"columns": _columns(url, frame.columns)}}
            for url, frame in frames.items()
        ],
    }


def _columns(url: str, names: list[str]) -> list[dict[str, str]]:
    said = {name: words for name, (_, words) in DESCRIBED.items()} if url == CELLS else MEANINGS
    about = ({"dc:description": said[name]} if name in said else {} for name in names)
    return [{"name": name, **words} for name, words in zip(names, about, strict=True)]
