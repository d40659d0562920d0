"""Power sums of a block and the polynomials they make, within compiled functions.

A block has a row for every field and component, and a column for every coordinate of every batch
row, see `sparsectr.kernels.cpu.profit.symmetric`. All of this is computed on one vector of columns
at a time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.segments import (
    add_product_segment,
    add_segment,
    copy_segment,
    fill_segment,
)
from sparsectr.kernels.cpu.machine.vectors import PAIR_VECTOR, PAIR_WIDTH


@compiled
def convert_power_sums(rows: Any, total: Any, first: int, step: int, order: int) -> None:
    """Turn the power sums p_1, p_2, ... of a component into polynomials e_1, e_2, ...

    p_j is in row ``first + (j - 1) * step``, and e_{order - j} then; e_order is added to the total,
    less the term of p_order, which is no product of matrices: see `start_total`.
    """
    if order == 2:
        _turn_two(rows, total, first, step)
    elif order == 3:
        _turn_three(rows, total, first, step)
    elif order == 4:
        _turn_four(rows, total, first, step)
    else:
        _turn_any(rows, total, first, step, order)


@compiled
def _turn_any(rows: Any, total: Any, first: int, step: int, order: int) -> None:
    """Do it pass by pass over all columns."""
    n = len(total)
    polynomials, one = np.empty((order + 1, n), np.float32), np.float32(1)
    fill_segment(polynomials[0], 0, one, n)
    for k in range(1, order + 1):
        fill_segment(polynomials[k], 0, np.float32(0), n)
        for i in range(1, min(k, order - 1) + 1):
            factor = (one if i % 2 else -one) / np.float32(k)
            lower, power_sum = polynomials[k - i], rows[first + (i - 1) * step]
            add_product_segment(lower, 0, power_sum, 0, factor, polynomials[k], 0, n)
    for j in range(1, order):
        copy_segment(polynomials[order - j], 0, rows[first + (j - 1) * step], 0, n)
    add_segment(polynomials[order], 0, total, 0, n)


def _generate_start(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Store ``sum_o +-p_o / o`` of a vector of columns, with p_o of all components.

    The powers of x that products need are stored behind x, F' rows each.
    """
    rows, shares = vectors.open_arrays(context, builder, signature, arguments, 2)
    (total,) = vectors.open_flat(context, builder, signature, arguments, 2)
    column = arguments[3]
    n_orders, n_fields = (vectors.length(builder, shares, axis) for axis in (0, 1))
    zero, one = column.type(0), column.type(1)
    # Two sums, so that one does not wait for the other.
    linear, others = vectors.zero_variables(builder, 2, PAIR_VECTOR)
    last = builder.sub(n_orders, one)
    with cgutils.for_range(builder, n_fields) as loop:
        x = vectors.load(builder, rows, loop.index, column, PAIR_VECTOR)
        number = vectors.load_repeated(builder, shares, zero, loop.index, PAIR_VECTOR)
        grown = vectors.multiply_add(builder, number, x, builder.load(linear))
        builder.store(grown, linear)
        (power,) = vectors.variables(builder, [x])
        with cgutils.for_range_slice(builder, one, n_orders, one, one.type) as (k, _):
            raised = vectors.multiply(builder, builder.load(power), x)
            builder.store(raised, power)
            # The shares power is needed here only.
            with builder.if_then(builder.icmp_signed("<", k, last)):
                place = builder.add(builder.mul(n_fields, k), loop.index)
                vectors.store(builder, raised, rows, place, column)
            number = vectors.load_repeated(builder, shares, k, loop.index, PAIR_VECTOR)
            grown = vectors.multiply_add(builder, number, raised, builder.load(others))
            builder.store(grown, others)
    vectors.store_flat(
        builder, builder.fadd(builder.load(linear), builder.load(others)), total, column
    )
    return context.get_dummy_value()


def _generate_newton(order: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write `convert_power_sums` of an order: ``k e_k = sum_{i=1..k} (-1)^(i-1) e_{k-i} p_i``."""
    (rows,) = vectors.open_arrays(context, builder, signature, arguments, 1)
    (total,) = vectors.open_flat(context, builder, signature, arguments, 1)
    first, step = arguments[2:]
    places = {j: builder.add(first, builder.mul(step, step.type(j - 1))) for j in range(1, order)}
    n_columns, width = vectors.length(builder, total, 0), first.type(PAIR_WIDTH)
    with cgutils.for_range_slice(builder, first.type(0), n_columns, width, width.type) as (c, _):
        sums = {j: vectors.load(builder, rows, row, c, PAIR_VECTOR) for j, row in places.items()}
        polynomials = {1: sums[1]}
        for k in range(2, order + 1):
            value = vectors.multiply(builder, polynomials[k - 1], sums[1])
            for i in range(2, k):
                add = vectors.multiply_add if i % 2 else vectors.multiply_subtract
                value = add(builder, polynomials[k - i], sums[i], value)
            if k < order:
                value = (builder.fadd if k % 2 else builder.fsub)(value, sums[k])
            share = ir.Constant(PAIR_VECTOR, [1 / k] * PAIR_WIDTH)
            polynomials[k] = vectors.multiply(builder, value, share)
        for j, row in places.items():
            vectors.store(builder, polynomials[order - j], rows, row, c)
        before = vectors.load_flat(builder, total, c, PAIR_VECTOR)
        vectors.store_flat(builder, builder.fadd(before, polynomials[order]), total, c)
    return context.get_dummy_value()


def _generate_dot_of_three(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return the sum of direction[c] * rows[i, c] * rows[j, c]."""
    (direction,) = vectors.open_flat(context, builder, signature, arguments, 0)
    (rows,) = vectors.open_flat(context, builder, signature, arguments, 1)
    i, j = arguments[2:]
    (total,) = vectors.zero_variables(builder, 1, PAIR_VECTOR)
    n_columns, step = vectors.length(builder, direction, 0), i.type(PAIR_WIDTH)
    with cgutils.for_range_slice(builder, i.type(0), n_columns, step, i.type) as (column, _):
        of_sums = vectors.load_flat(builder, direction, column, PAIR_VECTOR)
        a = vectors.load(builder, rows, i, column, PAIR_VECTOR)
        b = vectors.load(builder, rows, j, column, PAIR_VECTOR)
        product = vectors.multiply(builder, of_sums, a)
        builder.store(vectors.multiply_add(builder, product, b, builder.load(total)), total)
    return vectors.total(builder, builder.load(total))


def _start(_: Any, rows: Any, shares: Any, total: Any, column: Any) -> Any:
    return types.void(rows, shares, total, types.intp), _generate_start


def _dot(_: Any, direction: Any, rows: Any, i: Any, j: Any) -> Any:
    return types.float32(direction, rows, types.intp, types.intp), _generate_dot_of_three


def _make_newton(order: int) -> Any:
    def write(_: Any, rows: Any, total: Any, first: Any, step: Any) -> Any:
        return types.void(rows, total, types.intp, types.intp), partial(_generate_newton, order)

    return intrinsic(write)


start_total: Any = intrinsic(_start)
dot_of_three: Any = intrinsic(_dot)
_turn_two, _turn_three, _turn_four = (_make_newton(order) for order in (2, 3, 4))
