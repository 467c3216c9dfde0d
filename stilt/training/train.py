"""Training and evaluation of one model on one task, as in the paper, without padded work."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from stilt.cell import Hyperparameters
from stilt.data.encode import Encoded
from stilt.records.results import CurvePoint
from stilt.schedule import Schedule, plan_updates
from stilt.system.files import replacing
from stilt.system.interrupt import Interrupted
from stilt.task import Task
from stilt.training.curves import Curves, Diverged
from stilt.training.forward import forward, token_count
from stilt.training.runtime import Runtime, outside_random_state, random_state, set_random_state


def fit(
    model: PreTrainedModel,
    data: Encoded,
    task: Task,
    hyperparameters: Hyperparameters,
    runtime: Runtime,
    *,
    state: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    after_epoch: Callable[[PreTrainedModel], float | None] | None = None,
) -> tuple[PreTrainedModel, Schedule, Curves]:
    """Fine-tunes a model as the paper does.

    AdamW (betas 0.9 and 0.999, eps 1e-8, no weight decay), linear warmup over
    ``int(ratio * updates)`` updates and linear decay to 0, gradients clipped to norm 1.0 after
    every backward pass, in the precision of the accelerator, no evaluation that could change the
    run.

    Args:
        model: ready to train; moved to the accelerator's device.
        data: encoded training split.
        task: epochs and micro-batch.
        hyperparameters: peak learning rate, effective batch size, warmup ratio, seeds.
        runtime: device, memory chunk, and the request to stop.
        state: file that an interrupted run leaves and that is taken up where it is present.
        progress: called with (tokens done, tokens in all) after every update.
        after_epoch: scores the model; called between epochs, outside the run's random state, while
            the loss is finite; the last update may have ruined the weights all the same.

    Returns:
        The trained model, its schedule, and what was recorded.

    Raises:
        Diverged: The loss is not finite; ``curves`` is its argument.
        Interrupted: A signal asked to stop; the state is saved.

    Source: paper, section 4.1; the released code where the text is silent.
    """
    schedule = plan_updates(
        rows=len(data),
        epochs=task.epochs,
        batch_size=hyperparameters.batch_size,
        warmup_ratio=hyperparameters.warmup_ratio,
        micro_batch=task.micro_batch,
    )
    order = torch.Generator().manual_seed(
        hyperparameters.seed if hyperparameters.order_seed is None else hyperparameters.order_seed
    )
    team = runtime.team
    torch.manual_seed(team.seed(hyperparameters.seed))
    # no wrapper: a batch takes several forward passes, and gradients are summed here, once for all
    model.to(runtime.accelerator.device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=hyperparameters.learning_rate,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        fused=True,
    )
    run = _Run(model, optimizer, schedule, hyperparameters.learning_rate, runtime, data)
    first_epoch, first_step = run.load(state, order)
    total = int(data.lengths.sum()) * task.epochs
    saved = time.monotonic()
    for epoch in range(first_epoch, task.epochs):
        epoch_start = order.get_state()
        permutation = torch.randperm(len(data), generator=order).numpy()
        steps = -(-len(data) // schedule.micro_batch)
        for step in range(first_step, steps):
            rows = permutation[step * schedule.micro_batch : (step + 1) * schedule.micro_batch]
            updated = run.micro_step(rows, last=(step + 1) % schedule.accumulation == 0)
            if not updated:
                continue
            progress(run.curves.real, total)
            if not run.settled:
                continue
            due = team.leads and time.monotonic() - saved > runtime.checkpoint_seconds
            stop, due = team.any(bool(runtime.stop), due)
            if state is not None and (stop or due):
                run.save(state, epoch, step + 1, epoch_start)
                saved = time.monotonic()
            if stop:
                raise Interrupted
        first_step = 0
        if after_epoch is not None:
            # where the device runs ahead, losses that are not finite may not have been seen yet
            run.check_finite()
            with outside_random_state():
                run.curves.epochs.append(CurvePoint(epoch=epoch + 1, score=after_epoch(model)))
            model.train()
    run.check_finite()
    if state is not None:
        state.unlink(missing_ok=True)
    return model, schedule, run.curves


class _Run:
    """The moving parts of one training run."""

    def __init__(
        self,
        model: Any,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        rate: float,
        runtime: Runtime,
        data: Encoded,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.rate = rate
        self.runtime = runtime
        self.data = data
        self.curves = Curves()
        self.team = runtime.team
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self._losses: list[torch.Tensor] = []
        self._norms: list[torch.Tensor] = []
        self._partial: list[torch.Tensor] = []
        self._work: list[torch.Tensor] = []
        """Token positions computed by each backward pass, of all processes."""

    def micro_step(self, rows: np.ndarray, *, last: bool) -> bool:
        """One backward pass over ``rows``; an update if it is the last of its accumulation."""
        accelerator = self.runtime.accelerator
        mine = self.team.share(rows)
        chunk = self.runtime.chunk or len(rows)
        micro = [torch.zeros((), device=accelerator.device)]
        positions = 0
        if not self.team.leads:
            # what earlier micro-batches left is the same on every process: the lead brings it
            self.optimizer.zero_grad(set_to_none=True)
        for start in range(0, len(mine), chunk):
            part = mine[start : start + chunk]
            logits, computed = forward(self.model, self.data, part, accelerator)
            labels = torch.from_numpy(self.data.labels[part]).to(logits.device)
            loss = functional.cross_entropy(logits, labels, reduction="sum") / len(rows)
            accelerator.backward(loss / self.schedule.accumulation)
            micro.append(loss.detach())
            positions += computed
        self.curves.real += token_count(self.data, rows)
        work = torch.tensor(float(positions), device=accelerator.device)
        whole, work = self.team.sum_gradients(self.parameters, torch.stack(micro).sum(), work)
        self._work.append(work)
        # the released code clips after every backward pass, also on partial sums
        norm = accelerator.clip_grad_norm_(self.parameters, 1.0)
        self._partial.append(whole)
        if not last:
            return False
        self._losses.append(torch.stack(self._partial).mean())
        self._norms.append(norm.detach() if isinstance(norm, torch.Tensor) else torch.tensor(norm))
        self._partial = []
        done = len(self.curves.loss) + len(self._losses) - 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * self.schedule.factor(done)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if len(self._losses) >= 20 or accelerator.device.type == "cpu":
            self.check_finite()
        return True

    @property
    def settled(self) -> bool:
        """Whether the device has done all that it was asked: looking at it costs no waiting."""
        return not self._losses

    def check_finite(self) -> None:
        """Moves the newest losses off the device; the one place that waits for it."""
        if not self._losses:
            return
        self.curves.loss += torch.stack(self._losses).tolist()
        self.curves.norm += torch.stack(self._norms).tolist()
        self.curves.computed += int(torch.stack(self._work).sum())
        self._losses, self._norms, self._work = [], [], []
        if not all(map(math.isfinite, self.curves.loss[-20:])):
            raise Diverged(self.curves, self.schedule)

    def save(self, path: Path, epoch: int, step: int, epoch_start: torch.Tensor) -> None:
        """Saves everything that the rest of the run depends on; called right after an update."""
        randoms = self.team.gathered(random_state())
        if not self.team.leads:
            return
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": epoch,
            "step": step,
            "order": epoch_start,
            "random": randoms,
            "loss": self.curves.loss,
            "norm": self.curves.norm,
            "epochs": [(point.epoch, point.score) for point in self.curves.epochs],
            "tokens": (self.curves.real, self.curves.computed),
        }
        with replacing(path) as temporary:
            torch.save(content, temporary)

    def load(self, path: Path | None, order: torch.Generator) -> tuple[int, int]:
        """Takes up a saved state; returns the (epoch, micro-step) to go on at."""
        if path is None or not path.is_file():
            return 0, 0
        content = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        order.set_state(content["order"])
        set_random_state(content["random"][self.team.rank])
        self.curves.loss, self.curves.norm = content["loss"], content["norm"]
        self.curves.epochs = [CurvePoint(epoch=e, score=s) for e, s in content["epochs"]]
        self.curves.real, self.curves.computed = content["tokens"]
        return content["epoch"], content["step"]
