"""What a budget is spent on: never more than it, nearly all of it, whole comparisons first."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from launcher.study.costs.budget import NEARLY, require_hours, select, spend
from launcher.study.costs.known import Division, Known
from stilt.cell import SYNTHESIS
from stilt.errors import ConfigError
from stilt.training.speed.forecast import forecast
from tests.support.bound_study import block, study
from tests.support.calibrated import calibration_of, setting

STUDY = study(
    evaluate=[],
    **block(learning_rate=[1e-5, 2e-5, 3e-5], batch_size=[8, 16], seed=[12, 42]),
)
GENERATED = study(
    synthesis={}, evaluate=[], **block(sources=["none", "hellaswag", "synthesis-gpt2"])
)
CELLS = list(STUDY.cells)
SOURCES = list(STUDY.sources)


def prices(study):
    return st.fixed_dictionaries({item: st.floats(0.1, 50) for item in study.runs})


def bill(study, chosen, there, seconds):
    """What the chosen cells cost with all that is made for them, told from the study."""
    made = {need for cell in chosen.cells for need in study.runs[cell].needs}
    made |= {need for maker in made for need in study.runs[maker].needs}
    return sum(seconds[item] for item in {*chosen.cells, *made} - set(there))


def configuration(study, item):
    cell = study.cells[item]
    return cell.target, cell.hyperparameters


@given(st.data(), st.sets(st.sampled_from(CELLS)), st.sets(st.sampled_from(SOURCES)))
def test_it_is_never_exceeded_and_nearly_filled_where_there_is_enough(data, missing, there):
    seconds, budget = data.draw(prices(STUDY)), data.draw(st.floats(1, 2000))
    chosen = select(STUDY, sorted(missing), there, seconds, budget)
    assert sorted([*chosen.cells, *chosen.left]) == sorted(missing)
    spent = bill(STUDY, chosen, there, seconds)
    assert chosen.seconds == pytest.approx(spent)
    assert spent <= budget * (1 + 1e-9)
    made = {need for cell in chosen.cells for need in STUDY.runs[cell].needs} | there
    for cell in chosen.left if spent < NEARLY * budget else ():
        more = sum(seconds[item] for item in {cell, *STUDY.runs[cell].needs} - made)
        assert spent + more > budget, "a cell that fits is left"


@given(prices(GENERATED), st.floats(1, 1000))
def test_the_generation_that_a_source_needs_is_paid_for(seconds, budget):
    chosen = select(GENERATED, list(GENERATED.cells), (), seconds, budget)
    assert chosen.seconds == pytest.approx(bill(GENERATED, chosen, (), seconds))
    if any(GENERATED.cells[cell].source == "synthesis-gpt2" for cell in chosen.cells):
        assert chosen.seconds >= seconds[SYNTHESIS]


@given(st.floats(30, 200))
def test_cells_of_equal_price_come_in_whole_comparisons_and_one_of_each_target_first(budget):
    chosen = select(STUDY, CELLS, SOURCES, dict.fromkeys(STUDY.runs, 1.0), budget)
    counts = {}
    for cell in chosen.cells:
        key = configuration(STUDY, cell)
        counts[key] = counts.get(key, 0) + 1
    # three sources: all but the cells of one comparison are in whole ones
    broken = [key for key, count in counts.items() if count < 3]
    assert len(broken) <= 1
    if broken:
        assert sum(counts.values()) >= NEARLY * min(budget, len(CELLS))
    rounds = {target: sum(key[0] == target for key in counts) for target in ("rte", "cola")}
    assert abs(rounds["rte"] - rounds["cola"]) <= 1


@given(st.sets(st.sampled_from(CELLS)), st.floats(2, 60))
def test_a_budget_in_two_parts_is_spent_as_one_of_their_sum(ended, budget):
    """What has ended, or was sent before, leaves the order as it is."""
    seconds = dict.fromkeys(STUDY.runs, 1.0)
    whole = select(STUDY, CELLS, SOURCES, seconds, 10_000).cells
    left = [cell for cell in CELLS if cell not in ended]
    assert select(STUDY, left, SOURCES, seconds, 10_000).cells == tuple(
        cell for cell in whole if cell not in ended
    )


def test_the_first_configurations_are_spread_over_the_grid():
    seconds = dict.fromkeys(STUDY.runs, 1.0)
    chosen = select(STUDY, CELLS, SOURCES, seconds, 4 * 2 * 3).cells
    points = {STUDY.cells[cell].hyperparameters for cell in chosen}
    assert len(points) == 4, "the same of both targets"
    assert len({point.learning_rate for point in points}) > 1


def known(study, **changes):
    calibration = calibration_of(study)
    found = forecast(study, calibration, setting())
    return Known(found, Division("here", 1, 1, **changes), calibration, setting())


def spent(hours, found=None, study=STUDY, missing=CELLS):
    console = Console(file=io.StringIO(), width=200)
    chosen = spend(study, missing, (), found or known(study), hours, console)
    return chosen, console.file.getvalue()


def test_what_is_taken_and_what_is_left_is_told_by_target_and_source():
    chosen, text = spent(1.0)
    assert f"--hours 1: {len(chosen.cells)} cells and " in text
    assert "worker-hours (by the calibration of 2026-11-30)" in text
    assert f"left: {len(chosen.left)} cells, about" in text
    assert "the same submit without --hours runs them" in text
    table = [line.split() for line in text.splitlines()]
    assert ["source", "rte", "cola", "all"] in table
    sources = {cell.source for cell in STUDY.cells.values()}
    assert sources <= {line[0] for line in table if line}


def test_workers_that_share_a_gpu_share_its_hours():
    alone, _ = spent(0.5)
    division = Division("here", 4, 2, gpus=1)
    calibration = calibration_of(STUDY)
    shared = Known(forecast(STUDY, calibration, setting()), division, calibration, setting())
    both, text = spent(0.5, shared)
    assert len(both.cells) > len(alone.cells)
    assert "GPU-hours" in text


def test_a_budget_that_nothing_can_be_told_by_is_refused():
    nothing = Known(forecast(STUDY), Division("this machine: made up", 1, 1))
    with pytest.raises(ConfigError) as refused:
        spent(40, nothing)
    assert "--hours 40: nothing tells yet how long a run takes here (this machine: made up)" in str(
        refused.value
    )
    assert "doctor.py --measure" in str(refused.value)


def test_a_budget_that_no_cell_fits_is_refused_with_what_the_cheapest_takes():
    with pytest.raises(ConfigError, match=r"--hours 1e-06: no cell fits; the cheapest takes about"):
        spent(1e-6)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_hours_are_a_number_above_zero(hours):
    with pytest.raises(ConfigError, match="--hours"):
        require_hours(hours)
