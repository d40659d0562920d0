"""Fused versions of `sparsectr.kernels.rows`.

Tables come as flat arrays with the distance between rows, so that some columns of a wider table
are as good as a whole one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.compiled.jit import compiled, prefetch
from sparsectr.kernels.threads import run_parts

# Fewer look-ups than this are not worth a second thread.
LOOKUPS_PER_THREAD = 4096
# Bias corrections of so many first steps of a row are computed once per call.
FIRST_STEPS = 512
# Memory is asked for so many rows before it is needed.
AHEAD = 16


def adam_rows_(
    table: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    step: Tensor,
    rows: Tensor,
    values: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Take one Adam step on the rows of a batch; see the reference."""
    values = values if values.stride(1) == 1 else values.contiguous()
    n_threads = min(torch.get_num_threads(), 1 + len(rows) // LOOKUPS_PER_THREAD)
    n_parts = 1 << (n_threads - 1).bit_length()
    flat = [_flatten(tensor) for tensor in (table, exp_avg, exp_avg_sq, values)]
    counts = np.arange(1, FIRST_STEPS + 1)
    corrections = -np.expm1(np.outer(counts, np.log(betas)))
    run_parts(
        _adam_part,
        n_parts,
        n_parts,
        *(flat[0] + flat[1] + flat[2] + flat[3]),
        table.shape[1],
        step.numpy(),
        rows.numpy(),
        corrections.astype(np.float32),
        # 1 - beta needs its own rounding: that of 0.999 is 1e-5 of 0.001.
        np.array([lr, 1 - betas[0], 1 - betas[1], eps, weight_decay], dtype=np.float32),
        np.log(betas),
    )


def _flatten(table: Tensor) -> tuple[Any, int]:
    """Return the memory of a table, from its first number on, and the distance of its rows."""
    length = (table.shape[0] - 1) * table.stride(0) + table.shape[1]
    flat = table.detach().as_strided((max(length, 0),), (1,))
    return flat.numpy(), table.stride(0)


@compiled
def _adam_part(
    part: int,
    n_parts: int,
    table: Any,
    table_stride: int,
    mean: Any,
    mean_stride: int,
    square: Any,
    square_stride: int,
    values: Any,
    values_stride: int,
    dim: int,
    step: Any,
    rows: Any,
    corrections: Any,
    options: Any,
    log_betas: Any,
) -> None:
    """Update the rows that belong to one of ``n_parts`` parts."""
    distinct = np.empty(len(rows), np.int64)
    counts = np.empty(len(rows), np.int32)
    sums = np.empty(len(rows) * dim, table.dtype)
    n_distinct = _sum_part(
        part, n_parts, rows, values, values_stride, dim, step, distinct, counts, sums
    )
    lr, share_1, share_2, eps, weight_decay = options
    one = np.float32(1)
    for slot in range(n_distinct):
        if slot + AHEAD < n_distinct:
            coming = distinct[slot + AHEAD]
            prefetch(table, coming * table_stride)
            prefetch(mean, coming * mean_stride)
            prefetch(square, coming * square_stride)
        row = distinct[slot]
        count = counts[slot] + 1
        step[row] = count
        if count <= len(corrections):
            mean_weight = corrections[count - 1, 0]
            square_weight = corrections[count - 1, 1]
        else:
            mean_weight = np.float32(-math.expm1(count * log_betas[0]))
            square_weight = np.float32(-math.expm1(count * log_betas[1]))
        rate = lr / mean_weight
        scale = one / np.sqrt(square_weight)
        w, m, s = row * table_stride, row * mean_stride, row * square_stride
        for d in range(dim):
            gradient = sums[slot * dim + d] + weight_decay * table[w + d]
            first = mean[m + d] + share_1 * (gradient - mean[m + d])
            second = square[s + d] + share_2 * (gradient * gradient - square[s + d])
            mean[m + d] = first
            square[s + d] = second
            table[w + d] -= rate * first / (np.sqrt(second) * scale + eps)


@compiled
def _sum_part(
    part: int,
    n_parts: int,
    rows: Any,
    values: Any,
    values_stride: int,
    dim: int,
    step: Any,
    distinct: Any,
    counts: Any,
    sums: Any,
) -> int:
    """Sum the values of equal rows of a part; return the number of distinct ones.

    Needs neither sorting nor memory of the size of the table: until a row is updated, its own
    counter of steps holds, below zero, where its sum is kept.
    """
    n_distinct = 0
    for k in range(len(rows)):
        if k + AHEAD < len(rows):
            prefetch(step, rows[k + AHEAD])
        row = rows[k]
        # Neighbours share a cache line of counters, so they stay together. n_parts is 2^i.
        if (row >> 4) & (n_parts - 1) != part:
            continue
        slot = -1 - step[row]
        value = k * values_stride
        if slot >= 0:
            for d in range(dim):
                sums[slot * dim + d] += values[value + d]
        else:
            distinct[n_distinct] = row
            counts[n_distinct] = step[row]
            step[row] = -1 - n_distinct
            for d in range(dim):
                sums[n_distinct * dim + d] = values[value + d]
            n_distinct += 1
    return n_distinct
