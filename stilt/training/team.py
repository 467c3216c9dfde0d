"""Several processes that train one model together: each takes its share of every batch.

Where one process trains alone, which is usual, every function gives what it would
have without a team.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object

T = TypeVar("T")
Rows = TypeVar("Rows", np.ndarray, list[np.ndarray])


@dataclass(frozen=True)
class Team:
    """The processes that run one cell together, in lockstep."""

    accelerator: Accelerator

    @property
    def size(self) -> int:
        """Processes."""
        return int(self.accelerator.num_processes)

    @property
    def rank(self) -> int:
        """Number of this process; 0 leads: it alone decides, records and saves."""
        return int(self.accelerator.process_index)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that decides and records."""
        return self.rank == 0

    def share(self, rows: Rows) -> Rows:
        """This process's part of some examples, or of some batches; may be empty."""
        return rows[self.rank :: self.size]

    def seed(self, seed: int) -> int:
        """Seed of this process's dropout: the run's own for the lead, others for the rest."""
        if self.leads:
            return seed
        return int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0])

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over all processes, equal to the bit on each."""
        if self.size == 1:
            return values
        total: torch.Tensor = self.accelerator.reduce(values, "sum")
        return total

    def forget_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Drops what earlier passes left: all processes have the same, and the lead counts it."""
        if not self.leads:
            for parameter in parameters:
                parameter.grad = None

    def sum_gradients(
        self, parameters: Sequence[torch.nn.Parameter], *more: torch.Tensor
    ) -> list[torch.Tensor]:
        """Sums gradients over all processes, in one message, in place.

        Args:
            parameters: one that got no gradient here (no example of the batch) counts as zero.
            more: scalars to be summed along with them.

        Returns:
            The sums of ``more``.
        """
        if self.size == 1:
            return list(more)
        zero = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.summed(torch.cat([g.reshape(-1) for g in zero] + [m.reshape(1) for m in more]))
        parts = torch.split(flat, [p.numel() for p in parameters] + [1] * len(more))
        for parameter, part in zip(parameters, parts, strict=False):
            parameter.grad = part.view_as(parameter)
        return [part.squeeze(0) for part in parts[len(parameters) :]]

    def any(self, *flags: bool) -> list[bool]:
        """Which flags are up on at least one process."""
        if self.size == 1:
            return list(flags)
        device = self.accelerator.device
        return [
            bool(count) for count in self.summed(torch.tensor(flags, dtype=torch.int32).to(device))
        ]

    def broadcast(self, word: T) -> T:
        """What the lead hands over, on every process."""
        if self.size == 1:
            return word
        box = [word]
        broadcast_object_list(box)
        return box[0]

    def gathered(self, content: T) -> list[T]:
        """One object of every process, by rank."""
        return [content] if self.size == 1 else list(gather_object([content]))
