"""Products of small matrices that lie in the cache, within compiled functions.

A product goes through its result tile by tile: some rows times some vectors of columns, whose sums
stay in registers while all terms are added. Whatever the tile, a number of the result is the sum of
its terms one after the other, so its bits do not depend on the tile.
"""

from __future__ import annotations

from collections.abc import Callable
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
# Tiles for longer and more registers, which four sums would not keep busy.
LARGE_ROWS, LARGE_COLUMNS = (8, 32) if vectors.HAS_LONG_REGISTERS else (TILE_ROWS, TILE_COLUMNS)
# Rows of b in a tile of `add_outer`, beside `TILE_ROWS` of a.
OUTER_ROWS = 2
LARGE_OUTER_ROWS = 4 if vectors.HAS_LONG_REGISTERS else OUTER_ROWS


@compiled
def add_product(weight: Any, x: Any, y: Any) -> None:
    """Add weight @ x to y: (m, n) @ (n, C) to (m, C), m and C multiples of the tile."""
    m, n = _in_large_tiles(y)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _add_large_tile(weight, x, y, i, c)
        for c in range(n, y.shape[1], TILE_COLUMNS):
            _add_tall_tile(weight, x, y, i, c)
    for i in range(m, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _add_tile(weight, x, y, i, c)


@compiled
def set_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight @ x as y; sizes as for `add_product`."""
    m, n = _in_large_tiles(y)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _set_large_tile(weight, x, y, i, c)
        for c in range(n, y.shape[1], TILE_COLUMNS):
            _set_tall_tile(weight, x, y, i, c)
    for i in range(m, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _set_tile(weight, x, y, i, c)


@compiled
def set_transposed_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight.T @ x as y: (n, m) @ (n, C) to (m, C); more columns of weight are left."""
    m, n = _in_large_tiles(y)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _set_large_transposed_tile(weight, x, y, i, c)
        for c in range(n, y.shape[1], TILE_COLUMNS):
            _set_tall_transposed_tile(weight, x, y, i, c)
    for i in range(m, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _set_transposed_tile(weight, x, y, i, c)


@compiled
def add_transposed_product(weight: Any, x: Any, y: Any) -> None:
    """Add weight.T @ x to y; sizes as for `set_transposed_product`."""
    m, n = _in_large_tiles(y)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _add_large_transposed_tile(weight, x, y, i, c)
        for c in range(n, y.shape[1], TILE_COLUMNS):
            _add_tall_transposed_tile(weight, x, y, i, c)
    for i in range(m, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _add_transposed_tile(weight, x, y, i, c)


@compiled
def descend_by_transposed_product(weight: Any, x: Any, z: Any, y: Any) -> None:
    """Store weight.T @ x - z * y as y; sizes as for `set_transposed_product`."""
    m, n = _in_large_tiles(y)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _descend_large_tile(weight, x, y, z, i, c)
        for c in range(n, y.shape[1], TILE_COLUMNS):
            _descend_tall_tile(weight, x, y, z, i, c)
    for i in range(m, y.shape[0], TILE_ROWS):
        for c in range(0, y.shape[1], TILE_COLUMNS):
            _descend_tile(weight, x, y, z, i, c)


@compiled
def grow_by_product(weight: Any, x0: Any, x: Any, result: Any) -> None:
    """Store x * (1 + weight @ x0), which may be x itself; sizes as for `add_product`."""
    m, n = _in_large_tiles(result)
    for i in range(0, m, LARGE_ROWS):
        for c in range(0, n, LARGE_COLUMNS):
            _grow_large_tile(weight, x0, result, x, i, c)
        for c in range(n, result.shape[1], TILE_COLUMNS):
            _grow_tall_tile(weight, x0, result, x, i, c)
    for i in range(m, result.shape[0], TILE_ROWS):
        for c in range(0, result.shape[1], TILE_COLUMNS):
            _grow_tile(weight, x0, result, x, i, c)


@compiled
def _in_large_tiles(y: Any) -> tuple[int, int]:
    """Return how many rows and columns of y large tiles cover.

    The columns beyond them are done by tall tiles, the rows beyond by small ones.
    """
    m, n = y.shape
    return m - m % LARGE_ROWS, n - n % LARGE_COLUMNS


@compiled
def add_outer(a: Any, b: Any, partial_sums: Any) -> None:
    """Add a @ b.T to the sums over the last axis of ``partial_sums``.

    (m, C) @ (C, n) to (m, n, 8), m a multiple of 4, n of 2, C of the tile. Adding the 8 up to one
    number at every call would take as long as the product of a small block.
    """
    rows = partial_sums.reshape(a.shape[0] * b.shape[0], SHORT_WIDTH)
    n = b.shape[0] - b.shape[0] % LARGE_OUTER_ROWS
    for i in range(0, a.shape[0], TILE_ROWS):
        for j in range(0, n, LARGE_OUTER_ROWS):
            _add_large_outer_tile(a, b, rows, i, j, b.shape[0])
        for j in range(n, b.shape[0], OUTER_ROWS):
            _add_outer_tile(a, b, rows, i, j, b.shape[0])


@compiled
def add_up(partial_sums: Any, weight: Any) -> None:
    """Sum over the last axis of partial sums (m, n, 8)."""
    flat = partial_sums.ravel()
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            weight[i, j] = sum_piece(flat, (i * weight.shape[1] + j) * SHORT_WIDTH, SHORT_WIDTH)


def _set(builder: Any, product: Any, y: Any) -> Any:
    return product


def _add(builder: Any, product: Any, y: Any) -> Any:
    return builder.fadd(y(), product)


def _grow(builder: Any, product: Any, y: Any, z: Any) -> Any:
    before = z()
    return vectors.multiply_add(builder, before, product, before)


def _descend(builder: Any, product: Any, y: Any, z: Any) -> Any:
    return vectors.multiply_subtract(builder, z(), y(), product)


def _generate_tile(
    tile: tuple[int, int],
    turns: bool,
    finish: Callable[..., Any],
    context: Any,
    builder: Any,
    signature: Any,
    arguments: Any,
) -> Any:
    """Write one tile of weight @ x, or of weight.T @ x, finished with what y or z hold there."""
    weight, x, *finishing = vectors.open_arrays(
        context, builder, signature, arguments, len(arguments) - 2
    )
    y, (first_row, first_column) = finishing[0], arguments[-2:]
    n_rows, n_columns = tile
    rows = [builder.add(first_row, first_row.type(k)) for k in range(n_rows)]
    columns = [
        builder.add(first_column, first_column.type(k)) for k in range(0, n_columns, vectors.WIDTH)
    ]
    sums = {row: vectors.zero_variables(builder, len(columns)) for row in rows}
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = [vectors.load(builder, x, loop.index, column) for column in columns]
        for row, totals in sums.items():
            place = (loop.index, row) if turns else (row, loop.index)
            number = vectors.load_repeated(builder, weight, *place)
            for total, value in zip(totals, values, strict=True):
                grown = vectors.multiply_add(builder, number, value, builder.load(total))
                builder.store(grown, total)
    for row, totals in sums.items():
        for total, column in zip(totals, columns, strict=True):
            there = (partial(vectors.load, builder, array, row, column) for array in finishing)
            result = finish(builder, builder.load(total), *there)
            vectors.store(builder, result, y, row, column)
    return context.get_dummy_value()


def _make_tile(tile: tuple[int, int], finish: Callable[..., Any], *, turns: bool = False) -> Any:
    generate = partial(_generate_tile, tile, turns, finish)

    def write(_: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
        return types.void(weight, x, y, types.intp, types.intp), generate

    return intrinsic(write)


def _make_tile_with_another(
    tile: tuple[int, int], finish: Callable[..., Any], *, turns: bool = False
) -> Any:
    generate = partial(_generate_tile, tile, turns, finish)

    def write(_: Any, weight: Any, x: Any, y: Any, z: Any, row: Any, column: Any) -> Any:
        return types.void(weight, x, y, z, types.intp, types.intp), generate

    return intrinsic(write)


def _generate_outer(
    n_j: int, kind: Any, context: Any, builder: Any, signature: Any, arguments: Any
) -> Any:
    """Write one tile of partial_sums[i, j] += a[i, c] * b[j, c], some columns c at a time."""
    a, b, sums = vectors.open_arrays(context, builder, signature, arguments, 3)
    first_i, first_j, width = arguments[3:]
    i_s = [builder.add(first_i, first_i.type(k)) for k in range(TILE_ROWS)]
    j_s = [builder.add(first_j, first_j.type(k)) for k in range(n_j)]
    # Sums (m, n, 8) come as rows (m n, 8).
    places = {(i, j): builder.add(builder.mul(i, width), j) for i in i_s for j in j_s}
    zero = first_i.type(0)
    totals = vectors.zero_variables(builder, len(places), kind)
    n_columns = vectors.length(builder, a, 1)
    step = first_i.type(kind.count)
    with cgutils.for_range_slice(builder, zero, n_columns, step, first_i.type) as (column, _):
        of_a = {i: vectors.load(builder, a, i, column, kind) for i in i_s}
        of_b = {j: vectors.load(builder, b, j, column, kind) for j in j_s}
        for total, (i, j) in zip(totals, places, strict=True):
            grown = vectors.multiply_add(builder, of_a[i], of_b[j], builder.load(total))
            builder.store(grown, total)
    for total, place in zip(totals, places.values(), strict=True):
        found = builder.load(total)
        while found.type.count > SHORT_WIDTH:
            found = vectors.add_halves(builder, found)
        before = vectors.load_short(builder, sums, place, zero)
        vectors.store(builder, builder.fadd(before, found), sums, place, zero)
    return context.get_dummy_value()


def _make_outer_tile(n_j: int, kind: Any) -> Any:
    def write(_: Any, a: Any, b: Any, sums: Any, i: Any, j: Any, width: Any) -> Any:
        signature = types.void(a, b, sums, types.intp, types.intp, types.intp)
        return signature, partial(_generate_outer, n_j, kind)

    return intrinsic(write)


_SMALL, _LARGE = (TILE_ROWS, TILE_COLUMNS), (LARGE_ROWS, LARGE_COLUMNS)
_TALL = LARGE_ROWS, TILE_COLUMNS
_add_tile: Any = _make_tile(_SMALL, _add)
_add_tall_tile: Any = _make_tile(_TALL, _add)
_add_large_tile: Any = _make_tile(_LARGE, _add)
_set_tile: Any = _make_tile(_SMALL, _set)
_set_tall_tile: Any = _make_tile(_TALL, _set)
_set_large_tile: Any = _make_tile(_LARGE, _set)
_add_transposed_tile: Any = _make_tile(_SMALL, _add, turns=True)
_add_tall_transposed_tile: Any = _make_tile(_TALL, _add, turns=True)
_add_large_transposed_tile: Any = _make_tile(_LARGE, _add, turns=True)
_set_transposed_tile: Any = _make_tile(_SMALL, _set, turns=True)
_set_tall_transposed_tile: Any = _make_tile(_TALL, _set, turns=True)
_set_large_transposed_tile: Any = _make_tile(_LARGE, _set, turns=True)
_grow_tile: Any = _make_tile_with_another(_SMALL, _grow)
_grow_tall_tile: Any = _make_tile_with_another(_TALL, _grow)
_grow_large_tile: Any = _make_tile_with_another(_LARGE, _grow)
_descend_tile: Any = _make_tile_with_another(_SMALL, _descend, turns=True)
_descend_tall_tile: Any = _make_tile_with_another(_TALL, _descend, turns=True)
_descend_large_tile: Any = _make_tile_with_another(_LARGE, _descend, turns=True)
_add_outer_tile: Any = _make_outer_tile(OUTER_ROWS, vectors.SHORT_VECTOR)
_add_large_outer_tile: Any = _make_outer_tile(
    LARGE_OUTER_ROWS, vectors.VECTOR if vectors.HAS_LONG_REGISTERS else vectors.SHORT_VECTOR
)
