"""An NVIDIA GPU's own counter of energy, where nvidia-ml-py is installed and the GPU has one."""

from functools import cache
from typing import Any

import torch


def joules(device: torch.device) -> float | None:
    """Energy that a GPU has used since its driver was loaded; None where nothing tells.

    All its processes together: of one alone no counter tells.

    Source: NVML, nvmlDeviceGetTotalEnergyConsumption (mJ; Volta and later).
    """
    if device.type != "cuda":
        return None
    nvml = _nvml()
    if nvml is None:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(_uuid(device))
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except nvml.NVMLError:
        # an older GPU, or a part of one
        return None


def _uuid(device: torch.device) -> str:
    """The GPU by the name that it has whatever CUDA_VISIBLE_DEVICES hides."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


@cache
def _nvml() -> Any:
    """The library, ready to be asked; None where it is not there."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
