"""Training and evaluation of one model on one task, as in the paper, without padded work."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import is_bf16_available
from torch.nn import functional
from transformers import PreTrainedModel

from stilt import passes
from stilt.cell import Hyperparameters
from stilt.encode import Encoded
from stilt.errors import ConfigError
from stilt.files import replacing
from stilt.grid import Recipe
from stilt.interrupt import Interrupted, StopRequest
from stilt.results import CurvePoint, Tokens, Training
from stilt.schedule import Schedule, plan_updates
from stilt.task import Task
from stilt.team import Team

CURVE_POINTS = 100
PASS_OVERHEAD = {"cpu": 64, "cuda": 4096}
"""Cost of one more forward pass in token positions: see benchmarks/padding.py."""
EVALUATION_TOKENS = 16_384
"""Token positions of one evaluation pass."""

PADDING_ERROR = 0.01
"""Largest share of a logit that padding may change: rounding makes less than a thousandth."""


class Diverged(Exception):  # noqa: N818 - a result, not an error
    """The loss is no longer finite; what was recorded so far is kept."""


@dataclass
class Curves:
    """What is recorded while training: one loss and one gradient norm per update."""

    loss: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    epochs: list[CurvePoint] = field(default_factory=list)
    real: int = 0
    computed: int = 0

    def summary(self, schedule: Schedule, carried: Any, fresh: Any) -> Training:
        """The record's form: thinned curves and the losses that tell a failed run."""
        window = max(1, len(self.loss) // 10)
        means = [_mean(self.loss[i : i + window]) for i in range(0, len(self.loss), window)]
        finite = [value for value in means if value is not None]
        return Training(
            updates=len(self.loss),
            warmup_updates=schedule.warmup,
            final_loss=_mean(self.loss[-window:]),
            lowest_loss=min(finite, default=None),
            loss=_thin(self.loss),
            gradient_norm=_thin(self.norm),
            tokens=Tokens(real=self.real, computed=self.computed),
            carried=tuple(carried),
            fresh=tuple(fresh),
        )


@dataclass(frozen=True)
class Runtime:
    """What a machine decides and no score may depend on."""

    accelerator: Accelerator
    chunk: int | None = None
    """Examples per backward pass at most, for memory; gradients are summed, so nothing changes."""
    stop: StopRequest = field(default_factory=StopRequest)
    checkpoint_seconds: float = 600.0
    """Longest work that a sudden death may lose."""

    @property
    def team(self) -> Team:
        """The processes that run the cell together: most often this one alone."""
        return Team(self.accelerator)


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


class outside_random_state:  # noqa: N801 - reads as a statement
    """Leaves torch's random state as it was, so that scoring along the way changes nothing."""

    def __enter__(self) -> None:
        """Remembers the state."""
        self.state = _random_state()

    def __exit__(self, *_: object) -> None:
        """Puts it back."""
        _set_random_state(self.state)


RandomState = tuple[torch.Tensor, list[torch.Tensor]]
"""Torch's random state: the processor's, and each GPU's."""


def _random_state() -> RandomState:
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), gpus


def _set_random_state(state: RandomState) -> None:
    processor, gpus = state
    torch.set_rng_state(processor)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)


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
        self.curves.real += _tokens(self.data, rows)
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
        randoms = self.team.gathered(_random_state())
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
        _set_random_state(content["random"][self.team.rank])
        self.curves.loss, self.curves.norm = content["loss"], content["norm"]
        self.curves.epochs = [CurvePoint(epoch=e, score=s) for e, s in content["epochs"]]
        self.curves.real, self.curves.computed = content["tokens"]
        return content["epoch"], content["step"]


def forward(
    model: Any, data: Encoded, rows: np.ndarray, accelerator: Accelerator
) -> tuple[torch.Tensor, int]:
    """Logits of some examples, computed in passes of similar length.

    Args:
        model: multiple-choice or classification model.
        data: encoded split.
        rows: (B,) example indices.
        accelerator: where the model is, and in which precision it computes.

    Returns:
        (B, K) logits, in fp32, in the order of ``rows``, and the token positions computed.
    """
    device, options = accelerator.device, data.options
    sequences = (rows[:, None] * options + np.arange(options)).ravel()
    lengths = data.lengths[sequences]
    groups = passes.group(lengths, PASS_OVERHEAD.get(device.type, 4096))
    outputs = []
    computed = 0
    for members in groups:
        batch = pad(data, sequences[members], model.config.pad_token_id or 0, device)
        computed += batch["input_ids"].numel()
        if options > 1:
            # every option is a "batch of one choice": the same scores, without equal lengths
            batch = {key: value.unsqueeze(1) for key, value in batch.items()}
        with accelerator.autocast():
            outputs.append(model(**batch).logits)
    back = torch.from_numpy(np.argsort(np.concatenate(groups))).to(device)
    logits = torch.cat(outputs)[back]
    return logits.view(len(rows), -1).float(), computed


def pad(
    data: Encoded, sequences: np.ndarray, pad_id: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """(n, L) tensors of some sequences; no mask where all are equally long."""
    lengths = data.lengths[sequences]
    longest = int(lengths.max())
    inside = np.arange(longest) < lengths[:, None]
    place = data.offsets[sequences][:, None] + np.arange(longest)
    ids = np.full(inside.shape, pad_id, dtype=np.int64)
    ids[inside] = data.ids[place[inside]]
    batch = {"input_ids": ids}
    if len(data.types):
        types = np.zeros(inside.shape, dtype=np.int64)
        types[inside] = data.types[place[inside]]
        batch["token_type_ids"] = types
    if not inside.all():
        batch["attention_mask"] = inside.astype(np.int64)
    return {key: torch.from_numpy(value).to(device) for key, value in batch.items()}


def insist_on_padding(model: Any, data: Encoded, name: str) -> None:
    """Makes sure that a sequence's logits do not depend on the padding behind it.

    Passes of several lengths rest on it. XLNet scores by the last position, for one.

    Args:
        model: on the CPU.
        data: where a shortest and a longest sequence are taken from.
        name: of the model, for the message.

    Raises:
        ConfigError: They do, or the model cannot be given padding.
    """
    lengths = data.lengths[:1000]
    both = np.array([lengths.argmin(), lengths.argmax()])

    def logits(sequences: np.ndarray) -> torch.Tensor:
        batch = pad(data, sequences, model.config.pad_token_id or 0, torch.device("cpu"))
        if data.options > 1:
            batch = {key: value.unsqueeze(1) for key, value in batch.items()}
        found: torch.Tensor = model(**batch).logits[0].float()
        return found

    model.eval()
    try:
        with torch.inference_mode():
            alone, padded = logits(both[:1]), logits(both)
    except ValueError as error:
        raise ConfigError(f"model {name}: cannot be given padded sequences ({error}).") from None
    if float((alone - padded).abs().max()) > PADDING_ERROR * float(alone.abs().max()):
        raise ConfigError(
            f"model {name} ({type(model).__name__}): the logits of a sequence change with the "
            "padding behind it, so that its scores would depend on what shares its batch. Choose "
            "a model that pools the first token or masks padding, such as BERT, RoBERTa, DeBERTa."
        )


def predict(model: Any, data: Encoded, team: Team) -> np.ndarray:
    """(N, K) logits of a whole split, longest examples first, without gradients or dropout.

    The same on every process of a team, and not finite where the weights are of no use any more.
    """
    model.eval()
    longest = data.lengths.reshape(len(data), data.options).max(axis=1)
    order = np.argsort(-longest, kind="stable")
    classes = data.options if data.options > 1 else model.config.num_labels
    logits = np.zeros((len(data), classes))
    start, turn = 0, 0
    with torch.inference_mode():
        while start < len(order):
            count = max(1, EVALUATION_TOKENS // int(longest[order[start]] * data.options))
            rows = order[start : start + count]
            if turn % team.size == team.rank:
                logits[rows] = forward(model, data, rows, team.accelerator)[0].cpu().numpy()
            start, turn = start + count, turn + 1
    # each example was scored by one process: all others add zero
    return team.summed(torch.from_numpy(logits).to(team.accelerator.device)).cpu().numpy()


def _tokens(data: Encoded, rows: np.ndarray) -> int:
    first = data.offsets[rows * data.options]
    return int((data.offsets[(rows + 1) * data.options] - first).sum())


def _mean(values: list[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None


def _thin(values: list[float]) -> tuple[tuple[int, float | None], ...]:
    step = max(1, math.ceil(len(values) / CURVE_POINTS))
    return tuple(
        (min(i + step, len(values)), _mean(values[i : i + step]))
        for i in range(0, len(values), step)
    )


def default_threads() -> int:
    """CPU threads of this process: what the scheduler gave, else every core."""
    return int(os.environ.get("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0)))
