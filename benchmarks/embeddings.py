"""Training updates with the word embeddings' gradient by rows, and with a whole one for each pass.

    python -m benchmarks.embeddings [--data-dir FOLDER] [--updates N] [--threads N]

Both sides train the same batches in turn, in one process: ``stilt.training.speed.embeddings`` and
what torch does without it. Prints median processor seconds of an update, their ratio with the
smallest and largest of five parts of the run, and whether all gradients were equal to the last bit.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from stilt.data.encode import Encoded, cache_folder, encode_splits
from stilt.data.load import data_folder, load_splits
from stilt.grid import load_grid
from stilt.model.build import StartModels, build
from stilt.model.place import file_digests, find_model, identity
from stilt.schedule import CLIP
from stilt.task import load_task
from stilt.training.forward import forward
from stilt.training.runtime import make_accelerator
from stilt.training.speed.embeddings import RowGradients
from stilt.training.train import summed_loss

BATCH = 16
PARTS = 5
TASKS = ("winogrande-cut", "rte-cut", "hellaswag-p-cut")


class Side:
    """One way to train; both sides have the same model and take the same batches."""

    def __init__(self, model: Any, encoded: Encoded, accelerator: Any) -> None:
        """Neither has trained yet."""
        self.model, self.encoded, self.accelerator = model, encoded, accelerator
        self.table = model.get_input_embeddings()
        self.kept = RowGradients(self.table)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)

    def update(self, rows: np.ndarray, *, by_rows: bool) -> tuple[float, torch.Tensor]:
        """Processor seconds of an update that changes nothing, and the table's gradient."""
        torch.manual_seed(int(rows[0]))
        if by_rows:
            self.table.forward = self.kept.read
        began = time.process_time()
        logits, _ = forward(self.model, self.encoded, rows, self.accelerator)
        loss = summed_loss(logits, torch.from_numpy(self.encoded.labels[rows])) / len(rows)
        self.accelerator.backward(loss)
        if by_rows:
            self.kept.add()
        self.accelerator.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        seconds = time.process_time() - began
        gradient = self.table.weight.grad.clone()
        began = time.process_time()
        self.optimizer.zero_grad(set_to_none=True)
        seconds += time.process_time() - began
        vars(self.table).pop("forward", None)
        return seconds, gradient


def main() -> None:
    """Compares both on three tasks of different lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    accelerator = make_accelerator("cpu")
    spec = load_grid("demo").model
    where = find_model(spec)
    models = StartModels(where)
    key = identity(spec, file_digests(where))
    updates = f"median CPU s of {arguments.updates} updates"
    table = Table(title=f"batch {BATCH}, {arguments.threads} thread(s), {updates}")
    for name in ("task", "whole", "by rows", "ratio", "least to most", "equal"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for name in TASKS:
        task = load_task(name)
        splits = load_splits(task, data_folder(arguments.data_dir))
        encoded, _ = encode_splits(task, splits, models.tokenizer, key, cache_folder())
        side = Side(build(models.start(task, None, "keep"), 0).train(), encoded, accelerator)
        equal = True
        pairs: list[tuple[float, float]] = []
        for number in range(-2, arguments.updates):
            rows = np.random.default_rng(number + 2).permutation(len(encoded))[:BATCH]
            whole, first = side.update(rows, by_rows=False)
            by_rows, second = side.update(rows, by_rows=True)
            equal = equal and torch.equal(first, second)
            # the first ones also allocate
            pairs += [(whole, by_rows)] if number >= 0 else []
        medians = [statistics.median(values) for values in zip(*pairs, strict=True)]
        parts = [sum(wholes) / sum(rows) for wholes, rows in map(_columns, _parts(pairs))]
        table.add_row(
            name,
            *(f"{seconds:.3f}" for seconds in medians),
            f"{medians[0] / medians[1]:.3f}",
            f"{min(parts):.3f} to {max(parts):.3f}",
            "yes" if equal else "no",
        )
    Console(width=120).print(table)


def _parts(pairs: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    size = max(1, len(pairs) // PARTS)
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _columns(pairs: list[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    wholes, rows = zip(*pairs, strict=True)
    return wholes, rows


if __name__ == "__main__":
    main()
