"""The heat map: means, degenerate runs, fields without a result."""

import math

from matplotlib.patches import Rectangle

from analysis.figures.heatmap import heatmap
from tests.support.cell_frame import cells_of, study_of
from tests.support.drawn_text import texts


def test_a_heat_map_writes_means_counts_degenerate_runs_and_hatches_what_is_missing():
    study = study_of(sources=["none"], seed=[1, 2])
    scores = iter([0.5, 0.7, 0.61, 0.63, None, None, 0.8, 0.9])
    figure = heatmap(cells_of(study, lambda *_: next(scores)), study)
    ax = figure.axes[0]
    assert {"60.0 ×1", "62.0", "85.0"} <= set(texts(ax))
    hatched = [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_hatch()]
    assert len(hatched) == 1


def test_a_field_whose_runs_all_diverged_shows_how_many_and_what_they_count_as():
    study = study_of(sources=["none"], seed=[1, 2])
    scores = iter([math.nan, math.nan, 0.61, 0.63, 0.6, math.nan, 0.8, 0.9])
    figure = heatmap(cells_of(study, lambda *_: next(scores)), study)
    ax = figure.axes[0]
    assert {"53.0 ×2", "56.5 ×1"} <= set(texts(ax))
    assert not [p for p in ax.patches if isinstance(p, Rectangle) and p.get_hatch()]
