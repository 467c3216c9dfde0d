"""Fine-tunes one model on one task as the paper does: updates, clipping, saved state."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from stilt.cell import Hyperparameters
from stilt.data.encode import Encoded
from stilt.records.results import CurvePoint
from stilt.schedule import BETAS, CLIP, EPS, WEIGHT_DECAY, Schedule, plan_updates
from stilt.system.interrupt import Interrupted
from stilt.task import Task
from stilt.training.curves import Curves, Diverged
from stilt.training.forward import forward, token_count
from stilt.training.runtime import Runtime, outside_random_state, random_state, set_random_state
from stilt.training.saved_state import SavedState
from stilt.training.speed.embeddings import RowGradients, row_gradients
from stilt.training.team import Team
from stilt.training.tracking import Update


def fit(
    model: PreTrainedModel,
    data: Encoded,
    task: Task,
    hyperparameters: Hyperparameters,
    runtime: Runtime,
    *,
    state: SavedState | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    updated: Update = lambda number, values: None,
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
        state: what an interrupted run leaves, and what is taken up where it is there. It stays:
            until the result is written, nothing else is left of the run.
        progress: called with (tokens done, tokens in all) after every update.
        updated: told each update's loss, gradient norm and learning rate, once they are known.
        after_epoch: scores the model; called between epochs, outside the run's random state, while
            the loss is finite; the last update may have ruined the weights all the same.

    Returns:
        The trained model, its schedule, and what was recorded.

    Raises:
        Diverged: The loss is not finite; its arguments are curves and schedule.
        Interrupted: A signal asked to stop; the state is saved.

    Source: paper, section 4.1; the released code where the text is silent.
    """
    run = _Run(model, data, task, hyperparameters, runtime, updated)
    first_epoch, first_step = run.load(state)
    total = int(data.lengths.sum()) * task.epochs
    with row_gradients(model) as words:
        for epoch in range(first_epoch, task.epochs):
            for step, rows in enumerate(run.micro_batches()):
                if step < first_step or not run.micro_step(rows, step, words):
                    continue
                progress(run.curves.real, total)
                run.save_or_stop(state, epoch, step + 1)
            first_step = 0
            if after_epoch is not None:
                # where the device runs ahead, losses that are not finite may not have been seen
                run.check_finite()
                with outside_random_state():
                    run.curves.epochs.append(CurvePoint(epoch=epoch + 1, score=after_epoch(model)))
                model.train()
    run.check_finite()
    return model, run.schedule, run.curves


def summed_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (B, K) of classes (B,), or squared error of one output (B, 1) from numbers.

    Source: GLUE's baselines, and all after them, regress STS-B on the squared error of its labels
    as they are.
    """
    if labels.is_floating_point():
        return functional.mse_loss(logits[:, 0], labels, reduction="sum")
    return functional.cross_entropy(logits, labels, reduction="sum")


class _Run:
    """One training run: model, optimizer, order of examples, and what was recorded so far."""

    def __init__(
        self,
        model: PreTrainedModel,
        data: Encoded,
        task: Task,
        hyperparameters: Hyperparameters,
        runtime: Runtime,
        updated: Update,
    ) -> None:
        self.schedule = plan_updates(
            rows=len(data),
            epochs=task.epochs,
            batch_size=hyperparameters.batch_size,
            warmup_ratio=hyperparameters.warmup_ratio,
            micro_batch=task.micro_batch,
        )
        seed, order_seed = hyperparameters.seed, hyperparameters.order_seed
        self.order = torch.Generator().manual_seed(seed if order_seed is None else order_seed)
        self.epoch_start = self.order.get_state()
        """What this epoch's order of examples is drawn from."""
        self.team = Team(runtime.accelerator)
        torch.manual_seed(self.team.seed(seed))
        self.model: Any = model
        # no wrapper: a batch takes several forward passes, and gradients are summed once for all
        self.model.to(runtime.accelerator.device).train()
        self.rate = hyperparameters.learning_rate
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=self.rate,
            fused=True,
            betas=BETAS,
            eps=EPS,
            weight_decay=WEIGHT_DECAY,
        )
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.data = data
        self.runtime = runtime
        self.updated = updated
        share = -(-self.schedule.micro_batch // self.team.size)
        self.curves = Curves(chunk=min(runtime.chunk or share, share))
        self._saved = time.monotonic()
        self._losses: list[torch.Tensor] = []
        self._norms: list[torch.Tensor] = []
        self._partial: list[torch.Tensor] = []
        self._work: list[torch.Tensor] = []
        """Token positions computed by each backward pass, of all processes."""

    def micro_batches(self) -> list[np.ndarray]:
        """Draws an epoch's order: example indices, one array for each backward pass."""
        self.epoch_start = self.order.get_state()
        permutation = torch.randperm(len(self.data), generator=self.order).numpy()
        size = self.schedule.micro_batch
        return [permutation[start : start + size] for start in range(0, len(self.data), size)]

    def micro_step(self, rows: np.ndarray, step: int, words: RowGradients | None = None) -> bool:
        """Does the ``step``-th backward pass of an epoch; True where it updated the weights."""
        self._backward(rows, words)
        # the released code clips after every backward pass, also on partial sums
        norm = self.runtime.accelerator.clip_grad_norm_(self.parameters, CLIP)
        if (step + 1) % self.schedule.accumulation:
            return False
        self._losses.append(torch.stack(self._partial).mean())
        self._norms.append(norm.detach() if isinstance(norm, torch.Tensor) else torch.tensor(norm))
        self._partial = []
        done = len(self.curves.loss) + len(self._losses) - 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * self.schedule.factor(done)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if len(self._losses) >= 20 or self.runtime.accelerator.device.type == "cpu":
            self.check_finite()
        return True

    def _backward(self, rows: np.ndarray, words: RowGradients | None) -> None:
        """Adds the mean loss's gradient over ``rows``, in passes of no more than fits memory."""
        accelerator = self.runtime.accelerator
        chunk = self.runtime.chunk or len(rows)
        losses = [torch.zeros((), device=accelerator.device)]
        positions = 0
        self.team.forget_gradients(self.parameters)
        mine = self.team.share(rows)
        for start in range(0, len(mine), chunk):
            part = mine[start : start + chunk]
            logits, computed = forward(self.model, self.data, part, accelerator)
            labels = torch.from_numpy(self.data.labels[part]).to(logits.device)
            loss = summed_loss(logits, labels) / len(rows)
            accelerator.backward(loss / self.schedule.accumulation)
            if words is not None:
                words.add()
            losses.append(loss.detach())
            positions += computed
        self.curves.real += token_count(self.data, rows)
        work = torch.tensor(float(positions), device=accelerator.device)
        whole, work = self.team.sum_gradients(self.parameters, torch.stack(losses).sum(), work)
        self._partial.append(whole)
        self._work.append(work)

    def check_finite(self) -> None:
        """Moves the newest losses off the device; the one place that waits for it."""
        if not self._losses:
            return
        known = len(self.curves.loss)
        self.curves.loss += torch.stack(self._losses).tolist()
        self.curves.norm += torch.stack(self._norms).tolist()
        self.curves.computed += int(torch.stack(self._work).sum())
        self._losses, self._norms, self._work = [], [], []
        for done in range(known, len(self.curves.loss)):
            measured = {"loss": self.curves.loss[done], "gradient_norm": self.curves.norm[done]}
            rate = self.rate * self.schedule.factor(done)
            self.updated(done + 1, measured | {"learning_rate": rate})
        if not all(map(math.isfinite, self.curves.loss[-20:])):
            raise Diverged(self.curves, self.schedule)

    def save_or_stop(self, state: SavedState | None, epoch: int, step: int) -> None:
        """Saves the state where it is time, or where a signal asks this process to stop.

        Args:
            state: where it goes; None to save nothing.
            epoch: the epoch to go on in.
            step: its backward passes that are done; the last one was an update.

        Raises:
            Interrupted: A signal asked to stop.
        """
        if self._losses:
            # the device is still at work, and to look at the weights would wait for it
            return
        due = time.monotonic() - self._saved > self.runtime.checkpoint_seconds
        stop, due = self.team.any(bool(self.runtime.stop), due)
        if state is not None and (stop or due):
            self._save(state, epoch, step)
            self._saved = time.monotonic()
        if stop:
            raise Interrupted

    def _save(self, state: SavedState, epoch: int, step: int) -> None:
        """Saves everything that the rest of the run depends on."""
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": epoch,
            "step": step,
            "order": self.epoch_start,
            "random": self.team.gathered(random_state()),
            "loss": self.curves.loss,
            "norm": self.curves.norm,
            "epochs": [(point.epoch, point.score) for point in self.curves.epochs],
            "tokens": (self.curves.real, self.curves.computed),
            "chunk": self.curves.chunk,
        }
        if self.team.leads:
            state.write(content)

    def load(self, state: SavedState | None) -> tuple[int, int]:
        """Takes up a saved state; returns the (epoch, micro-step) to go on at."""
        # one process decides for all: they go on together or begin together
        if state is None or not self.team.broadcast(self.team.leads and state.sound()):
            return 0, 0
        content = state.read()
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.order.set_state(content["order"])
        set_random_state(content["random"][self.team.rank])
        self.curves.loss, self.curves.norm = content["loss"], content["norm"]
        self.curves.epochs = [CurvePoint(epoch=e, score=s) for e, s in content["epochs"]]
        self.curves.real, self.curves.computed = content["tokens"]
        # what was done in smaller passes before has dropout masks of its own
        self.curves.chunk = min(self.curves.chunk, content["chunk"])
        return content["epoch"], content["step"]
