"""What a machine decides: device, precision, threads, memory; and the random state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from accelerate.utils import is_bf16_available

from stilt.errors import ConfigError
from stilt.grid import Recipe
from stilt.system.interrupt import StopRequest


@dataclass(frozen=True)
class Runtime:
    """What a machine decides."""

    accelerator: Accelerator
    chunk: int | None = None
    """Examples in one forward and backward pass at most; gradients are summed. Another number
    draws other dropout masks."""
    stop: StopRequest = field(default_factory=StopRequest)
    checkpoint_seconds: float = 600.0
    """Longest work that a sudden death may lose."""


def make_accelerator(device: str, recipe: Recipe = "paper") -> Accelerator:
    """The process's accelerator.

    Args:
        device: ``cpu``; else a GPU, where there is one.
        recipe: ``paper`` computes in fp32; ``fast`` forward and backward passes in bfloat16 where
            torch's autocast holds that safe, with weights, gradients, optimizer and loss in fp32.

    Raises:
        ConfigError: The recipe is ``fast`` and the device has no bfloat16.
    """
    if recipe == "fast" and device != "cpu" and not is_bf16_available():
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "this device"
        raise ConfigError(
            f"recipe 'fast' computes in bfloat16, which {name} lacks; allowed here: 'paper'."
        )
    # a container may have set TORCH_ALLOW_TF32_CUBLAS_OVERRIDE: fp32 is to be fp32 everywhere
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if recipe == "fast" else "no")


@contextmanager
def outside_random_state() -> Iterator[None]:
    """Leaves torch's random state as it was, so that scoring along the way changes nothing."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


RandomState = tuple[torch.Tensor, list[torch.Tensor]]
"""Torch's random state: the processor's, and each GPU's."""


def random_state() -> RandomState:
    """Torch's random state at this moment."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), gpus


def set_random_state(state: RandomState) -> None:
    """Goes on from a random state that was kept."""
    processor, gpus = state
    torch.set_rng_state(processor)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


def default_threads() -> int:
    """CPU threads of this process: what the scheduler gave, else every core."""
    return int(os.environ.get("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0)))
