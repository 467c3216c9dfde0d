"""What a GPU does with this program's training: one command, about ten minutes.

    python -m benchmarks.gpu [--device gpu|cpu] [--shape large|tiny] [--seconds N] [--json FILE]

An encoder of RoBERTa-large's shape with random weights is fine-tuned by this program's own
``stilt.training.train.fit`` on made-up rows, whose lengths are drawn about the mean of real tasks.
Prints, for the recipes ``paper`` and ``fast``, each task and batch size:

- training tokens a second, without padding, and scored ones;
- the share of the rate that this device's large matrix products reach in the same precision, in the
  same run;
- peak memory, and the share of the time in which no kernel ran (launch overhead).

Then the training tokens a second of 1, 2, 3 and 4 processes that share the device, with and without
NVIDIA's MPS where it is there; and of passes that are replayed as CUDA graphs, padded to one of a
few lengths, against the same passes as they are. What a device cannot do is left out and said.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import AcceleratorState
from rich.console import Console
from rich.table import Table
from transformers import (
    RobertaConfig,
    RobertaForMultipleChoice,
    RobertaForSequenceClassification,
)

from stilt.cell import Hyperparameters
from stilt.data.encode import Encoded
from stilt.grid import Recipe
from stilt.task import Task, load_task
from stilt.training.forward import predict
from stilt.training.runtime import Runtime, make_accelerator
from stilt.training.team import Team
from stilt.training.train import fit

SHAPES = {"large": (24, 1024, 16, 4096, 50265), "tiny": (2, 32, 2, 64, 300)}
"""Layers, width, heads, inner width and vocabulary of an encoder."""
TASKS = ("cola", "rte", "winogrande-xs", "socialiqa", "hellaswag")
"""Short and long texts; one, two, three and four sequences an example."""
BATCHES = (8, 16, 32)
RECIPES: tuple[Recipe, ...] = ("paper", "fast")
WORKERS = (1, 2, 3, 4)
SHARED = "rte"
"""The task that processes side by side train on, and that passes are replayed of."""
BUCKETS = (32, 64, 96, 128)
"""Lengths that passes are padded to where they are replayed."""
SPREAD = 4.0
"""Shape of the gamma distribution of lengths: its deviation is half the mean."""
FIRST_WORD = 5
"""Ids below are the tokenizer's own: <s>, <pad>, </s>, <unk>, <mask>."""


@dataclass(frozen=True)
class Speed:
    """One measurement of training and scoring."""

    recipe: str
    task: str
    batch: int
    train: float
    """Tokens a second, without padding."""
    evaluate: float
    share: float
    """Of the device's rate of large matrix products, while training."""
    memory: float | None
    """Peak, in GB; None on a processor."""
    idle: float | None
    """Share of the time without a kernel; None on a processor."""


def made_up(task: Task, rows: int, vocabulary: int, seed: int = 0) -> Encoded:
    """Rows of random words whose lengths are spread about the task's mean."""
    draw = np.random.default_rng(seed)
    assert task.size is not None
    options = task.sequences
    lengths = draw.gamma(SPREAD, task.size.tokens / SPREAD, rows * options).astype(np.int64)
    lengths = lengths.clip(4, task.max_length)
    ids = draw.integers(FIRST_WORD, vocabulary, lengths.sum()).astype(np.int32)
    offsets = np.cumsum([0, *lengths])
    ids[offsets[:-1]] = 0
    labels = draw.integers(0, task.outputs, rows)
    return Encoded(ids=ids, types=np.array([], np.int8), offsets=offsets, labels=labels)


def encoder(task: Task, shape: str) -> Any:
    """A model of a shape with a task's head; its weights are random."""
    layers, width, heads, inner, vocabulary = SHAPES[shape]
    config = RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_labels=task.outputs,
    )
    multiple = task.kind == "multiple-choice"
    return (RobertaForMultipleChoice if multiple else RobertaForSequenceClassification)(config)


def operations(shape: str, data: Encoded) -> float:
    """Floating-point operations of one forward pass over a split, without padding.

    Two for each weight of the encoder's layers and each token, and four for each width, token and
    token that it attends to. Source: Kaplan et al. 2020, table 1.
    """
    layers, width, _, inner, _ = SHAPES[shape]
    weights = layers * (4 * width * width + 2 * width * inner)
    lengths = data.lengths.astype(float)
    return float(2 * weights * lengths.sum() + 4 * layers * width * (lengths**2).sum())


def matrix_rate(device: torch.device, recipe: Recipe, size: int, seconds: float) -> float:
    """FLOP/s of large square matrix products in a recipe's precision."""
    kind = torch.bfloat16 if recipe == "fast" else torch.float32
    a = torch.randn(size, size, device=device, dtype=kind)
    a @ a
    wait(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        a @ a
        wait(device)
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - began)


def wait(device: torch.device) -> None:
    """Waits until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def trained(model: Any, data: Encoded, task: Task, batch: int, runtime: Runtime) -> float:
    """Fine-tunes one epoch; seconds."""
    device = runtime.accelerator.device
    point = Hyperparameters(learning_rate=1e-6, batch_size=batch, warmup_ratio=0.0, seed=0)
    wait(device)
    began = time.perf_counter()
    fit(model, data, task.model_copy(update={"epochs": 1}), point, runtime)
    wait(device)
    return time.perf_counter() - began


def rows_for(task: Task, shape: str, batch: int, seconds: float, runtime: Runtime) -> int:
    """As many rows as take so many seconds, by a few updates after the first ones."""
    model, few = encoder(task, shape), 3 * batch
    data = made_up(task, few, SHAPES[shape][-1])
    trained(model, data, task, batch, runtime)
    updates = seconds / (trained(model, data, task, batch, runtime) / 3)
    return batch * max(3, min(400, round(updates)))


def speed(
    name: str, recipe: Recipe, batch: int, shape: str, seconds: float, device: str, rate: float
) -> Speed:
    """Measures one task at one batch size."""
    # accelerate keeps the first precision that a process asks for
    AcceleratorState._reset_state(reset_partial_state=True)
    task, runtime = load_task(name), Runtime(make_accelerator(device, recipe))
    place, team = runtime.accelerator.device, Team(runtime.accelerator)
    rows = rows_for(task, shape, batch, seconds, runtime)
    data, model = made_up(task, rows, SHAPES[shape][-1]), encoder(task, shape)
    few = made_up(task, 3 * batch, SHAPES[shape][-1])
    trained(model, few, task, batch, runtime)
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    took = trained(model, data, task, batch, runtime)
    memory = torch.cuda.max_memory_allocated(place) / 1e9 if place.type == "cuda" else None
    idle = idle_share(lambda: trained(model, few, task, batch, runtime), place)
    predict(model, data, team)
    wait(place)
    began = time.perf_counter()
    predict(model, data, team)
    scored = time.perf_counter() - began
    tokens = int(data.lengths.sum())
    # a backward pass is twice the work of a forward pass
    share = 3 * operations(shape, data) / took / rate
    return Speed(recipe, name, batch, tokens / took, tokens / scored, share, memory, idle)


def idle_share(work: Callable[[], float], device: torch.device) -> float | None:
    """Share of the time of some training in which no kernel ran; None on a processor."""
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as found:
        seconds = work()
    busy = sum(event.self_device_time_total for event in found.key_averages()) / 1e6
    return max(0.0, 1 - busy / seconds)


def beside(count: int, options: argparse.Namespace, environment: Mapping[str, str]) -> float:
    """Training tokens a second of so many processes together, which begin at one moment."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "benchmarks.gpu", "--beside", name]
        command += ["--device", options.device, "--shape", options.shape]
        command += ["--seconds", str(options.seconds)]
        threads = str(max(1, (os.cpu_count() or 1) // count))
        variables = {**os.environ, "OMP_NUM_THREADS": threads, **environment}
        running = [
            subprocess.Popen([*command, "--number", str(i)], env=variables, text=True)
            for i in range(count)
        ]
        while len(list(Path(name).glob("*.ready"))) < count:
            if any(process.poll() for process in running):
                break
            time.sleep(0.05)
        (Path(name) / "go").touch()
        failed = [process.wait() for process in running]
        if any(failed):
            raise RuntimeError(f"{sum(map(bool, failed))} of {count} processes failed")
        return sum(float(path.read_text()) for path in Path(name).glob("*.speed"))


def one_of_several(options: argparse.Namespace) -> None:
    """A process of ``beside``: gets ready, waits for the others, and writes its speed."""
    task, runtime = load_task(SHARED), Runtime(make_accelerator(options.device, "paper"))
    rows = rows_for(task, options.shape, BATCHES[0], options.seconds, runtime)
    data = made_up(task, rows, SHAPES[options.shape][-1], options.number)
    model = encoder(task, options.shape)
    trained(model, made_up(task, 24, SHAPES[options.shape][-1]), task, BATCHES[0], runtime)
    (options.beside / f"{options.number}.ready").touch()
    while not (options.beside / "go").exists():
        time.sleep(0.01)
    took = trained(model, data, task, BATCHES[0], runtime)
    path = options.beside / f"{options.number}.speed"
    path.write_text(str(int(data.lengths.sum()) / took))


@contextmanager
def mps() -> Iterator[dict[str, str] | None]:
    """NVIDIA's Multi-Process Service for the time being; None where it cannot be started.

    Source: nvidia-cuda-mps-control(1).
    """
    with tempfile.TemporaryDirectory() as name:
        places = {"CUDA_MPS_PIPE_DIRECTORY": name, "CUDA_MPS_LOG_DIRECTORY": name}
        environment = {**os.environ, **places}
        control = ["nvidia-cuda-mps-control"]
        try:
            subprocess.run([*control, "-d"], env=environment, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield places
        finally:
            subprocess.run(control, input="quit\n", env=environment, text=True, check=False)


class Logits(torch.nn.Module):
    """A model whose forward pass is from tensors to a tensor, as a CUDA graph wants it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits of one padded pass."""
        logits: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).logits
        return logits


def replayed(shape: str, batch: int, seconds: float, device: torch.device) -> list[dict[str, Any]]:
    """Forward and backward passes a second, padded to each length: as they are, and as graphs."""
    found = []
    for length in BUCKETS:
        ids = torch.full((batch, length), FIRST_WORD, device=device)
        given = ids, torch.ones_like(ids)
        rates: dict[str, float] = {}
        for how in ("eager", "graph"):
            run: Any = Logits(encoder(load_task(SHARED), shape)).to(device).train()
            if how == "graph":
                run = torch.cuda.make_graphed_callables(run, given)
            rates[how] = _passes(run, given, seconds, device)
        found.append({"length": length, "batch": batch, **rates})
    return found


def _passes(
    run: Any, given: tuple[torch.Tensor, ...], seconds: float, device: torch.device
) -> float:
    """Forward and backward passes a second."""
    run(*given).sum().backward()
    wait(device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        run(*given).sum().backward()
        wait(device)
        count += 1
    return count / (time.perf_counter() - began)


def measure(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measures all that the device can do, and prints a table of each."""
    device = make_accelerator(options.device).device
    tiny = options.shape == "tiny"
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    found: dict[str, Any] = {"device": card, "torch": torch.__version__, "shape": options.shape}
    console.print(found)
    rates: dict[Recipe, float] = {}
    for recipe in RECIPES:
        rates[recipe] = matrix_rate(device, recipe, 128 if tiny else 8192, options.seconds)
        console.print(f"{recipe}: {rates[recipe] / 1e12:.3g} TFLOP/s of matrix products")
    found["matrix_rate"] = rates
    speeds = [
        speed(task, recipe, batch, options.shape, options.seconds, options.device, rate)
        for recipe, rate in rates.items()
        for task in TASKS
        for batch in BATCHES
    ]
    found["speeds"] = [asdict(one) for one in speeds]
    table = Table("recipe", "task", "batch", "train", "score", "of the rate", "GB", "idle")
    for one in speeds:
        memory, idle = one.memory, one.idle
        table.add_row(
            *(one.recipe, one.task, str(one.batch), f"{one.train:,.0f}", f"{one.evaluate:,.0f}"),
            f"{one.share:.0%}",
            "-" if memory is None else f"{memory:.1f}",
            "-" if idle is None else f"{idle:.0%}",
        )
    console.print(table)
    found["workers"] = several(options, console)
    if device.type == "cuda":
        found["graphs"] = replayed(options.shape, BATCHES[0], options.seconds / 4, device)
        table = Table("padded to", "eager passes/s", "graph passes/s")
        for row in found["graphs"]:
            table.add_row(*(f"{row[name]:.4g}" for name in ("length", "eager", "graph")))
        console.print(table)
    else:
        console.print("no CUDA graphs: the device is no GPU")
    return found


def several(options: argparse.Namespace, console: Console) -> dict[str, dict[int, float]]:
    """Training tokens a second of several processes on one device, without and with MPS."""
    found = {"plain": {count: beside(count, options, {}) for count in WORKERS}}
    with mps() as variables:
        if variables is None:
            console.print("no MPS: nvidia-cuda-mps-control cannot be started here")
        else:
            found["mps"] = {count: beside(count, options, variables) for count in WORKERS}
    table = Table("processes", *found)
    for count in WORKERS:
        table.add_row(str(count), *(f"{rates[count]:,.0f}" for rates in found.values()))
    console.print(table)
    return found


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="large")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement, about")
    parser.add_argument("--json", type=Path, help="where every number goes, too")
    parser.add_argument("--beside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "gpu" and not torch.cuda.is_available():
        parser.exit(2, "no GPU: torch finds none here. --device cpu measures the processor.\n")
    if options.beside:
        one_of_several(options)
        return
    found = measure(options, Console(width=110))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
