"""One interaction layer with a matrix for every batch row, within compiled functions.

Vectors around W, A = sum_p u_p * (W (v_p * X_0)), are one matrix for every batch row,

    A = M X_0,    M = W * S,    S = sum_p u_p v_p^T,

so that a layer is one product with X_0 and not one for every p, and a product of elements less.
Everything of a batch row stays in the fastest cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled, inlined
from sparsectr.kernels.cpu.machine.matrix import (
    TILE_COLUMNS,
    TILE_ROWS,
    gemm,
    gemm_transposed,
)
from sparsectr.kernels.cpu.machine.segments import add_segment, copy_segment, zeros_aligned
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH

NOTHING = ir.Constant(vectors.SHORT_VECTOR, [0.0] * SHORT_WIDTH)


@compiled
def fill_columns(n: int) -> int:
    """Return a number of columns filled up to whole tiles."""
    return -(-n // TILE_COLUMNS) * TILE_COLUMNS


@compiled
def make_instance_scratch(n_rows: int, height: int, dim: int, n_terms: int) -> Any:
    """Return the memory for ``n_rows`` batch rows; without terms none is needed."""
    if n_terms == 0:
        n_rows = height = 0
    width, length = fill_columns(height), fill_columns(dim)
    return (
        zeros_aligned((n_rows, length, width)),  # transposes of X_0
        zeros_aligned((height, n_terms)),  # u
        zeros_aligned((n_terms, width)),  # v
        zeros_aligned((height, n_terms)),  # gradients of both
        zeros_aligned((n_terms, width)),
        zeros_aligned((height, width)),  # S, then its gradient
        zeros_aligned((height, width)),  # M
        zeros_aligned((height, length)),  # X_0, or the gradient of A, of one row
        zeros_aligned((height, length)),  # A, or the gradient of X_0, of one row
    )


@compiled
def load_instances(x0: Any, n_rows: int, n: int, dim: int, scratch: Any) -> None:
    """Keep the transposes of the batch rows of a block, for the way back."""
    turned = scratch[0]
    for r in range(n_rows):
        for d in range(dim):
            for i in range(n):
                turned[r, d, i] = x0[i, r * dim + d]


@compiled
def instance_factor(
    weight: Any, x0: Any, left: Any, right: Any, n: int, dim: int, scratch: Any, factor: Any
) -> None:
    """Compute A.

    weight (height, width), W filled up with zeros; left, right (R, P n), u_p and v_p one after
    the other.
    """
    u, v, sums = scratch[1], scratch[2], scratch[5]
    matrix, row, product = scratch[6], scratch[7], scratch[8]
    source, target, of_row, of_product = x0.ravel(), factor.ravel(), row.ravel(), product.ravel()
    for r in range(len(left)):
        _take(left, right, r, n, u, v)
        for i in range(0, len(u), TILE_ROWS):
            _mix_tile(weight, u, v, sums, matrix, i)
        for i in range(n):
            copy_segment(source, i * x0.shape[1] + r * dim, of_row, i * row.shape[1], dim)
        gemm(matrix, row, product)
        for i in range(n):
            place = i * factor.shape[1] + r * dim
            copy_segment(of_product, i * row.shape[1], target, place, dim)


@compiled
def instance_backward(
    inputs: Any,
    n: int,
    dim: int,
    scratch: Any,
    of_weight: Any,
    of_x0: Any,
    of_left: Any,
    of_right: Any,
) -> None:
    """Compute the gradients of W, X_0, u and v from that of A; the first two are added up."""
    weight, left, right, of_factor = inputs
    u, v, sums = scratch[1], scratch[2], scratch[5]
    matrix, row, product = scratch[6], scratch[7], scratch[8]
    of_u, of_v = scratch[3], scratch[4]
    source, target, of_row, of_product = (
        of_factor.ravel(),
        of_x0.ravel(),
        row.ravel(),
        product.ravel(),
    )
    for r in range(len(left)):
        _take(left, right, r, n, u, v)
        for i in range(0, len(u), TILE_ROWS):
            _mix_tile(weight, u, v, sums, matrix, i)
        for i in range(n):
            copy_segment(source, i * of_factor.shape[1] + r * dim, of_row, i * row.shape[1], dim)
        gemm_transposed(matrix, row, product)
        for i in range(n):
            place = i * of_x0.shape[1] + r * dim
            add_segment(of_product, i * row.shape[1], target, place, dim)
        turned = scratch[0][r]
        for i in range(0, len(u), TILE_ROWS):
            for c in range(0, sums.shape[1], TILE_COLUMNS):
                _unmix_tile(row, turned, weight, sums, of_weight, i, c)
        for p in range(len(v)):
            for k in range(of_v.shape[1]):
                of_v[p, k] = 0
        for i in range(0, len(u), TILE_ROWS):
            for p in range(len(v)):
                _gates_tile(sums, u, v, of_u, of_v, i, p)
        for p in range(len(v)):
            for i in range(n):
                of_left[r, p * n + i] = of_u[i, p]
                of_right[r, p * n + i] = of_v[p, i]


@inlined
def _take(left: Any, right: Any, r: int, n: int, u: Any, v: Any) -> None:
    """Take u_p and v_p of a batch row apart."""
    for p in range(len(v)):
        for i in range(n):
            u[i, p] = left[r, p * n + i]
            v[p, i] = right[r, p * n + i]


def _generate_mix(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write s[i:i+4] = u[i:i+4] @ v and m[i:i+4] = weight[i:i+4] * s[i:i+4]."""
    weight, u, v, s, m = vectors.open_arrays(context, builder, signature, arguments, 5)
    rows = _tile_rows(builder, arguments[5])
    zero, step = arguments[5].type(0), arguments[5].type(TILE_COLUMNS)
    width = vectors.length(builder, s, 1)
    with cgutils.for_range_slice(builder, zero, width, step, zero.type) as (column, _):
        sums = vectors.zero_variables(builder, TILE_ROWS)
        with cgutils.for_range(builder, vectors.length(builder, v, 0)) as loop:
            segment = vectors.load(builder, v, loop.index, column)
            for total, row in zip(sums, rows, strict=True):
                number = vectors.load_repeated(builder, u, row, loop.index)
                grown = vectors.multiply_add(builder, number, segment, builder.load(total))
                builder.store(grown, total)
        for total, row in zip(sums, rows, strict=True):
            mixed = builder.load(total)
            vectors.store(builder, mixed, s, row, column)
            segment = vectors.load(builder, weight, row, column)
            vectors.store(builder, vectors.multiply(builder, segment, mixed), m, row, column)
    return context.get_dummy_value()


def _mix_rows(_: Any, weight: Any, u: Any, v: Any, s: Any, m: Any, row: Any) -> Any:
    return types.void(weight, u, v, s, m, types.intp), _generate_mix


def _generate_unmix(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Take of_m = a[i:i+4] @ x[:, c:c+16]; of_weight += of_m * s; write s = of_m * weight."""
    a, x, weight, s, of_weight = vectors.open_arrays(context, builder, signature, arguments, 5)
    rows, column = _tile_rows(builder, arguments[5]), arguments[6]
    totals = vectors.zero_variables(builder, TILE_ROWS)
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = vectors.load(builder, x, loop.index, column)
        for total, row in zip(totals, rows, strict=True):
            number = vectors.load_repeated(builder, a, row, loop.index)
            grown = vectors.multiply_add(builder, number, values, builder.load(total))
            builder.store(grown, total)
    for total, row in zip(totals, rows, strict=True):
        of_m = builder.load(total)
        segment = vectors.load(builder, s, row, column)
        before = vectors.load(builder, of_weight, row, column)
        grown = vectors.multiply_add(builder, of_m, segment, before)
        vectors.store(builder, grown, of_weight, row, column)
        segment = vectors.load(builder, weight, row, column)
        vectors.store(builder, vectors.multiply(builder, of_m, segment), s, row, column)
    return context.get_dummy_value()


def _unmix_columns(
    _: Any, a: Any, x: Any, weight: Any, s: Any, of_weight: Any, row: Any, column: Any
) -> Any:
    return types.void(a, x, weight, s, of_weight, types.intp, types.intp), _generate_unmix


def _generate_gates(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write of_u[i:i+4, p] = of_s[i:i+4] @ v[p] and of_v[p] += u[i:i+4, p] @ of_s[i:i+4]."""
    of_s, u, v, of_u, of_v = vectors.open_arrays(context, builder, signature, arguments, 5)
    rows, p = _tile_rows(builder, arguments[5]), arguments[6]
    sums = vectors.variables(builder, [NOTHING] * TILE_ROWS)
    numbers = [vectors.load_repeated_short(builder, u, row, p) for row in rows]
    width, step = vectors.length(builder, of_s, 1), p.type(SHORT_WIDTH)
    with cgutils.for_range_slice(builder, p.type(0), width, step, p.type) as (column, _):
        of_v_piece = vectors.load_short(builder, of_v, p, column)
        v_piece = vectors.load_short(builder, v, p, column)
        for total, row, number in zip(sums, rows, numbers, strict=True):
            segment = vectors.load_short(builder, of_s, row, column)
            grown = vectors.multiply_add(builder, segment, v_piece, builder.load(total))
            builder.store(grown, total)
            of_v_piece = vectors.multiply_add(builder, segment, number, of_v_piece)
        vectors.store(builder, of_v_piece, of_v, p, column)
    for total, row in zip(sums, rows, strict=True):
        number = vectors.total(builder, builder.load(total))
        builder.store(number, vectors.address(builder, of_u, row, p))
    return context.get_dummy_value()


def _gates_rows(_: Any, of_s: Any, u: Any, v: Any, of_u: Any, of_v: Any, row: Any, p: Any) -> Any:
    return types.void(of_s, u, v, of_u, of_v, types.intp, types.intp), _generate_gates


def _tile_rows(builder: Any, first: Any) -> list[Any]:
    return [builder.add(first, first.type(k)) for k in range(TILE_ROWS)]


_mix_tile: Any = intrinsic(_mix_rows)
_unmix_tile: Any = intrinsic(_unmix_columns)
_gates_tile: Any = intrinsic(_gates_rows)
