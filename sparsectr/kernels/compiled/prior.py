"""Fused version of `sparsectr.kernels.prior`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.threads import run_parts

# Look-ups of a part; sums are taken per part and then over parts.
PART_LOOKUPS = 16384


def weighted_squares(embeddings: Tensor, shares: Tensor) -> Tensor:
    """Sum the weighted squared norms; see the reference."""
    return _WeightedSquares.apply(embeddings, shares)  # type: ignore[no-any-return,no-untyped-call]


class _WeightedSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, embeddings: Tensor, shares: Tensor) -> Tensor:
        ctx.save_for_backward(embeddings, shares)
        n_parts = -(-shares.numel() // PART_LOOKUPS)
        totals = torch.zeros(n_parts, dtype=torch.float64)
        run_parts(_sum_part, n_parts, *_arrays(embeddings, shares), totals.numpy())
        return totals.sum().float()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        embeddings, shares = ctx.saved_tensors  # type: ignore[attr-defined]
        result = torch.empty(embeddings.shape)
        run_parts(
            _scale_part,
            -(-shares.numel() // PART_LOOKUPS),
            *_arrays(embeddings, shares),
            np.float32(2 * gradients[0].item()),
            result.view(-1, embeddings.shape[-1]).numpy(),
        )
        return result, None


def _arrays(embeddings: Tensor, shares: Tensor) -> tuple[Any, Any]:
    rows = embeddings.detach().reshape(-1, embeddings.shape[-1]).contiguous()
    return rows.numpy(), shares.reshape(-1).contiguous().numpy()


@compiled
def _sum_part(part: int, rows: Any, shares: Any, totals: Any) -> None:
    """Sum share * |row|^2 over the look-ups of a part."""
    total = 0.0
    for k in range(part * PART_LOOKUPS, min(len(rows), (part + 1) * PART_LOOKUPS)):
        square = np.float32(0)
        for d in range(rows.shape[1]):
            square += rows[k, d] * rows[k, d]
        total += shares[k] * square
    totals[part] = total


@compiled
def _scale_part(part: int, rows: Any, shares: Any, factor: Any, result: Any) -> None:
    """Store the gradient, factor * share * row, of the look-ups of a part."""
    for k in range(part * PART_LOOKUPS, min(len(rows), (part + 1) * PART_LOOKUPS)):
        scale = factor * shares[k]
        for d in range(rows.shape[1]):
            result[k, d] = scale * rows[k, d]
