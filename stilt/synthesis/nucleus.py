"""Nucleus sampling over rows of probabilities, each row with random numbers of its own."""

from collections.abc import Sequence

import numpy as np
import torch

Streams = Sequence[np.random.Generator]


def in_nucleus(probabilities: torch.Tensor, tokens: torch.Tensor, top_p: float) -> torch.Tensor:
    """Whether tokens belong to the nucleus: the smallest set of likeliest tokens of mass ``top_p``.

    A token does if what is likelier has less mass than that (Holtzman et al. 2020). This needs no
    sorted vocabulary: sorting took half as long as a forward pass of a small model (SmolLM2-135M).

    Args:
        probabilities: (R, V).
        tokens: (R,).
        top_p: above 0, at most 1.

    Returns:
        (R,), bool.
    """
    if top_p >= 1:
        return torch.ones_like(tokens, dtype=torch.bool)
    likelihood = probabilities.gather(1, tokens[:, None])
    above = torch.where(probabilities > likelihood, probabilities, 0.0).sum(-1)
    return above < top_p


def draw(probabilities: torch.Tensor, top_p: float, streams: Streams) -> torch.Tensor:
    """Draws one token a row from the row's nucleus.

    A token is drawn from all, and drawn again from those likelier than it as long as it falls
    outside the nucleus. Every draw is from a set that holds the nucleus, so what is kept at last
    has the nucleus's distribution, and each turn leaves a smaller set.

    Args:
        probabilities: (R, V), each row sums to 1.
        top_p: mass of the nucleus.
        streams: R sources of random numbers.

    Returns:
        (R,), token ids.
    """
    chosen = torch.empty(len(probabilities), dtype=torch.long, device=probabilities.device)
    rows = torch.arange(len(probabilities), device=probabilities.device)
    weights = probabilities
    while True:
        # 64 bits: the sums then hardly depend on the order in which a device adds
        sums = weights.cumsum(-1, dtype=torch.float64)
        random = [streams[row].random() for row in rows.tolist()]
        point = torch.tensor(random, dtype=torch.float64, device=sums.device) * sums[:, -1]
        tokens = torch.searchsorted(sums, point[:, None], right=True).squeeze(1)
        tokens = tokens.clamp_(max=weights.shape[1] - 1)
        kept = in_nucleus(probabilities, tokens, top_p)
        chosen[rows[kept]] = tokens[kept]
        if bool(kept.all()):
            return chosen
        again = ~kept
        rows, probabilities, tokens = rows[again], probabilities[again], tokens[again]
        likelihood = probabilities.gather(1, tokens[:, None])
        weights = torch.where(probabilities > likelihood, probabilities, 0.0)
