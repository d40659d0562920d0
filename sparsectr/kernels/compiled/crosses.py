"""Fused version of `sparsectr.nn.cross_products.WeightedCrosses.sum`, and prediction with it.

A block of R batch rows lies in the cache as x[f, r D + d], so that a cross is a product of rows
of x, with long inner loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.compiled.arrays import as_array
from sparsectr.kernels.compiled.blocks import load, look_up, store
from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.threads import run_parts

# Columns of a block; batch rows of a part, over which gradients of weights are summed first.
BLOCK_COLUMNS = 256
PART_ROWS = 512


def sum_crosses(embeddings: Tensor, weights: Tensor, fields: Tensor, starts: Tensor) -> Tensor:
    """Sum ``w_c prod_{m in c} e_m`` over the crosses.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    weights : Tensor of shape (N,)
    fields : Tensor of int, shape (sum of orders,)
        Field numbers of all crosses, one cross after the other.
    starts : Tensor of int, shape (N + 1,)
        Where each cross starts in ``fields``, and the end.

    Returns
    -------
    Tensor of shape (B, D)
    """
    return _SumCrosses.apply(embeddings, weights, fields, starts)  # type: ignore[no-any-return,no-untyped-call]


def linear_logits(
    codes: Tensor,
    offsets: Any,
    embeddings: Any,
    linear: Any,
    weights: Any,
    fields: Any,
    starts: Any,
    readout: Any,
    bias: Any,
) -> Any:
    """Compute logits from codes in one pass, every row by itself.

    Parameters
    ----------
    codes : Tensor of shape (B, F)
    offsets : ndarray of shape (F,)
        First row of every field.
    embeddings : ndarray of shape (V, D)
    linear : ndarray of shape (V, K)
        Linear term of every value.
    weights, fields, starts : ndarray
        As in `sum_crosses`.
    readout : ndarray of shape (K, D)
    bias : ndarray of shape (K,)

    Returns
    -------
    ndarray of shape (B, K), float32
    """
    logits = np.empty((len(codes), len(bias)), np.float32)
    run_parts(
        _logits_part,
        -(-len(codes) // PART_ROWS),
        as_array(codes),
        offsets,
        embeddings,
        linear,
        weights,
        fields,
        starts,
        readout,
        bias,
        logits,
    )
    return logits


class _SumCrosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, embeddings: Tensor, weights: Tensor, fields: Tensor, starts: Tensor
    ) -> Tensor:
        ctx.save_for_backward(embeddings, weights, fields, starts)
        sums = embeddings.new_empty(len(embeddings), embeddings.shape[2])
        arrays = [as_array(t) for t in (embeddings, weights, fields, starts)]
        run_parts(_forward_part, -(-len(embeddings) // PART_ROWS), *arrays, sums.numpy())
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # type: ignore[attr-defined]
        embeddings, weights = saved[:2]
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_embeddings = torch.empty(embeddings.shape)
        of_weights = torch.zeros(n_parts, len(weights))
        arrays = [as_array(t) for t in (*saved, gradients[0])]
        run_parts(_backward_part, n_parts, *arrays, of_embeddings.numpy(), of_weights.numpy())
        return of_embeddings, of_weights.sum(0), None, None


@compiled
def count_block_rows(dim: int) -> int:
    return max(1, BLOCK_COLUMNS // dim)


@compiled
def _forward_part(
    part: int, embeddings: Any, weights: Any, fields: Any, starts: Any, sums: Any
) -> None:
    """Compute the sums of the rows of one part."""
    n_fields, dim = embeddings.shape[1:]
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, count_block_rows(dim)):
        last = min(stop, first + count_block_rows(dim))
        x = np.empty((n_fields, (last - first) * dim), np.float32)
        load(embeddings[first:last], dim, x)
        total = sum_products(x, weights, fields, starts)
        for r in range(last - first):
            for d in range(dim):
                sums[first + r, d] = total[r * dim + d]


@compiled
def _logits_part(
    part: int,
    codes: Any,
    offsets: Any,
    table: Any,
    linear: Any,
    weights: Any,
    fields: Any,
    starts: Any,
    readout: Any,
    bias: Any,
    logits: Any,
) -> None:
    """Compute the logits of the rows of one part."""
    n_fields, dim = codes.shape[1], table.shape[1]
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, count_block_rows(dim)):
        last = min(stop, first + count_block_rows(dim))
        x = np.empty((n_fields, (last - first) * dim), np.float32)
        look_up(codes[first:last], offsets, table, dim, x)
        for r in range(last - first):
            for k in range(len(bias)):
                logits[first + r, k] = bias[k]
            for f in range(n_fields):
                row = codes[first + r, f] + offsets[f]
                for k in range(len(bias)):
                    logits[first + r, k] += linear[row, k]
        total = sum_products(x, weights, fields, starts)
        for r in range(last - first):
            for k in range(len(bias)):
                for d in range(dim):
                    logits[first + r, k] += readout[k, d] * total[r * dim + d]


@compiled
def sum_products(x: Any, weights: Any, fields: Any, starts: Any) -> Any:
    """Return the weighted sum of the products of rows of x, (C,)."""
    n_columns = x.shape[1]
    total = np.zeros(n_columns, np.float32)
    product = np.empty(n_columns, np.float32)
    for c in range(len(weights)):
        row = x[fields[starts[c]]]
        for j in range(n_columns):
            product[j] = weights[c] * row[j]
        for place in range(starts[c] + 1, starts[c + 1]):
            row = x[fields[place]]
            for j in range(n_columns):
                product[j] *= row[j]
        for j in range(n_columns):
            total[j] += product[j]
    return total


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    weights: Any,
    fields: Any,
    starts: Any,
    gradient: Any,
    of_embeddings: Any,
    of_weights: Any,
) -> None:
    """Compute the gradients of the rows of one part."""
    n_fields, dim = embeddings.shape[1:]
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, count_block_rows(dim)):
        last = min(stop, first + count_block_rows(dim))
        n_columns = (last - first) * dim
        x = np.empty((n_fields, n_columns), np.float32)
        of_x = np.zeros((n_fields, n_columns), np.float32)
        direction = np.empty(n_columns, np.float32)
        load(embeddings[first:last], dim, x)
        for r in range(last - first):
            for d in range(dim):
                direction[r * dim + d] = gradient[first + r, d]
        products_backward(x, weights, fields, starts, direction, of_x, of_weights[part])
        store(of_x, dim, of_embeddings[first:last])


@compiled
def products_backward(
    x: Any, weights: Any, fields: Any, starts: Any, direction: Any, of_x: Any, of_weights: Any
) -> None:
    """Add the gradients of all products of a block."""
    n_columns = x.shape[1]
    max_order = 0
    for c in range(len(weights)):
        max_order = max(max_order, starts[c + 1] - starts[c])
    # left[k]: direction times the first k factors; right: product of the factors behind k.
    left = np.empty((max_order + 1, n_columns), np.float32)
    right = np.empty(n_columns, np.float32)
    for j in range(n_columns):
        left[0, j] = direction[j]
    for c in range(len(weights)):
        order = starts[c + 1] - starts[c]
        for k in range(order):
            before, after, row = left[k], left[k + 1], x[fields[starts[c] + k]]
            for j in range(n_columns):
                after[j] = before[j] * row[j]
        product = left[order]
        total = np.float32(0)
        for j in range(n_columns):
            total += product[j]
            right[j] = weights[c]
        of_weights[c] += total
        for k in range(order - 1, -1, -1):
            field = fields[starts[c] + k]
            before, row, result = left[k], x[field], of_x[field]
            for j in range(n_columns):
                result[j] += before[j] * right[j]
                right[j] *= row[j]
