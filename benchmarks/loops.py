"""The loops that a sweep is compared with: one process trains one cell, as scripts usually do.

    python -m benchmarks.loops fixed|score|longest JOB.json

``fixed`` pads every sequence to the task's maximum, trains, and saves; ``score`` loads what it
saved and scores dev: the paper's released code does that in a process of its own. ``longest`` is
today's usual script: accelerate, padding to a batch's longest sequence, and the score of dev in the
same process. All three compute in fp32 with AdamW, a linear
schedule with warmup, gradients clipped at 1, and dropout, as the recipe ``paper`` does.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

SCORE = "score.txt"
"""Where a loop says dev accuracy, beside the weights."""
EVALUATION_BATCH = 32
"""Examples in a batch of dev: no gradients are kept, so twice the usual training batch."""


@dataclass(frozen=True)
class Job:
    """One cell for a loop."""

    model: str
    """Folder of the pretrained model."""
    rows: str
    """JSON file: ``train`` and ``dev``, lists of ``{"pairs": [[a, b], ...], "label": n}``."""
    classes: int
    max_length: int
    epochs: int
    learning_rate: float
    batch_size: int
    warmup_ratio: float
    seed: int
    saved: str
    """Folder for what is trained."""

    @property
    def multiple_choice(self) -> bool:
        """Whether each example has several pairs, one for each option."""
        return self.classes == 0


class Batches:
    """Tokenises examples and pads them."""

    def __init__(self, job: Job, longest: bool) -> None:
        self.job, self.longest = job, longest
        self.tokenizer = AutoTokenizer.from_pretrained(job.model)

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch of examples: (B, L) tensors, or (B, K, L) of multiple choice, and labels (B,)."""
        pairs = [pair for example in examples for pair in example["pairs"]]
        batch = dict(
            self.tokenizer(
                [first for first, _ in pairs],
                None if pairs[0][1] is None else [second for _, second in pairs],
                truncation=True,
                max_length=self.job.max_length,
                padding="longest" if self.longest else "max_length",
                return_tensors="pt",
            )
        )
        if self.job.multiple_choice:
            shape = (len(examples), -1, batch["input_ids"].shape[-1])
            batch = {key: value.view(shape) for key, value in batch.items()}
        batch["labels"] = torch.tensor([int(example["label"]) for example in examples])
        return batch


def model_of(job: Job, folder: str) -> Any:
    """The pretrained model with a fresh head, or what was saved."""
    if job.multiple_choice:
        return AutoModelForMultipleChoice.from_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=job.classes)


def train(job: Job, rows: list[dict[str, Any]], longest: bool, accelerator: Accelerator) -> Any:
    """Fine-tunes and returns the model."""
    set_seed(job.seed)
    model = model_of(job, job.model)
    loader = DataLoader(
        rows, batch_size=job.batch_size, shuffle=True, collate_fn=Batches(job, longest)
    )
    updates = len(loader) * job.epochs
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.learning_rate, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, int(job.warmup_ratio * updates), updates)
    model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
    model.train()
    for _ in range(job.epochs):
        for batch in loader:
            accelerator.backward(model(**batch).loss)
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return accelerator.unwrap_model(model)


def accuracy(job: Job, model: Any, rows: list[dict[str, Any]], longest: bool) -> float:
    """Share of dev that is right."""
    model.eval()
    collate, right = Batches(job, longest), 0
    with torch.no_grad():
        for some in _batches(rows, EVALUATION_BATCH):
            batch = collate(some)
            labels = batch.pop("labels")
            right += int((model(**batch).logits.argmax(-1) == labels).sum())
    return right / len(rows)


def _batches(rows: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def main() -> None:
    """Runs one process's part of a loop; the one that scores writes the score."""
    side, path = sys.argv[1:]
    torch.set_num_threads(1)
    job = Job(**json.loads(Path(path).read_text()))
    rows = json.loads(Path(job.rows).read_text())
    accelerator = Accelerator(cpu=True)
    if side == "score":
        model = model_of(job, job.saved)
    else:
        model = train(job, rows["train"], side == "longest", accelerator)
        model.save_pretrained(job.saved)
    if side != "fixed":
        found = accuracy(job, model, rows["dev"], side == "longest")
        (Path(job.saved) / SCORE).write_text(str(found))


if __name__ == "__main__":
    main()
