"""Which calibration holds for a submit, and what is said of others."""

import pytest

from launcher.cluster.profile import Profile
from launcher.study.costs.known import Division, here, keep, known, of_elements
from stilt.folder import StudyFolder
from stilt.training.speed.calibration import file_of, read_calibration, write_calibration
from tests.support.bound_study import study
from tests.support.calibrated import calibration_of, setting

PLACE = "SLURM: partition gpu, 1 GPU"
DIVISION = Division(PLACE, 1, 1)


def write(cache, bound, place=PLACE, **changes):
    made = calibration_of(bound, place, **changes)
    write_calibration(made, file_of(cache, made.model, made.recipe, place))
    return made


def test_that_of_the_same_model_recipe_and_place_is_used(tmp_path):
    bound = study()
    made = write(tmp_path, bound)
    found = known(bound, tmp_path, DIVISION)
    assert found.calibration == made and found.said == ()
    assert found.predict is not None
    assert found.basis == "by the calibration of 2026-11-30"


@pytest.mark.parametrize(
    "other",
    [
        {"place": "SLURM: partition old, 1 GPU"},
        {"recipe": "fast"},
    ],
)
def test_that_of_another_place_or_recipe_is_told_and_not_used(tmp_path, other):
    bound = study()
    place = other.get("place", PLACE)
    made = calibration_of(bound, **({"place": place} | other))
    write_calibration(made, file_of(tmp_path, made.model, made.recipe, place))
    found = known(bound, tmp_path, DIVISION)
    assert found.calibration is None and found.predict is None
    (said,) = found.said
    assert f"{place} (recipe {made.recipe})" in said and "tells no hours here" in said


def test_that_of_another_model_is_of_no_account(tmp_path):
    write(tmp_path, study(identity="another"))
    found = known(study(), tmp_path, DIVISION)
    assert found.calibration is None and found.said == ()


def test_a_damaged_one_is_told_and_not_used(tmp_path):
    bound = study()
    made = write(tmp_path, bound)
    file_of(tmp_path, made.model, made.recipe, PLACE).write_text("{")
    found = known(bound, tmp_path, DIVISION)
    assert found.calibration is None and "the calibration is not used: " in found.said[0]


def test_runs_of_several_processes_are_not_predicted_by_those_of_one(tmp_path):
    bound = study(processes=2)
    write(tmp_path, bound)
    found = known(bound, tmp_path, DIVISION)
    assert found.calibration is None and "one process each" in found.said[0]


def test_what_differs_from_the_measurement_is_told(tmp_path):
    bound = study()
    made = calibration_of(bound, PLACE, settings=(setting(1, 1), setting(4, 2)))
    tasks = {name: work for name, work in made.tasks.items() if name != "cola"}
    write(tmp_path, bound, settings=made.settings, tasks=tasks, versions={"torch": "1.0"})
    found = known(bound, tmp_path, Division(PLACE, 3, 2))
    assert found.setting == setting(4, 2)
    said = " ".join(found.said)
    assert "torch 1.0, now " in said
    assert "measured with 4 x 2 threads, and to run with 3 x 2" in said
    assert "hours on cola are estimated by mean length; " in said


def test_a_study_keeps_the_calibration_that_it_was_planned_by(tmp_path):
    bound, folder = study(), StudyFolder(tmp_path / "s")
    write(tmp_path, bound, settings=(setting(1, 1), setting(4, 2)))
    folder.path.mkdir()
    keep(known(bound, tmp_path / "none", DIVISION), folder)
    assert not folder.calibration.exists()
    keep(known(bound, tmp_path, Division(PLACE, 4, 2)), folder)
    assert read_calibration(folder.calibration).settings == (setting(4, 2),)


def test_elements_are_known_by_what_they_ask_for():
    gpu = of_elements(Profile(partition="gpu", gres="gpu:a100:2", workers_per_gpu=3, cpus=12))
    assert gpu == Division("SLURM: partition gpu, gres gpu:a100:2", 3, 2, 2)
    assert (gpu.unit, gpu.device_seconds(3.0)) == ("GPU-hours", 1.0)
    cpu = of_elements(Profile(gpus=0, cpus=4))
    assert cpu == Division("SLURM: no GPU", 1, 4, 0)
    assert (cpu.unit, cpu.device_seconds(3.0)) == ("worker-hours", 3.0)


def test_this_machine_is_known_by_its_processor_or_its_gpus():
    machine = here(4, 2, 0)
    assert machine.place.startswith("this machine: ") and machine.place.endswith("cores")
    assert (machine.workers, machine.threads, machine.gpus) == (4, 2, 0)
    assert here(8, 2, 4, wanted=1).workers == 2, "of each GPU"
    assert here(8, 2, 4, wanted=1).threads == 1
