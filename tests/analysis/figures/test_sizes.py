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
