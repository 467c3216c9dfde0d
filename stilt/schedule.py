"""Update counts and the learning-rate schedule of a run."""

from dataclasses import dataclass

BETAS, EPS, WEIGHT_DECAY = (0.9, 0.999), 1e-8, 0.0
"""Settings of AdamW. Source: the released code."""
CLIP = 1.0
"""Norm to which gradients are clipped after every backward pass. Source: the released code."""


@dataclass(frozen=True)
class Schedule:
    """The updates of a run.

    Source: the released code: ``t_total = len(loader) // accumulation * epochs`` and
    ``int(ratio * t_total)`` warmup updates; linear rise, then linear decay to 0.
    """

    micro_batch: int
    """Examples per backward pass."""
    accumulation: int
    """Backward passes per update."""
    total: int
    """Updates of the whole run."""
    warmup: int
    """Updates in which the rate rises."""

    def factor(self, update: int) -> float:
        """Factor on the peak learning rate at an update (0 for the first one).

        With warmup, the very first update has factor 0, as in the released code.
        """
        if update < self.warmup:
            return update / self.warmup
        return max(0.0, (self.total - update) / max(1, self.total - self.warmup))


def plan_updates(
    *, rows: int, epochs: int, batch_size: int, warmup_ratio: float, micro_batch: int | None = None
) -> Schedule:
    """Counts the updates of a run.

    Args:
        rows: training examples.
        epochs: passes over them.
        batch_size: effective batch size, examples per update.
        warmup_ratio: share of the updates, 0..1.
        micro_batch: examples per backward pass where the recipe accumulates (SocialIQA: 4); it is
            taken as the batch where it is no divisor of it or larger.

    Leftover micro-batches at an epoch's end make no update of their own.
    """
    micro = examples_per_pass(batch_size, micro_batch)
    accumulation = batch_size // micro
    steps = -(-rows // micro)
    total = max(1, steps // accumulation) * epochs
    return Schedule(micro, accumulation, total, int(warmup_ratio * total))


def examples_per_pass(batch_size: int, micro_batch: int | None) -> int:
    """Examples of one backward pass, of all processes together."""
    return micro_batch if micro_batch and batch_size % micro_batch == 0 else batch_size
