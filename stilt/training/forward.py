"""Forward passes without padded work: logits of some examples, or of a whole split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from stilt.data.encode import Encoded
from stilt.training.team import Team

PASS_OVERHEAD = {"cpu": 64, "cuda": 4096}
"""Cost of one more forward pass in token positions: see benchmarks/padding.py."""
EVALUATION_TOKENS = 16_384
"""Token positions of one evaluation pass."""


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
    device = accelerator.device
    sequences, groups = passes_of(data, rows, device.type)
    outputs = []
    computed = 0
    for members in groups:
        batch = inputs(model, data, sequences[members], device)
        computed += batch["input_ids"].numel()
        with accelerator.autocast():
            outputs.append(model(**batch).logits)
    back = torch.from_numpy(np.argsort(np.concatenate(groups))).to(device)
    logits = torch.cat(outputs)[back]
    return logits.view(len(rows), -1).float(), computed


def passes_of(data: Encoded, rows: np.ndarray, device: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Sequences of some examples, and the forward passes that they are computed in.

    Args:
        data: encoded split.
        rows: (B,) example indices.
        device: its type, as torch calls it.

    Returns:
        (B x O,) sequence indices, and for each pass its places among them.
    """
    sequences = (rows[:, None] * data.options + np.arange(data.options)).ravel()
    return sequences, split_by_length(data.lengths[sequences], PASS_OVERHEAD.get(device, 4096))


def split_by_length(lengths: Sequence[int] | np.ndarray, overhead: float) -> list[np.ndarray]:
    """Splits sequences into forward passes of similar length, at the least total cost.

    A pass costs its padded positions (sequences x longest) plus ``overhead``. Sorted by length, the
    best split is contiguous, so dynamic programming over the distinct lengths finds it.

    Args:
        lengths: (S,) tokens of each sequence.
        overhead: cost of one more pass, in token positions: launches and small matrices.

    Returns:
        Index arrays into ``lengths``; together they hold every index once.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(lengths, kind="stable")
    values, counts = np.unique(lengths, return_counts=True)
    ends = np.cumsum(counts)
    starts = np.concatenate([[0], ends[:-1]])
    best = np.zeros(len(values) + 1)
    cut = np.zeros(len(values), dtype=int)
    for last in range(len(values)):
        # cost[i]: the last pass holds the distinct lengths i..last
        cost = best[: last + 1] + (ends[last] - starts[: last + 1]) * values[last] + overhead
        cut[last] = int(np.argmin(cost))
        best[last + 1] = cost[cut[last]]
    passes = []
    last = len(values) - 1
    while last >= 0:
        passes.append(order[starts[cut[last]] : ends[last]])
        last = cut[last] - 1
    return passes[::-1]


def inputs(
    model: Any, data: Encoded, sequences: np.ndarray, device: torch.device
) -> dict[str, torch.Tensor]:
    """What a model is given of some sequences, in one pass."""
    batch = pad(data, sequences, model.config.pad_token_id or 0, device)
    if getattr(model.config, "classifier_pooling", None) == "mean":
        # ModernBERT's mean is over the mask, whether or not there is padding
        batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
    if data.options > 1:
        # every option is a "batch of one choice": the same scores, without equal lengths
        return {key: value.unsqueeze(1) for key, value in batch.items()}
    return batch


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


def predict(model: Any, data: Encoded, team: Team) -> np.ndarray:
    """(N, K) logits of a whole split, longest examples first, without gradients or dropout.

    Every process of a team gets all of them. They are not finite where the weights are of no use
    any more.
    """
    model.eval()
    passes = evaluation_passes(data)
    classes = data.options if data.options > 1 else model.config.num_labels
    logits = np.zeros((len(data), classes))
    with torch.inference_mode():
        for rows in team.share(passes):
            logits[rows] = forward(model, data, rows, team.accelerator)[0].cpu().numpy()
    # each example was scored by one process: all others add zero
    return team.summed(torch.from_numpy(logits).to(team.accelerator.device)).cpu().numpy()


def evaluation_passes(data: Encoded) -> list[np.ndarray]:
    """Example indices of a whole split, in parts that are scored together; longest first."""
    longest = data.lengths.reshape(len(data), data.options).max(axis=1)
    order = np.argsort(-longest, kind="stable")
    passes, start = [], 0
    while start < len(order):
        count = max(1, EVALUATION_TOKENS // int(longest[order[start]] * data.options))
        passes.append(order[start : start + count])
        start += count
    return passes


def token_count(data: Encoded, rows: np.ndarray) -> int:
    """Tokens of some examples, without padding."""
    first = data.offsets[rows * data.options]
    return int((data.offsets[(rows + 1) * data.options] - first).sum())
