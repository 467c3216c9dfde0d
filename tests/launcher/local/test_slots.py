"""Places for workers: the first free one, the GPUs of each, and the closing of broken ones."""

import pytest

from launcher.local.slots import MAX_FAULTS, Slots, gpu_count


def test_the_first_place_that_is_not_taken_is_free():
    slots = Slots(3, processes=1, gpus=0)
    assert slots.free([]) == 0
    assert slots.free([0, 2]) == 1
    assert slots.free([0, 1, 2]) is None


def test_a_place_whose_gpu_breaks_again_and_again_is_closed_and_a_run_between_forgives_it():
    slots = Slots(2, processes=1, gpus=2)
    for _ in range(MAX_FAULTS - 1):
        slots.broke(0)
    slots.worked(0)
    for _ in range(MAX_FAULTS - 1):
        slots.broke(0)
    assert slots.free([]) == 0
    slots.broke(0)
    assert slots.free([]) == 1
    assert not slots.all_closed
    for _ in range(MAX_FAULTS):
        slots.broke(1)
    assert slots.free([]) is None
    assert slots.all_closed


@pytest.mark.parametrize(
    ("visible", "processes", "gpus", "devices"),
    [
        (None, 1, 2, ["0", "1", "0"]),
        ("3,5", 1, 2, ["3", "5", "3"]),
        (None, 2, 4, ["0,1", "2,3", "0,1"]),
    ],
)
def test_workers_share_the_gpus_in_turn(monkeypatch, visible, processes, gpus, devices):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    slots = Slots(3, processes=processes, gpus=gpus)
    assert [slots.devices(n)["CUDA_VISIBLE_DEVICES"] for n in range(3)] == devices


def test_without_a_gpu_workers_are_told_nothing_of_one():
    assert Slots(1, processes=1, gpus=0).devices(0) == {}


@pytest.mark.parametrize(("visible", "count"), [("0,2", 2), ("", 0), ("1,", 1)])
def test_the_environment_says_which_gpus_may_be_used(monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_count() == count


def test_gpus_are_counted_by_the_drivers_own_list(commands, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_count() == 0
    commands.say("nvidia-smi", "GPU 0: H100 (UUID: GPU-1)\n  MIG 1g\nGPU 1: H100 (UUID: GPU-2)\n")
    assert gpu_count() == 2
