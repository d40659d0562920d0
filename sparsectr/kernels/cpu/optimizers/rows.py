"""Fused versions of `sparsectr.kernels.rows`.

Tables come as flat arrays with the distance between rows, so that some columns of a wider table
are as good as a whole one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_read, prefetch_to_write
from sparsectr.kernels.cpu.machine.segments import add_segment, axpy, copy_segment, dot
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.rows import AdagradTable, AdamTable
from sparsectr.kernels.threads import count_threads, run_parts

# Lookups of a part: fewer are not worth a second thread, and the sums of a part are to stay in
# the cache.
PART_LOOKUPS = 4096
PARTS_PER_THREAD = 4
# Where a table that is one part begins and ends.
WHOLE = np.array([0, np.iinfo(np.int64).max])
# Lookups from which the parts are cut.
SAMPLE = 1024
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Bias corrections of so many first steps of a row are computed once per call.
FIRST_STEPS = 512
# Lookups, often of one field, that are passed over together if none of them is of a part.
STRETCH = 256
# Memory is asked for so many rows before it is needed.
AHEAD = 16


def adam_rows_(
    tables: Sequence[AdamTable],
    rows: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one Adam step on the rows of a batch; see the reference."""
    update_parts(
        _adam_part,
        rows,
        tuple(tuple(flatten(tensor) for tensor in table[:3]) for table in tables),
        tuple(table.step.numpy() for table in tables),
        tuple(gradient_of(table.values, table.lookup_decay) for table in tables),
        _first_corrections(betas),
        # 1 - beta needs its own rounding: that of 0.999 is 1e-5 of 0.001.
        np.array([lr, 1 - betas[0], 1 - betas[1], eps, weight_decay, 1 / n_rows], np.float32),
        np.log(betas),
    )


def adagrad_rows_(
    tables: Sequence[AdagradTable],
    rows: Tensor,
    *,
    lr: float,
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one step of row-wise Adagrad on the rows of a batch; see the reference."""
    update_parts(
        _adagrad_part,
        rows,
        tuple(flatten(table.weights) for table in tables),
        tuple(table.square_sum.numpy() for table in tables),
        tuple(gradient_of(table.values, table.lookup_decay) for table in tables),
        np.array([lr, eps, weight_decay, 1 / n_rows], np.float32),
    )


def update_parts(function: Any, rows: Tensor, *arguments: Any) -> None:
    """Call a function for every part of the tables that some lookups touch."""
    numbers = rows.numpy()
    if not len(numbers):
        return
    n_parts = min(PARTS_PER_THREAD * count_threads(), 1 + len(numbers) // PART_LOOKUPS)
    lookups = numbers, *_find_ranges(numbers)
    run_parts(function, n_parts, _part_ends(numbers, n_parts), lookups, *arguments)


def gradient_of(values: Tensor, lookup_decay: Tensor | None) -> Any:
    """Return the gradients of a table's lookups, flat, their length, and the decay per lookup."""
    return (
        *flatten(values if values.stride(1) == 1 else values.contiguous()),
        values.shape[1],
        np.empty(0, np.float32) if lookup_decay is None else lookup_decay.numpy(),
    )


@cache
def _first_corrections(betas: tuple[float, float]) -> Any:
    """Return ``1 - beta^t`` of the first steps t."""
    counts = np.arange(1, FIRST_STEPS + 1)
    return -np.expm1(np.outer(counts, np.log(betas))).astype(np.float32)


def _part_ends(rows: Any, n_parts: int) -> Any:
    """Cut the table into parts with about equally many lookups; return where they begin and end.

    A row is in one part, so parts write to different memory, and its lookups are summed in
    their order whatever the parts are.
    """
    if n_parts == 1:
        return WHOLE
    sample = np.sort(rows.take(_sampled_places(len(rows))))
    inner = sample[len(sample) * np.arange(1, n_parts) // n_parts]
    return np.concatenate([WHOLE[:1], inner, WHOLE[1:]])


@lru_cache(maxsize=8)
def _sampled_places(n_lookups: int) -> Any:
    """Return places in a list of lookups, far enough from each other to meet every field."""
    # Fields alternate among the lookups: a sample in even steps could miss most of them.
    return (np.arange(SAMPLE) * GOLDEN_RATIO % 1 * n_lookups).astype(np.int64)


def flatten(table: Tensor) -> tuple[Any, int]:
    """Return the memory of a table, from its first number on, and the distance of its rows."""
    n_rows, dim = table.shape
    if table.is_contiguous():
        return as_array(table).reshape(-1), dim
    length = (n_rows - 1) * table.stride(0) + dim
    flat = table.detach().as_strided((max(length, 0),), (1,))
    return flat.numpy(), table.stride(0)


@compiled
def _adam_part(
    part: int,
    ends: Any,
    all_lookups: Any,
    tables: Any,
    steps: Any,
    gradients: Any,
    corrections: Any,
    options: Any,
    log_betas: Any,
) -> None:
    """Update the rows of one part of all tables."""
    lookups, slots, distinct, n_lookups, sums = sum_rows(
        all_lookups, ends[part], ends[part + 1], steps[0], 1, gradients[0]
    )
    for t in range(len(tables)):
        if t > 0:
            sums = add_up(lookups, slots, len(distinct), gradients[t])
        _adam(
            distinct,
            n_lookups,
            sums,
            tables[t],
            steps[t],
            gradients[t][3],
            gradients[t][2],
            corrections,
            options,
            log_betas,
        )


@compiled
def _adagrad_part(
    part: int,
    ends: Any,
    all_lookups: Any,
    tables: Any,
    square_sums: Any,
    gradients: Any,
    options: Any,
) -> None:
    """Update the rows of one part of all tables."""
    # A number that is not negative has no sign bit: so does the integer of the same bits.
    counters = square_sums[0].view(np.int32)
    lookups, slots, distinct, n_lookups, sums = sum_rows(
        all_lookups, ends[part], ends[part + 1], counters, 1, gradients[0]
    )
    for t in range(len(tables)):
        if t > 0:
            sums = add_up(lookups, slots, len(distinct), gradients[t])
        decay, dim = gradients[t][3], gradients[t][2]
        _adagrad(distinct, n_lookups, sums, tables[t], square_sums[t], decay, dim, options)


@compiled
def _adam(
    distinct: Any,
    n_lookups: Any,
    sums: Any,
    table: Any,
    step: Any,
    lookup_decay: Any,
    dim: int,
    corrections: Any,
    options: Any,
    log_betas: Any,
) -> None:
    """Take one step on some rows of one table, with the sums of their gradients."""
    (weights, weights_stride), (mean, mean_stride), (square, square_stride) = table
    lr, share_1, share_2, eps, weight_decay, row_share = options
    one = np.float32(1)
    whole = dim - dim % SHORT_WIDTH
    for slot in range(len(distinct)):
        if slot + AHEAD < len(distinct):
            coming = distinct[slot + AHEAD]
            prefetch_to_write(step, coming)
            prefetch_to_write(weights, coming * weights_stride)
            prefetch_to_write(mean, coming * mean_stride)
            prefetch_to_write(square, coming * square_stride)
        row = distinct[slot]
        count = step[row] + 1
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
        g, w, m, s = slot * dim, row * weights_stride, row * mean_stride, row * square_stride
        numbers = decay, share_1, share_2, rate, scale, eps
        for d in range(0, whole, SHORT_WIDTH):
            _adam_vector(sums, g + d, weights, w + d, mean, m + d, square, s + d, numbers)
        for d in range(whole, dim):
            gradient = sums[g + d] + decay * weights[w + d]
            first = mean[m + d] + share_1 * (gradient - mean[m + d])
            second = square[s + d] + share_2 * (gradient * gradient - square[s + d])
            mean[m + d] = first
            square[s + d] = second
            weights[w + d] -= rate * first / (np.sqrt(second) * scale + eps)


@compiled
def _adagrad(
    distinct: Any,
    n_lookups: Any,
    sums: Any,
    table: Any,
    square_sum: Any,
    lookup_decay: Any,
    dim: int,
    options: Any,
) -> None:
    """Take one step on some rows of one table, with the sums of their gradients."""
    weights, stride = table
    lr, eps, weight_decay, row_share = options
    for slot in range(len(distinct)):
        if slot + AHEAD < len(distinct):
            prefetch_to_write(square_sum, distinct[slot + AHEAD])
            prefetch_to_write(weights, distinct[slot + AHEAD] * stride)
        row = distinct[slot]
        decay = weight_decay
        if len(lookup_decay) > 0:
            decay += np.float32(n_lookups[slot]) * lookup_decay[row] * row_share
        g, w = slot * dim, row * stride
        axpy(weights, w, decay, sums, g, dim)
        square_sum[row] += dot(sums, g, sums, g, dim) / np.float32(dim)
        axpy(sums, g, -lr / (np.sqrt(square_sum[row]) + eps), weights, w, dim)


@compiled
def sum_rows(
    all_lookups: Any, first: int, end: int, counters: Any, stride: int, gradients: Any
) -> Any:
    """Find the lookups of the rows from first to end, and sum the gradients of equal ones.

    Needs neither sorting nor memory of the size of the table: for the time being a row's own
    counter, ``counters[row * stride]``, which is never negative, holds its number among the
    distinct rows, below zero.

    Returns
    -------
    lookups, slots : ndarray of shape (n,), int32
        Lookups, and which of the distinct rows each of them is.
    distinct, n_lookups : ndarray of shape (m,)
        Distinct rows, and how often each is looked up.
    sums : ndarray
        Summed gradients, one distinct row after the other; there is more scratch than they take.
    """
    rows, lowest, highest = all_lookups
    values, values_stride, dim, _ = gradients
    lookups = _find_lookups(rows, lowest, highest, first, end)
    n = len(lookups)
    distinct = np.empty(n, np.int64)
    before = np.empty(n, np.int32)
    slots = np.empty(n, np.int32)
    n_lookups = np.empty(n, np.int32)
    sums = np.empty(n * dim, np.float32)
    n_distinct = 0
    for i in range(n):
        if i + AHEAD < n:
            prefetch_to_write(counters, rows[lookups[i + AHEAD]] * stride)
            prefetch_to_read(values, lookups[i + AHEAD] * values_stride)
        row = rows[lookups[i]]
        slot = -1 - counters[row * stride]
        # The bits of NaN may be those of a negative number, which is then no row's number.
        if slot < 0 or slot >= n_distinct or distinct[slot] != row:
            slot = n_distinct
            distinct[slot] = row
            before[slot] = counters[row * stride]
            counters[row * stride] = -1 - slot
            n_distinct += 1
            n_lookups[slot] = 1
            copy_segment(values, lookups[i] * values_stride, sums, slot * dim, dim)
        else:
            n_lookups[slot] += 1
            add_segment(values, lookups[i] * values_stride, sums, slot * dim, dim)
        slots[i] = slot
    for slot in range(n_distinct):
        counters[distinct[slot] * stride] = before[slot]
    return lookups, slots, distinct[:n_distinct], n_lookups[:n_distinct], sums


@compiled
def _find_lookups(rows: Any, lowest: Any, highest: Any, first: int, end: int) -> Any:
    """Return the numbers of the lookups of rows from first to end."""
    lookups = np.empty(len(rows), np.int32)
    n = 0
    for i in range(len(lowest)):
        start = i * STRETCH
        if highest[i] < first or lowest[i] >= end:
            continue
        stretch = rows[start : start + STRETCH]
        if lowest[i] >= first and highest[i] < end:
            for k in range(len(stretch)):
                lookups[n + k] = start + k
            n += len(stretch)
            continue
        for k in range(len(stretch)):
            # Always written, kept by chance: a branch would be guessed wrong every other time.
            lookups[n] = start + k
            n += int(stretch[k] >= first) & int(stretch[k] < end)
    return lookups[:n]


@compiled
def _find_ranges(rows: Any) -> Any:
    """Return the lowest and the highest row of every stretch of lookups."""
    lowest, highest = np.empty((2, -(-len(rows) // STRETCH)), np.int64)
    for i in range(len(lowest)):
        stretch = rows[i * STRETCH : (i + 1) * STRETCH]
        low = high = stretch[0]
        for k in range(len(stretch)):
            low, high = min(low, stretch[k]), max(high, stretch[k])
        lowest[i], highest[i] = low, high
    return lowest, highest


@compiled
def add_up(lookups: Any, slots: Any, n_distinct: int, gradients: Any) -> Any:
    """Return the sums of the gradients of another table that is looked up at the same places."""
    values, stride, dim, _ = gradients
    sums = np.zeros(n_distinct * dim, np.float32)
    for i in range(len(lookups)):
        if i + AHEAD < len(lookups):
            prefetch_to_read(values, lookups[i + AHEAD] * stride)
        add_segment(values, lookups[i] * stride, sums, slots[i] * dim, dim)
    return sums


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


def _adam_signature(
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


_adam_vector: Any = intrinsic(_adam_signature)
