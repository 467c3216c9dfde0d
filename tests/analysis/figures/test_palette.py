"""Names that fit into a figure."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.palette import short


@given(st.lists(st.text(min_size=1, max_size=40), unique=True, max_size=12), st.integers(10, 30))
def test_shortened_names_fit_and_stay_different(names, width):
    cut = short(names, width)
    assert all(len(name) <= width for name in cut)
    assert len(set(cut)) == len(names)
