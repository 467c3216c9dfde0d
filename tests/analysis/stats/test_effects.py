"""Main effects of hyperparameters, on frames whose numbers can be worked out by hand."""

import polars as pl
import pytest

from analysis.stats.effects import main_effects
from tests.support.run_frame import frame, runs


def test_main_effects_count_each_level_and_test_within_blocks():
    points = [(rate, batch) for rate in (1e-5, 2e-5, 4e-5) for batch in (8, 16, 32)]
    cells = frame(
        *(
            {
                "learning_rate": rate,
                "batch_size": batch,
                "score": 0.4 if rate == 4e-5 or (rate == 2e-5 and batch == 8) else 0.9,
            }
            for rate, batch in points
        )
    )
    found = main_effects(cells)
    assert found["factor"].unique(maintain_order=True).to_list() == ["learning_rate", "batch_size"]
    rates = found.filter(pl.col("factor") == "learning_rate")
    assert rates["level"].to_list() == ["1e-05", "2e-05", "4e-05"]
    assert rates["degenerate"].to_list() == [0, 1, 3]
    assert rates["judged"].to_list() == [3, 3, 3]
    assert rates["share"].to_list() == pytest.approx([0, 1 / 3, 1])
    assert rates["blocks"].to_list() == [3, 3, 3]
    # rows (0 1 1), (0 0 1), (0 0 1), whose ones stand anywhere by chance: sums as uneven as 0 1 3
    # want the last two in one of the first's columns, 2/3 times 1/3
    assert rates["p"].to_list() == pytest.approx([2 / 9] * 3, abs=0.015)
    assert rates["p_holm"].to_list() == pytest.approx([4 / 9] * 3, abs=0.03)


def test_seeds_of_a_configuration_are_exchanged_with_it():
    # at batch 16 both seeds of three configurations fail, at 8 none: 2 of 8 swaps, not 2 of 64
    cells = frame(
        *(
            {"learning_rate": rate, "batch_size": batch, "seed": seed, "score": score}
            for rate in (1.0, 2.0, 3.0)
            for batch, score in ((8, 0.9), (16, 0.4))
            for seed in (12, 42)
        )
    )  # fmt: skip
    found = main_effects(cells).filter(pl.col("factor") == "batch_size")
    assert found["blocks"].to_list() == [3, 3]
    assert found["p"].to_list() == pytest.approx([2 / 8] * 2)
    # as for three runs, of which all are degenerate, or none
    assert found["high"].to_list() == pytest.approx([0.5615, 1.0], abs=1e-4)
    # within a configuration it is the seeds that are exchanged
    seeds = main_effects(cells).filter(pl.col("factor") == "seed")
    assert seeds["blocks"].to_list() == [6, 6]
    assert seeds["p"].to_list() == [1.0, 1.0]


def test_seeds_of_many_digits_keep_them_all():
    seeds = (20210925, 20210926)
    found = main_effects(frame(*runs("none", [0.4, 0.9, 0.4, 0.9], seeds=seeds)))
    levels = found.filter(pl.col("factor") == "seed")["level"].to_list()
    assert levels == ["20210925", "20210926"]


def test_blocks_with_a_hole_are_not_tested_but_counted():
    cells = frame(
        {"seed": 1, "score": 0.4}, {"seed": 2, "score": 0.9},
        {"seed": 1, "learning_rate": 2.0, "score": 0.9}, {"seed": 2, "learning_rate": 2.0},
    )  # fmt: skip
    found = main_effects(cells).filter(pl.col("factor") == "seed")
    assert found["judged"].to_list() == [2, 1]
    assert found["blocks"].to_list() == [1, 1]
    assert found["p"].to_list() == [None, None]


@pytest.mark.parametrize("status", ["failed", "missing"])
def test_no_factor_is_tested_before_all_runs_have_ended(status):
    done = runs("none", [0.4, 0.9, 0.4, 0.9]) + runs("a", [0.4, 0.9, 0.4, 0.9])
    whole = main_effects(frame(*done))
    assert whole["p"].null_count() == 0
    lacking = {k: v for k, v in done[-1].items() if k != "score"} | {"status": status}
    part = main_effects(frame(*done[:-1], lacking))
    assert part["blocks"].max() > 0
    assert part["p"].null_count() == part["p_holm"].null_count() == part.height
    # a diverged run has ended
    diverged = lacking | {"status": "diverged"}
    assert main_effects(frame(*done[:-1], diverged))["p"].null_count() == 0
