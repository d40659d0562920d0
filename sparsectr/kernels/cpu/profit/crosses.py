"""Fused version of `sparsectr.nn.cross_products.WeightedCrosses.sum`, and prediction with it.

A block of R batch rows lies in the cache as x[f, r D + d], so that a cross is a product of rows
of x. All crosses are taken for 32 columns before the next 32: products and their sum then stay in
registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.blocks import (
    STEP_COLUMNS,
    clear,
    count_product_columns,
    count_product_rows,
    empty_block,
    load,
    look_up,
    prefetch_both,
    store,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.segments import copy_segment, dot, empty_aligned, fill_segment
from sparsectr.kernels.nets import KeptCrossesNet, ListedCrosses
from sparsectr.kernels.threads import run_parts

# Batch rows of a part, over which gradients of weights are summed first.
PART_ROWS = 512
# All crosses are taken for the columns of a step: to find the fields of a cross takes as long as to
# multiply vectors of 16 of them.
STEP = ir.VectorType(ir.FloatType(), STEP_COLUMNS)


def sum_crosses(embeddings: Tensor, weights: Tensor, products: ListedCrosses) -> Tensor:
    """Sum the weighted products of crosses; see the reference."""
    return _SumCrosses.apply(embeddings, weights, *products.listed)  # type: ignore[no-any-return,no-untyped-call]


def linear_logits(net: KeptCrossesNet, codes: Tensor) -> Any:
    """Return the logits of codes.

    Parameters
    ----------
    net : KeptCrossesNet
        With K logits.
    codes : Tensor of shape (B, F)

    Returns
    -------
    ndarray of shape (B, K), float32
    """
    arrays = net.views.arrays()
    bias = arrays[-1]
    logits = np.empty((len(codes), len(bias)), np.float32)
    run_parts(
        _logits_part,
        -(-len(codes) // PART_ROWS),
        as_array(codes),
        *arrays,
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
        of_embeddings = embeddings.new_empty(embeddings.shape)
        of_weights = start_of_weights(n_parts, weights)
        arrays = [as_array(t) for t in (*saved, gradients[0])]
        run_parts(_backward_part, n_parts, *arrays, of_embeddings.numpy(), of_weights)
        return of_embeddings, total_of_weights(of_weights), None, None


def start_of_weights(n_parts: int, weights: Any) -> Any:
    """Return zeros for the gradients of all weights: 32 sums per weight and part."""
    return np.zeros((n_parts, len(weights), STEP_COLUMNS), np.float32)


def total_of_weights(of_weights: Any) -> Tensor:
    """Add the sums up to the gradient of the weights."""
    return torch.from_numpy(of_weights.sum((0, 2)))


@compiled
def _forward_part(
    part: int, embeddings: Any, weights: Any, fields: Any, starts: Any, sums: Any
) -> None:
    """Compute the sums of the rows of one part."""
    n_fields, dim = embeddings.shape[1:]
    n_block_rows, flat = count_product_rows(dim), sums.ravel()
    n_columns = count_product_columns(n_block_rows, dim)
    x, total = empty_block(n_fields, n_columns), empty_aligned(n_columns)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x)
        sum_products(x, weights, fields, starts, total)
        copy_segment(total, 0, flat, first * dim, (last - first) * dim)


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
    n_fields, dim, n_outputs = codes.shape[1], table.shape[1], len(bias)
    first_row, stop = part * PART_ROWS, min(len(codes), (part + 1) * PART_ROWS)
    n_block_rows = min(count_product_rows(dim), stop - first_row)
    n_columns = count_product_columns(n_block_rows, dim)
    x, total = empty_block(n_fields, n_columns), empty_aligned(n_columns)
    of_readout, of_values = readout.ravel(), linear.ravel()
    for first in range(first_row, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        prefetch_both(codes[last : last + n_block_rows], offsets, table, of_values, n_outputs)
        look_up(codes[first:last], offsets, table, dim, x)
        sum_products(x, weights, fields, starts, total)
        for r in range(last - first):
            for k in range(n_outputs):
                logit = bias[k] + dot(of_readout, k * dim, total, r * dim, dim)
                for f in range(n_fields):
                    logit += of_values[(codes[first + r, f] + offsets[f]) * n_outputs + k]
                logits[first + r, k] = logit


@compiled
def sum_products(x: Any, weights: Any, fields: Any, starts: Any, total: Any) -> None:
    """Store the weighted sum of the products of rows of x, (C,)."""
    for column in range(0, len(total), STEP_COLUMNS):
        _sum_products(x, weights, fields, starts, total, column)


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
    n_block_rows, flat = count_product_rows(dim), gradient.ravel()
    n_columns, left = count_product_columns(n_block_rows, dim), make_left(starts)
    x, of_x = empty_block(n_fields, n_columns), empty_block(n_fields, n_columns)
    direction = empty_aligned(n_columns)
    fill_segment(direction, 0, np.float32(0), n_columns)
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        load(embeddings[first:last], dim, x)
        # Columns of rows that are missing in the last block keep a direction, of zeros in x.
        copy_segment(flat, first * dim, direction, 0, (last - first) * dim)
        clear(of_x)
        products_backward(x, weights, fields, starts, direction, left, of_x, of_weights[part])
        store(of_x, dim, of_embeddings[first:last])


@compiled
def make_left(starts: Any) -> Any:
    """Return scratch for the direction times the first k factors, for every k below the order."""
    longest = 1
    for c in range(len(starts) - 1):
        longest = max(longest, starts[c + 1] - starts[c])
    return empty_aligned(longest * STEP_COLUMNS).reshape(longest, STEP_COLUMNS)


@compiled
def products_backward(
    x: Any,
    weights: Any,
    fields: Any,
    starts: Any,
    direction: Any,
    left: Any,
    of_x: Any,
    of_weights: Any,
) -> None:
    """Add the gradients of all products of a block, those of the weights to 32 sums each."""
    for column in range(0, len(direction), STEP_COLUMNS):
        _descend_products(x, weights, fields, starts, direction, left, of_x, of_weights, column)


# The innermost loops -------------------------------------------------------------------------


def _read(builder: Any, array: Any, place: Any) -> Any:
    """Return one number of an array with one axis."""
    return builder.load(builder.gep(array.data, [place]))


def _generate_sum(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write total = sum_c w_c prod_{m in c} x_m for the columns of a step."""
    x, weights, fields, starts, total = vectors.open_arrays(
        context, builder, signature, arguments, 5
    )
    column = arguments[5]
    one = column.type(1)
    result, product = vectors.zero_variables(builder, 2, STEP)
    with cgutils.for_range(builder, vectors.length(builder, weights, 0)) as cross:
        weight = vectors.repeat(builder, _read(builder, weights, cross.index), STEP)
        builder.store(weight, product)
        first = _read(builder, starts, cross.index)
        end = _read(builder, starts, builder.add(cross.index, one))
        with cgutils.for_range_slice(builder, first, end, one, one.type) as (place, _):
            factor = vectors.load(builder, x, _read(builder, fields, place), column, STEP)
            builder.store(vectors.multiply(builder, builder.load(product), factor), product)
        builder.store(builder.fadd(builder.load(result), builder.load(product)), result)
    vectors.store_flat(builder, builder.load(result), total, column)
    return context.get_dummy_value()


def _generate_descent(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write the gradients of all products for the columns of a step.

    That of a factor is the direction, the factors before it and those behind it. The former are
    kept on the way through the factors, the latter grow on the way back.
    """
    x, weights, fields, starts, direction, left, of_x, of_weights = vectors.open_arrays(
        context, builder, signature, arguments, 8
    )
    column = arguments[8]
    zero, one = column.type(0), column.type(1)
    before, behind = vectors.zero_variables(builder, 2, STEP)
    given = vectors.load_flat(builder, direction, column, STEP)
    with cgutils.for_range(builder, vectors.length(builder, weights, 0)) as cross:
        first = _read(builder, starts, cross.index)
        order = builder.sub(_read(builder, starts, builder.add(cross.index, one)), first)
        builder.store(given, before)
        with cgutils.for_range(builder, order) as factor:
            field = _read(builder, fields, builder.add(first, factor.index))
            product = builder.load(before)
            vectors.store(builder, product, left, factor.index, zero)
            values = vectors.load(builder, x, field, column, STEP)
            builder.store(vectors.multiply(builder, product, values), before)
        total = vectors.load(builder, of_weights, cross.index, zero, STEP)
        total = builder.fadd(total, builder.load(before))
        vectors.store(builder, total, of_weights, cross.index, zero)
        weight = vectors.repeat(builder, _read(builder, weights, cross.index), STEP)
        builder.store(weight, behind)
        with cgutils.for_range(builder, order) as factor:
            place = builder.sub(builder.sub(order, one), factor.index)
            field = _read(builder, fields, builder.add(first, place))
            product = builder.load(behind)
            gradient = vectors.multiply_add(
                builder,
                vectors.load(builder, left, place, zero, STEP),
                product,
                vectors.load(builder, of_x, field, column, STEP),
            )
            vectors.store(builder, gradient, of_x, field, column)
            values = vectors.load(builder, x, field, column, STEP)
            builder.store(vectors.multiply(builder, product, values), behind)
    return context.get_dummy_value()


def _sum(_: Any, x: Any, weights: Any, fields: Any, starts: Any, total: Any, column: Any) -> Any:
    return types.void(x, weights, fields, starts, total, types.intp), _generate_sum


def _descent(
    _: Any,
    x: Any,
    weights: Any,
    fields: Any,
    starts: Any,
    direction: Any,
    left: Any,
    of_x: Any,
    of_weights: Any,
    column: Any,
) -> Any:
    arrays = x, weights, fields, starts, direction, left, of_x, of_weights
    return types.void(*arrays, types.intp), _generate_descent


_sum_products: Any = intrinsic(_sum)
_descend_products: Any = intrinsic(_descent)
