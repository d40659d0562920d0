"""Fused versions of `sparsectr.kernels.rows`.

Tables come as flat arrays with the distance between rows, so that some columns of a wider table
are as good as a whole one.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.jit import compiled, prefetch
from sparsectr.kernels.compiled.pieces import add_piece
from sparsectr.kernels.compiled.vectors import SHORT_WIDTH
from sparsectr.kernels.threads import run_parts

# Look-ups of a part: fewer are not worth a second thread, and the sums of a part are to stay in
# the cache.
PART_LOOKUPS = 4096
PARTS_PER_THREAD = 4
# Look-ups from which the parts are cut.
SAMPLE = 1024
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
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
    lookup_decay: Tensor | None = None,
    n_rows: int = 1,
) -> None:
    """Take one Adam step on the rows of a batch; see the reference."""
    if not len(rows):
        return
    values = values if values.stride(1) == 1 else values.contiguous()
    n_parts = min(PARTS_PER_THREAD * torch.get_num_threads(), 1 + len(rows) // PART_LOOKUPS)
    flat = [_flatten(tensor) for tensor in (table, exp_avg, exp_avg_sq, values)]
    numbers = rows.numpy()
    run_parts(
        _adam_part,
        n_parts,
        _part_ends(numbers, n_parts),
        *(flat[0] + flat[1] + flat[2] + flat[3]),
        table.shape[1],
        step.numpy(),
        numbers,
        (table.new_empty(0) if lookup_decay is None else lookup_decay).numpy(),
        _first_corrections(betas),
        # 1 - beta needs its own rounding: that of 0.999 is 1e-5 of 0.001.
        np.array([lr, 1 - betas[0], 1 - betas[1], eps, weight_decay, 1 / n_rows], np.float32),
        np.log(betas),
    )


@cache
def _first_corrections(betas: tuple[float, float]) -> Any:
    """Return ``1 - beta^t`` of the first steps t."""
    counts = np.arange(1, FIRST_STEPS + 1)
    return -np.expm1(np.outer(counts, np.log(betas))).astype(np.float32)


def _part_ends(rows: Any, n_parts: int) -> Any:
    """Cut the table into parts with about equally many look-ups; return where they begin and end.

    A row is in one part, so parts write to different memory, and its look-ups are summed in
    their order whatever the parts are.
    """
    # Fields alternate among the look-ups: a sample in even steps could miss most of them.
    places = np.arange(SAMPLE) * GOLDEN_RATIO % 1 * len(rows)
    sample = np.sort(rows[places.astype(np.int64)])
    inner = sample[len(sample) * np.arange(1, n_parts) // n_parts]
    return np.concatenate([[0], inner, [np.iinfo(np.int64).max]])


def _flatten(table: Tensor) -> tuple[Any, int]:
    """Return the memory of a table, from its first number on, and the distance of its rows."""
    length = (table.shape[0] - 1) * table.stride(0) + table.shape[1]
    flat = table.detach().as_strided((max(length, 0),), (1,))
    return flat.numpy(), table.stride(0)


@compiled
def _adam_part(
    part: int,
    ends: Any,
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
    lookup_decay: Any,
    corrections: Any,
    options: Any,
    log_betas: Any,
) -> None:
    """Update the rows of one part of the table."""
    lookups = np.empty(len(rows), np.int32)
    lookups = lookups[: _find_part(rows, ends[part], ends[part + 1], lookups)]
    distinct = np.empty(len(lookups), np.int64)
    n_updates = np.empty(len(lookups), np.int32)
    n_lookups = np.zeros(len(lookups), np.int32)
    sums = np.zeros(len(lookups) * dim, table.dtype)
    n_distinct = _sum_part(
        lookups, rows, values, values_stride, dim, step, distinct, n_updates, n_lookups, sums
    )
    lr, share_1, share_2, eps, weight_decay, row_share = options
    one = np.float32(1)
    whole = dim - dim % SHORT_WIDTH
    for slot in range(n_distinct):
        if slot + AHEAD < n_distinct:
            coming = distinct[slot + AHEAD]
            prefetch(table, coming * table_stride)
            prefetch(mean, coming * mean_stride)
            prefetch(square, coming * square_stride)
        row = distinct[slot]
        count = n_updates[slot] + 1
        step[row] = count
        if count <= len(corrections):
            mean_weight = corrections[count - 1, 0]
            square_weight = corrections[count - 1, 1]
        else:
            mean_weight = np.float32(-math.expm1(count * log_betas[0]))
            square_weight = np.float32(-math.expm1(count * log_betas[1]))
        rate = lr / mean_weight
        scale = one / np.sqrt(square_weight)
        decay = weight_decay
        if len(lookup_decay) > 0:
            decay += np.float32(n_lookups[slot]) * lookup_decay[row] * row_share
        g, w, m, s = slot * dim, row * table_stride, row * mean_stride, row * square_stride
        numbers = decay, share_1, share_2, rate, scale, eps
        for d in range(0, whole, SHORT_WIDTH):
            _adam_vector(sums, g + d, table, w + d, mean, m + d, square, s + d, numbers)
        for d in range(whole, dim):
            gradient = sums[g + d] + decay * table[w + d]
            first = mean[m + d] + share_1 * (gradient - mean[m + d])
            second = square[s + d] + share_2 * (gradient * gradient - square[s + d])
            mean[m + d] = first
            square[s + d] = second
            table[w + d] -= rate * first / (np.sqrt(second) * scale + eps)


@compiled
def _find_part(rows: Any, first: int, end: int, lookups: Any) -> int:
    """List the look-ups of the rows from first to end; return their number."""
    n = 0
    for k in range(len(rows)):
        # Always written, kept by chance: a branch would be guessed wrong every other time.
        lookups[n] = k
        n += int(rows[k] >= first) & int(rows[k] < end)
    return n


@compiled
def _sum_part(
    lookups: Any,
    rows: Any,
    values: Any,
    values_stride: int,
    dim: int,
    step: Any,
    distinct: Any,
    n_updates: Any,
    n_lookups: Any,
    sums: Any,
) -> int:
    """Sum the values of equal rows of some look-ups; return the number of distinct rows.

    Needs neither sorting nor memory of the size of the table: until a row is updated, its own
    counter of steps holds, below zero, where its sum is kept.
    """
    n_distinct = 0
    for i in range(len(lookups)):
        if i + AHEAD < len(lookups):
            coming = lookups[i + AHEAD]
            prefetch(step, rows[coming])
            prefetch(values, coming * values_stride)
        row = rows[lookups[i]]
        slot = -1 - step[row]
        if slot < 0:
            slot = n_distinct
            distinct[slot] = row
            n_updates[slot] = step[row]
            step[row] = -1 - slot
            n_distinct += 1
        n_lookups[slot] += 1
        add_piece(values, lookups[i] * values_stride, sums, slot * dim, dim)
    return n_distinct


# The innermost loop --------------------------------------------------------------------------


def _generate_adam(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write one step of Adam on 8 numbers of a row."""
    sums, table, mean, square = vectors.open_flat(
        context, builder, signature, arguments, 0, 2, 4, 6
    )
    g, w, m, s = (arguments[k] for k in (1, 3, 5, 7))
    decay, share_1, share_2, rate, scale, eps = (
        vectors.repeat(builder, number, vectors.SHORT_VECTOR)
        for number in cgutils.unpack_tuple(builder, arguments[8])
    )
    weight = vectors.load_flat(builder, table, w)
    gradient = vectors.load_flat(builder, sums, g)
    gradient = vectors.multiply_add(builder, decay, weight, gradient)
    first = vectors.load_flat(builder, mean, m)
    first = vectors.multiply_add(builder, share_1, builder.fsub(gradient, first), first)
    second = vectors.load_flat(builder, square, s)
    change = builder.fsub(vectors.multiply(builder, gradient, gradient), second)
    second = vectors.multiply_add(builder, share_2, change, second)
    root = vectors.square_root(builder, second)
    step = builder.fdiv(
        vectors.multiply(builder, rate, first), vectors.multiply_add(builder, root, scale, eps)
    )
    vectors.store_flat(builder, first, mean, m)
    vectors.store_flat(builder, second, square, s)
    vectors.store_flat(builder, builder.fsub(weight, step), table, w)
    return context.get_dummy_value()


def _adam(
    _: Any,
    sums: Any,
    g: Any,
    table: Any,
    w: Any,
    mean: Any,
    m: Any,
    square: Any,
    s: Any,
    numbers: Any,
) -> Any:
    place = types.intp
    signature = types.void(sums, place, table, place, mean, place, square, place, numbers)
    return signature, _generate_adam


_adam_vector: Any = intrinsic(_adam)
