"""Products of small matrices that lie in the cache, within compiled functions."""

from __future__ import annotations

from functools import partial
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.compiled.pieces import sum_piece
from sparsectr.kernels.compiled.vectors import SHORT_WIDTH

# Numbers of rows are multiples of this ...
TILE_ROWS = 4
# ... and numbers of columns of this: the sums of a tile fill eight vector registers of 256 bits,
# enough to hide the latency of their multiply-adds.
TILE_COLUMNS = vectors.WIDTH


@compiled
def add_product(weight: Any, x: Any, y: Any) -> None:
    """Add weight @ x to y: (m, n) @ (n, C) to (m, C), m and C multiples of the tile."""
    for i in range(0, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _add_tile(weight, x, y, i, c)


@compiled
def set_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight @ x as y; sizes as for `add_product`."""
    for i in range(0, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _set_tile(weight, x, y, i, c)


@compiled
def set_transposed_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight.T @ x as y: (n, m) @ (n, C) to (m, C); more columns of weight are left."""
    for i in range(0, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _set_transposed_tile(weight, x, y, i, c)


@compiled
def add_transposed_product(weight: Any, x: Any, y: Any) -> None:
    """Add weight.T @ x to y; sizes as for `set_transposed_product`."""
    for i in range(0, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _add_transposed_tile(weight, x, y, i, c)


@compiled
def add_outer(a: Any, b: Any, partial_sums: Any) -> None:
    """Add a @ b.T to the sums over the last axis of ``partial_sums``.

    (m, C) @ (C, n) to (m, n, 8), m and n multiples of 4, C of the tile. Adding the 8 up to one
    number at every call would take as long as the product of a small block.
    """
    rows = partial_sums.reshape(a.shape[0] * b.shape[0], SHORT_WIDTH)
    for i in range(0, a.shape[0], 4):
        for j in range(0, b.shape[0], 2):
            _add_outer_tile(a, b, rows, i, j, b.shape[0])


@compiled
def add_up(partial_sums: Any, weight: Any) -> None:
    """Sum over the last axis of partial sums (m, n, 8)."""
    flat = partial_sums.ravel()
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            weight[i, j] = sum_piece(flat, (i * weight.shape[1] + j) * SHORT_WIDTH, SHORT_WIDTH)


def _generate_tile(
    adds: bool, turns: bool, context: Any, builder: Any, signature: Any, arguments: Any
) -> Any:
    """Write y[i:i+4, c:c+16] = weight[i:i+4] @ x[:, c:c+16], or +=, or with weight.T."""
    weight, x, y = vectors.open_arrays(context, builder, signature, arguments, 3)
    first_row, column = arguments[3:]
    rows = [builder.add(first_row, first_row.type(k)) for k in range(TILE_ROWS)]
    sums = vectors.zero_variables(builder, TILE_ROWS)
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = vectors.load(builder, x, loop.index, column)
        for total, row in zip(sums, rows, strict=True):
            place = (loop.index, row) if turns else (row, loop.index)
            number = vectors.load_repeated(builder, weight, *place)
            grown = vectors.multiply_add(builder, number, values, builder.load(total))
            builder.store(grown, total)
    for total, row in zip(sums, rows, strict=True):
        product = builder.load(total)
        if adds:
            product = builder.fadd(vectors.load(builder, y, row, column), product)
        vectors.store(builder, product, y, row, column)
    return context.get_dummy_value()


def _add(_: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
    return types.void(weight, x, y, types.intp, types.intp), partial(_generate_tile, True, False)


def _set(_: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
    return types.void(weight, x, y, types.intp, types.intp), partial(_generate_tile, False, False)


def _set_transposed(_: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
    return types.void(weight, x, y, types.intp, types.intp), partial(_generate_tile, False, True)


def _add_transposed(_: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
    return types.void(weight, x, y, types.intp, types.intp), partial(_generate_tile, True, True)


def _generate_outer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write partial_sums[i:i+4, j:j+2] += a[i:i+4, c] * b[j:j+2, c], 8 columns c at a time."""
    a, b, sums = vectors.open_arrays(context, builder, signature, arguments, 3)
    first_i, first_j, width = arguments[3:]
    i_s = [builder.add(first_i, first_i.type(k)) for k in range(4)]
    j_s = [builder.add(first_j, first_j.type(k)) for k in range(2)]
    # Sums (m, n, 8) come as rows (m n, 8).
    places = {(i, j): builder.add(builder.mul(i, width), j) for i in i_s for j in j_s}
    zero = first_i.type(0)
    totals = vectors.variables(
        builder, [vectors.load_short(builder, sums, place, zero) for place in places.values()]
    )
    n_columns = vectors.length(builder, a, 1)
    with cgutils.for_range_slice(
        builder, zero, n_columns, first_i.type(vectors.SHORT_WIDTH), first_i.type
    ) as (column, _):
        of_a = {i: vectors.load_short(builder, a, i, column) for i in i_s}
        of_b = {j: vectors.load_short(builder, b, j, column) for j in j_s}
        for total, (i, j) in zip(totals, places, strict=True):
            grown = vectors.multiply_add(builder, of_a[i], of_b[j], builder.load(total))
            builder.store(grown, total)
    for total, place in zip(totals, places.values(), strict=True):
        vectors.store(builder, builder.load(total), sums, place, zero)
    return context.get_dummy_value()


def _outer(_: Any, a: Any, b: Any, sums: Any, i: Any, j: Any, width: Any) -> Any:
    return types.void(a, b, sums, types.intp, types.intp, types.intp), _generate_outer


_add_outer_tile: Any = intrinsic(_outer)
_add_tile: Any = intrinsic(_add)
_set_tile: Any = intrinsic(_set)
_add_transposed_tile: Any = intrinsic(_add_transposed)
_set_transposed_tile: Any = intrinsic(_set_transposed)
