"""Training steps of the recipes ``paper`` (fp32) and ``fast`` (bfloat16 passes), both in one run.

    python -m benchmarks.precision [--data-dir FOLDER] [--steps N] [--threads N] [--device cpu|gpu]

Prints median seconds of a forward and backward pass over the same batches of 16, their ratio, and
how far the gradients of the two are apart. The recipes take turns batch by batch.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from accelerate.state import AcceleratorState
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from stilt.data.encode import Encoded, cache_folder, encode_splits
from stilt.data.load import data_folder, load_splits
from stilt.grid import Recipe, load_grid
from stilt.model.build import StartModels, build
from stilt.model.place import file_digests, find_model, identity
from stilt.task import load_task
from stilt.training.forward import forward
from stilt.training.runtime import make_accelerator

BATCH = 16
RECIPES: tuple[Recipe, Recipe] = ("paper", "fast")


def step(
    model: torch.nn.Module, encoded: Encoded, rows: np.ndarray, recipe: Recipe, device: str
) -> tuple[float, torch.Tensor]:
    """Seconds of one batch's forward and backward pass, and its gradient as one vector."""
    # a process has one precision at a time
    AcceleratorState._reset_state()
    accelerator = make_accelerator(device, recipe)
    model.zero_grad()
    began = time.perf_counter()
    logits, _ = forward(model, encoded, rows, accelerator)
    labels = torch.from_numpy(encoded.labels[rows]).to(logits.device)
    functional.cross_entropy(logits, labels).backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    # waits for a GPU
    gradient = gradient.cpu()
    return time.perf_counter() - began, gradient


def main() -> None:
    """Runs the comparison on three tasks of different lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    spec = load_grid("demo").model
    where = find_model(spec)
    models = StartModels(where)
    table = Table(
        title=f"batch {BATCH}, {arguments.device}, {arguments.threads} thread(s), "
        f"median of {arguments.steps} steps"
    )
    for name in ("task", "paper s", "fast s", "paper / fast", "cosine of gradients"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for name in ("winogrande-cut", "rte-cut", "hellaswag-p-cut"):
        task = load_task(name)
        splits = load_splits(task, data_folder(arguments.data_dir))
        encoded, _ = encode_splits(
            task, splits, models.tokenizer, identity(spec, file_digests(where)), cache_folder()
        )
        # without dropout, so that the gradients can be compared
        model = build(models.start(task, None, "keep"), 0).eval()
        model.to("cpu" if arguments.device == "cpu" else "cuda")
        seconds: dict[Recipe, list[float]] = {recipe: [] for recipe in RECIPES}
        cosines = []
        for number in range(arguments.steps + 1):
            rows = np.random.default_rng(number).permutation(len(encoded))[:BATCH]
            found = {r: step(model, encoded, rows, r, arguments.device) for r in RECIPES}
            if number == 0:
                continue  # the first calls choose kernels
            for recipe in RECIPES:
                seconds[recipe].append(found[recipe][0])
            cosines.append(
                float(functional.cosine_similarity(*(found[r][1] for r in RECIPES), dim=0))
            )
        paper, fast = (statistics.median(seconds[recipe]) for recipe in RECIPES)
        table.add_row(
            name, f"{paper:.3f}", f"{fast:.3f}", f"{paper / fast:.2f}", f"{min(cosines):.4f}"
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
