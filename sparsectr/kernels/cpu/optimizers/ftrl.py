"""Fused version of the rows of `sparsectr.kernels.ftrl`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_write
from sparsectr.kernels.cpu.machine.segments import dot
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.cpu.optimizers.lookups import (
    AHEAD,
    flatten,
    gradient_of,
    sum_rows,
    update_parts,
)


def group_ftrl_rows_(
    table: Tensor,
    linear: Tensor,
    accumulator: Tensor,
    rows: Tensor,
    values: Tensor,
    *,
    lr: float,
    beta: float,
    l1: float,
    l2: float,
    gradient_scale: float,
    lookup_decay: Tensor | None = None,
    n_rows: int = 1,
) -> None:
    """Take one group-lasso FTRL step on the rows of a batch; see the reference."""
    threshold = l1 * math.sqrt(table.shape[1])
    options = [1 / lr, beta, threshold, l2, gradient_scale, 1 / n_rows]
    update_parts(
        _ftrl_part,
        rows,
        *(flatten(tensor) for tensor in (table, linear, accumulator)),
        gradient_of(values, lookup_decay),
        np.array(options, np.float32),
    )


@compiled
def _ftrl_part(
    part: int,
    ends: Any,
    all_lookups: Any,
    table: Any,
    linear: Any,
    accumulator: Any,
    gradients: Any,
    options: Any,
) -> None:
    """Update the rows of one part of the table."""
    (weights, w_stride), (z, z_stride), (n, n_stride) = table, linear, accumulator
    inverse_rate, beta, threshold, l2, gradient_scale, row_share = options
    dim, lookup_decay = gradients[2], gradients[3]
    whole = dim - dim % SHORT_WIDTH
    # A number that is not negative has no sign bit: so does the integer of the same bits.
    counters = n.view(np.int32)
    _, _, distinct, n_lookups, sums = sum_rows(
        all_lookups, ends[part], ends[part + 1], counters, n_stride, gradients
    )
    for slot in range(len(distinct)):
        if slot + AHEAD < len(distinct):
            coming = distinct[slot + AHEAD]
            prefetch_to_write(weights, coming * w_stride)
            prefetch_to_write(z, coming * z_stride)
        row = distinct[slot]
        decay = np.float32(0)
        if len(lookup_decay) > 0:
            decay = np.float32(n_lookups[slot]) * lookup_decay[row] * row_share
        g, w, k, a = slot * dim, row * w_stride, row * z_stride, row * n_stride
        numbers = gradient_scale, decay, inverse_rate, beta, l2
        for d in range(0, whole, SHORT_WIDTH):
            _accumulate_vector(sums, g + d, weights, w + d, z, k + d, n, a + d, numbers)
        for d in range(whole, dim):
            gradient = gradient_scale * (sums[g + d] + decay * weights[w + d])
            before = n[a + d]
            after = before + gradient * gradient
            root = np.sqrt(after)
            n[a + d] = after
            z[k + d] += gradient - (root - np.sqrt(before)) * inverse_rate * weights[w + d]
            sums[g + d] = (beta + root) * inverse_rate + l2
        norm = np.sqrt(dot(z, k, z, k, dim))
        share = (threshold - norm) / norm if norm > threshold else np.float32(0)
        for d in range(0, whole, SHORT_WIDTH):
            _shrink_vector(z, k + d, sums, g + d, weights, w + d, share)
        for d in range(whole, dim):
            weights[w + d] = share * z[k + d] / sums[g + d]


# The innermost loops -------------------------------------------------------------------------


def _generate_accumulate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write z and n of 8 numbers; their curvature takes the place of the gradient."""
    sums, table, linear, accumulator = vectors.open_flat(
        context, builder, signature, arguments, 0, 2, 4, 6
    )
    g, w, k, a = (arguments[place] for place in (1, 3, 5, 7))
    scale, decay, inverse_rate, beta, l2 = (
        vectors.repeat(builder, number, vectors.SHORT_VECTOR)
        for number in cgutils.unpack_tuple(builder, arguments[8])
    )
    weight = vectors.load_flat(builder, table, w)
    gradient = vectors.load_flat(builder, sums, g)
    gradient = vectors.multiply(
        builder, scale, vectors.multiply_add(builder, decay, weight, gradient)
    )
    before = vectors.load_flat(builder, accumulator, a)
    after = vectors.multiply_add(builder, gradient, gradient, before)
    root = vectors.square_root(builder, after)
    growth = builder.fsub(root, vectors.square_root(builder, before))
    pull = vectors.multiply(builder, vectors.multiply(builder, growth, inverse_rate), weight)
    z = builder.fadd(vectors.load_flat(builder, linear, k), builder.fsub(gradient, pull))
    curvature = vectors.multiply_add(builder, builder.fadd(beta, root), inverse_rate, l2)
    vectors.store_flat(builder, after, accumulator, a)
    vectors.store_flat(builder, z, linear, k)
    vectors.store_flat(builder, curvature, sums, g)
    return context.get_dummy_value()


def _generate_shrink(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write 8 weights."""
    linear, curvatures, table = vectors.open_flat(context, builder, signature, arguments, 0, 2, 4)
    share = vectors.repeat(builder, arguments[6], vectors.SHORT_VECTOR)
    z = vectors.load_flat(builder, linear, arguments[1])
    curvature = vectors.load_flat(builder, curvatures, arguments[3])
    weight = builder.fdiv(vectors.multiply(builder, share, z), curvature)
    vectors.store_flat(builder, weight, table, arguments[5])
    return context.get_dummy_value()


def _accumulate(
    _: Any,
    sums: Any,
    g: Any,
    table: Any,
    w: Any,
    linear: Any,
    k: Any,
    accumulator: Any,
    a: Any,
    numbers: Any,
) -> Any:
    place = types.intp
    kinds = sums, place, table, place, linear, place, accumulator, place, numbers
    return types.void(*kinds), _generate_accumulate


def _shrink(
    _: Any, linear: Any, k: Any, curvatures: Any, g: Any, table: Any, w: Any, share: Any
) -> Any:
    place = types.intp
    kinds = linear, place, curvatures, place, table, place, types.float32
    return types.void(*kinds), _generate_shrink


_accumulate_vector: Any = intrinsic(_accumulate)
_shrink_vector: Any = intrinsic(_shrink)
