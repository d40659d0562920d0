"""Fused versions of `sparsectr.kernels.rows`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_write
from sparsectr.kernels.cpu.machine.segments import axpy, dot
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.cpu.optimizers.lookups import (
    AHEAD,
    add_up,
    flatten,
    gradient_of,
    sum_rows,
    update_parts,
)
from sparsectr.kernels.rows import AdagradTable, AdamTable

# Bias corrections of so many first steps of a row are computed once per call.
FIRST_STEPS = 512


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


@cache
def _first_corrections(betas: tuple[float, float]) -> Any:
    """Return ``1 - beta^t`` of the first steps t."""
    counts = np.arange(1, FIRST_STEPS + 1)
    return -np.expm1(np.outer(counts, np.log(betas))).astype(np.float32)


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
