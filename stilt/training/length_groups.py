"""How a batch's sequences are grouped by length, so that hardly any padding is computed."""

from collections.abc import Sequence

import numpy as np


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
