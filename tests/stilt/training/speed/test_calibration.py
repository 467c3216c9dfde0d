"""A calibration as a file, and which way of dividing a device it recommends."""

import pytest

from stilt.errors import ConfigError
from stilt.training.speed.calibration import (
    Rates,
    file_of,
    others,
    read_calibration,
    write_calibration,
)
from tests.support.bound_study import study
from tests.support.calibrated import calibration_of, setting


def test_it_is_read_as_it_was_written_and_a_damaged_one_is_named(tmp_path):
    made = calibration_of(study())
    path = file_of(tmp_path, made.model, made.recipe, made.place)
    assert read_calibration(path) is None
    write_calibration(made, path)
    assert read_calibration(path) == made
    path.write_text('{"schema_version": 1}')
    with pytest.raises(ConfigError, match=f"{path.name}.*'model'"):
        read_calibration(path)


def test_each_model_recipe_and_place_has_a_file_of_its_own(tmp_path):
    names = {
        file_of(tmp_path, model, recipe, place)
        for model in ("a", "b")
        for recipe in ("paper", "fast")
        for place in ("here", "there")
    }
    assert len(names) == 8


def test_those_of_other_places_are_found_and_none_of_another_model(tmp_path):
    here, there = (calibration_of(study(), place) for place in ("here", "there"))
    foreign = calibration_of(study(identity="another"), "there")
    for made in (here, there, foreign):
        write_calibration(made, file_of(tmp_path, made.model, made.recipe, made.place))
    mine = file_of(tmp_path, here.model, here.recipe, "here")
    assert list(others(tmp_path, here.model, mine)) == [there]


def test_the_best_division_does_the_most_updates_a_second_of_all_workers_together():
    slow = Rates(fixed=2.0, passes=0.4, positions=0.001, squares=0.0)
    # one worker: 1.5 s an update; four that share the device: 3.6 s each, 0.9 s of them together
    ways = setting(1, 8), setting(4, 2, train=slow), setting(8, 1, train=slow, memory=1)
    made = calibration_of(study(), settings=ways[:2])
    assert made.throughput(ways[0]) == pytest.approx(1 / 1.5)
    assert made.throughput(ways[1]) == pytest.approx(4 / 3.6)
    assert made.best == ways[1]
    assert made.setting(4, 2) == ways[1]
    assert made.setting(3, 1) == ways[1], "the nearest number of workers"


def test_a_task_that_changed_is_not_the_one_that_was_measured():
    bound = study()
    made = calibration_of(bound)
    rte = bound.tasks["rte"]
    assert made.task(rte) is not None
    assert made.task(rte.model_copy(update={"max_length": 33})) is None
