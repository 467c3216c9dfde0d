"""The gradient of word embeddings, made once for a batch in place of once for each forward pass.

A pass reads a few hundred rows of a table of tens of thousands, and torch fills a gradient of the
whole table for each. Here each pass gives the gradient of the rows that it read, and their sum is
added to the table's once. All sums are taken in the order in which torch takes them, so gradients
are the same to the last bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import Embedding, functional


class RowGradients:
    """Gradients of rows of a table that were read since the last ``add``."""

    def __init__(self, table: Embedding) -> None:
        """Collects those of ``table``, once its ``forward`` is ``read``."""
        self.table = table
        self.read_rows: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Ids, and the gradient of their rows, in the order of the backward pass."""
        self._whole: torch.Tensor | None = None
        self._filled: list[torch.Tensor] = []
        """Rows of the whole gradient that may not be zero."""

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows of the table: what its ``forward`` gives."""
        if not torch.is_grad_enabled():
            return functional.embedding(ids, self.table.weight, self.table.padding_idx)
        rows: torch.Tensor = _Lookup.apply(self.table.weight, ids, self)  # type: ignore[no-untyped-call]
        return rows

    def add(self) -> None:
        """Adds what a backward pass gave to the table's gradient."""
        if not self.read_rows:
            return
        weight, padding = self.table.weight, self.table.padding_idx
        every = torch.cat([ids.reshape(-1) for ids, _ in self.read_rows])
        rows, places = torch.unique(every, return_inverse=True)
        # a row of padding learns nothing
        skipped = -1 if padding is None else int((rows < padding).sum())
        if padding is not None and (skipped == len(rows) or rows[skipped] != padding):
            skipped = -1
        total = torch.zeros(len(rows), weight.shape[1], dtype=weight.dtype)
        sizes = [ids.numel() for ids, _ in self.read_rows]
        for (ids, gradient), place in zip(self.read_rows, places.split(sizes), strict=True):
            total += torch.ops.aten.embedding_dense_backward(
                gradient, place.view_as(ids), len(rows), skipped, False
            )
        self.read_rows.clear()
        if weight.grad is None:
            weight.grad = self._zeros()
        weight.grad[rows] += total
        self._filled.append(rows)

    def _zeros(self) -> torch.Tensor:
        """A gradient of zeros: always the same memory, as fresh memory costs more than its use."""
        if self._whole is None:
            self._whole = torch.zeros_like(self.table.weight)
        for rows in self._filled:
            self._whole[rows] = 0.0
        self._filled.clear()
        return self._whole


class _Lookup(torch.autograd.Function):
    """A table's rows; backward, their gradients are kept for ``RowGradients.add``."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, ids: torch.Tensor, kept: RowGradients
    ) -> torch.Tensor:
        ctx.save_for_backward(ids)
        ctx.kept = kept
        return functional.embedding(ids, weight, kept.table.padding_idx)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        ctx.kept.read_rows.append((ids, gradients[0]))
        return None, None, None


@contextmanager
def row_gradients(model: Any) -> Iterator[RowGradients | None]:
    """Collects gradients of a model's word embeddings by rows, while it is trained on a processor.

    On a GPU a whole gradient costs little, and finding the rows would wait for the device. None
    there, and for a table that another part of the model uses, too.
    """
    table = _plain_table(model)
    if table is None:
        yield None
        return
    kept = RowGradients(table)
    table.forward = kept.read  # type: ignore[method-assign, assignment]
    try:
        yield kept
    finally:
        del table.forward


def _plain_table(model: Any) -> Embedding | None:
    """A model's word embeddings on a processor; None where they are no plain table of its own."""
    try:
        table = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        # an architecture that does not say which they are
        return None
    if type(table) is not Embedding or table.weight.device.type != "cpu":
        return None
    unusual = table.sparse or table.scale_grad_by_freq or table.max_norm is not None
    users = [p for _, p in model.named_parameters(remove_duplicate=False) if p is table.weight]
    return None if unusual or len(users) > 1 else table
