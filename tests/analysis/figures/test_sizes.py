"""The figure of training sizes."""

from matplotlib.colors import to_hex

from analysis.figures.sizes import sizes
from tests.support.cell_frame import cells_of, study_of


def test_sizes_has_a_solid_line_for_the_best_and_a_dashed_one_for_the_mean_of_each_target():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources, ["rte", "wic"])
    figure = sizes(cells_of(study), study)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    drawn = [line for line in lines if line.get_marker() not in ("", "None", "_", "|")]
    assert [line.is_dashed() for line in drawn] == [False, True, False, True]
    assert len({to_hex(line.get_color()) for line in drawn}) == 2
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2k", "39.9k"]


def test_source_seeds_of_equal_improvement_are_drawn_though_their_mean_is_rounded():
    sizes_of = [{"task": "hellaswag-p", "train_size": n, "seeds": [1, 2, 3]} for n in (500, 2000)]
    study = study_of(["none", *sizes_of])
    # 0.1 three times, summed and divided by 3, is a little more than 0.1
    gain = 0.1
    assert sum([gain] * 3) / 3 > gain
    cells = cells_of(study, lambda cell, _: gain if cell.source_id else 0.0)
    assert sizes(cells, study).axes


def test_a_size_without_a_pair_that_has_ended_is_not_drawn():
    sources = ["none", {"task": "hellaswag-p", "train_size": 2000}, "hellaswag-p"]
    study = study_of(sources)
    (some, _) = study.sources
    cells = cells_of(study, lambda cell, _: None if cell.source_id == some else 0.6)
    (ax,) = sizes(cells, study).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["39.9k"]
