"""A GPU's own counter, by a made-up library: its unit, its absence, and a GPU that has none."""

import sys
from types import SimpleNamespace

import pytest
import torch

from stilt.system import energy


@pytest.fixture
def nvml(monkeypatch):
    """The library's four names; the GPU is told apart by its UUID."""

    class NVMLError(Exception):
        pass

    def handle(uuid):
        assert uuid == "GPU-f00d"
        return "handle"

    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 12_345_678,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    properties = SimpleNamespace(uuid="f00d")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    energy._nvml.cache_clear()
    yield library
    energy._nvml.cache_clear()


def fails(error):
    def ask(*given):
        raise error

    return ask


def test_the_counters_millijoules_become_joules(nvml):
    assert energy.joules(torch.device("cuda", 0)) == 12_345.678
    assert energy.joules(torch.device("cpu")) is None


@pytest.mark.parametrize("name", ["nvmlInit", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_gpu_or_driver_that_does_not_tell_is_no_error(nvml, monkeypatch, name):
    monkeypatch.setattr(nvml, name, fails(nvml.NVMLError()))
    assert energy.joules(torch.device("cuda", 0)) is None


def test_without_the_library_nothing_is_told(nvml, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.joules(torch.device("cuda", 0)) is None
