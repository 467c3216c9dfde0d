"""Training steps with and without padded work, both sides in one run.

    python benchmarks/padding.py [--data-dir FOLDER] [--steps N] [--threads N]

Three ways to compute the same batch's gradient: every sequence padded to the task's maximum (the
released code), padded to the batch's longest, and in passes of similar length (ours). Prints
median seconds a step, the share of positions that are padding, and the ratio to the first. Then the
cost of one optimizer update in training tokens, which packing uses (``stilt.plan.UPDATE_TOKENS``),
and the fastest pass overhead (``stilt.training.forward.PASS_OVERHEAD``).
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from stilt.data.encode import Encoded, cache_folder, encode_splits
from stilt.data.load import data_folder, load_splits
from stilt.grid import load_grid
from stilt.model.build import StartModels, build
from stilt.model.place import file_digests, find_model, identity
from stilt.task import load_task
from stilt.training.forward import PASS_OVERHEAD, forward, pad
from stilt.training.runtime import make_accelerator

BATCH = 16
OVERHEADS = (0, 16, 32, 64, 128, 256)


def padded_to(
    encoded: Encoded, length: int, rows: np.ndarray, model: torch.nn.Module
) -> torch.Tensor:
    """Logits of a batch whose sequences are all padded to ``length``."""
    options = encoded.options
    sequences = (rows[:, None] * options + np.arange(options)).ravel()
    batch = pad(encoded, sequences, 0, torch.device("cpu"))
    extra = length - batch["input_ids"].shape[1]
    batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
    batch = {key: functional.pad(value, (0, extra)) for key, value in batch.items()}
    if options > 1:
        batch = {key: value.view(len(rows), options, length) for key, value in batch.items()}
    return model(**batch).logits


def main() -> None:
    """Runs the comparison on three tasks of different lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    accelerator = make_accelerator("cpu")
    spec = load_grid("demo").model
    where = find_model(spec)
    models = StartModels(where)
    table = Table(
        title=f"batch {BATCH}, {arguments.threads} thread(s), median of {arguments.steps}"
    )
    for name in (
        "task",
        "static s",
        "batch-longest s",
        "passes s",
        "static pad",
        "passes pad",
        "static / passes",
        "longest / passes",
    ):
        table.add_column(name, justify="left" if name == "task" else "right")
    sweep = Table(title="seconds a step by pass overhead")
    sweep.add_column("task")
    for overhead in OVERHEADS:
        sweep.add_column(str(overhead), justify="right")
    updates = []
    for name in ("winogrande-cut", "rte-cut", "hellaswag-p-cut"):
        task = load_task(name)
        splits = load_splits(task, data_folder(arguments.data_dir))
        encoded, _ = encode_splits(
            task, splits, models.tokenizer, identity(spec, file_digests(where)), cache_folder()
        )
        model = build(models.start(task, None, "keep"), 0).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        batches = [
            np.random.default_rng(step).permutation(len(encoded))[:BATCH]
            for step in range(arguments.steps)
        ]
        longest = [_longest(encoded, rows) for rows in batches]
        sides = {
            "static": lambda rows, step: padded_to(encoded, task.max_length, rows, model),
            "longest": lambda rows, step: padded_to(encoded, longest[step], rows, model),
            "passes": lambda rows, step: forward(model, encoded, rows, accelerator)[0],
        }
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        swept: dict[int, list[float]] = {overhead: [] for overhead in OVERHEADS}
        for step, rows in enumerate(batches):
            labels = torch.from_numpy(encoded.labels[rows])
            for side, logits in sides.items():
                seconds[side].append(_timed(lambda: logits(rows, step), labels))
            began = time.perf_counter()
            optimizer.step()
            updates.append(
                (time.perf_counter() - began, seconds["passes"][-1], _real(encoded, rows))
            )
            optimizer.zero_grad()
            usual = PASS_OVERHEAD["cpu"]
            for overhead in OVERHEADS:
                PASS_OVERHEAD["cpu"] = overhead
                swept[overhead].append(_timed(lambda: sides["passes"](rows, step), labels))
            PASS_OVERHEAD["cpu"] = usual
        median = {side: statistics.median(values) for side, values in seconds.items()}
        real = sum(_real(encoded, rows) for rows in batches)
        computed = sum(forward(model, encoded, rows, accelerator)[1] for rows in batches)
        static = arguments.steps * BATCH * encoded.options * task.max_length
        table.add_row(
            name,
            *(f"{median[side]:.3f}" for side in sides),
            f"{1 - real / static:.0%}",
            f"{1 - real / computed:.0%}",
            f"{median['static'] / median['passes']:.2f}",
            f"{median['longest'] / median['passes']:.2f}",
        )
        sweep.add_row(name, *(f"{statistics.median(swept[o]):.3f}" for o in OVERHEADS))
    console = Console(width=120)
    console.print(table)
    console.print(sweep)
    tokens = statistics.median(update / step * real for update, step, real in updates)
    speed = statistics.median(real / step for _, step, real in updates)
    console.print(
        f"an optimizer update costs as much as {tokens:.0f} training tokens; "
        f"{speed:.0f} training tokens a second"
    )


def _timed(logits: object, labels: torch.Tensor) -> float:
    began = time.perf_counter()
    functional.cross_entropy(logits(), labels).backward()  # type: ignore[operator]
    return time.perf_counter() - began


def _longest(encoded: Encoded, rows: np.ndarray) -> int:
    options = encoded.options
    return int(encoded.lengths[(rows[:, None] * options + np.arange(options)).ravel()].max())


def _real(encoded: Encoded, rows: np.ndarray) -> int:
    options = encoded.options
    return int(encoded.lengths[(rows[:, None] * options + np.arange(options)).ravel()].sum())


if __name__ == "__main__":
    main()
