"""What a run that ended counts as."""

import polars as pl

from analysis.stats.outcomes import outcome
from tests.support.run_frame import frame


def test_a_diverged_run_counts_as_the_majority_class_and_one_that_did_not_end_as_nothing():
    cells = frame(
        {"score": 0.4},
        {"status": "diverged", "majority": 0.6},
        {"status": "failed"},
        {"status": "missing"},
    )
    assert cells.select(outcome()).to_series().to_list() == [0.4, 0.6, None, None]
    assert cells.select(outcome()).schema == {"outcome": pl.Float64}
