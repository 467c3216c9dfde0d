"""How many answers flip with the seed, and how many with the source."""

import polars as pl
from matplotlib.figure import Figure

from analysis.figures.components import dots
from analysis.figures.palette import BLUE, VERMILLION, darker, styled
from stilt.study import Study

NAMES = {"seed_flips": "two seeds", "none_flips": "source and None"}
MARKS = {"seed_flips": ("o", darker(BLUE)), "none_flips": ("s", darker(VERMILLION))}


@styled
def flips(frame: pl.DataFrame, study: Study) -> Figure:
    """Draws the share of dev examples that two runs answer differently.

    Args:
        frame: ``analysis.spread.flips.flips``; what is null is not drawn, nor a source
            without any value.
        study: for the names of tasks.
    """
    marked = frame.filter(pl.any_horizontal(pl.col(*NAMES).is_not_null()))["source"]
    # with one seed None has no pair on any target
    shown = frame.filter(pl.col("source").is_in(marked.unique().to_list()))
    return dots(shown, study, NAMES, MARKS, "dev examples answered differently, %")
