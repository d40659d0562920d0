"""Products of small matrices that lie in the cache, within compiled functions.

A product goes through its result tile by tile: some rows times some vectors of columns, whose sums
stay in registers while all terms are added. Whatever the tile, a number of the result is the sum of
its terms one after the other, so its bits do not depend on the tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.cpu.machine import vectors
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.segments import sum_segment
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH

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
def fill_columns(n: int) -> int:
    """Return a number of columns filled up to whole tiles."""
    return -(-n // TILE_COLUMNS) * TILE_COLUMNS


@compiled
def gemm_add(weight: Any, x: Any, y: Any) -> None:
    """Add weight @ x to y: (m, n) @ (n, C) to (m, C), m and C multiples of the tile."""
    _add_product(weight, x, y)


@compiled
def gemm(weight: Any, x: Any, y: Any) -> None:
    """Store weight @ x as y; sizes as for `gemm_add`."""
    _set_product(weight, x, y)


@compiled
def gemm_transposed(weight: Any, x: Any, y: Any) -> None:
    """Store weight.T @ x as y: (n, m) @ (n, C) to (m, C); more columns of weight are left."""
    _set_transposed_product(weight, x, y)


@compiled
def gemm_transposed_add(weight: Any, x: Any, y: Any) -> None:
    """Add weight.T @ x to y; sizes as for `gemm_transposed`."""
    _add_transposed_product(weight, x, y)


@compiled
def descend_by_transposed_product(weight: Any, x: Any, z: Any, y: Any) -> None:
    """Store weight.T @ x - z * y as y; sizes as for `gemm_transposed`."""
    _descend_by_transposed_product(weight, x, y, z)


@compiled
def grow_by_product(weight: Any, x0: Any, x: Any, result: Any) -> None:
    """Store x * (1 + weight @ x0), which may be x itself; sizes as for `gemm_add`."""
    _grow_by_product(weight, x0, result, x)


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
            weight[i, j] = sum_segment(flat, (i * weight.shape[1] + j) * SHORT_WIDTH, SHORT_WIDTH)


def _set(builder: Any, product: Any, y: Any) -> Any:
    return product


def _add(builder: Any, product: Any, y: Any) -> Any:
    return builder.fadd(y(), product)


def _grow(builder: Any, product: Any, y: Any, z: Any) -> Any:
    before = z()
    return vectors.multiply_add(builder, before, product, before)


def _descend(builder: Any, product: Any, y: Any, z: Any) -> Any:
    return vectors.multiply_subtract(builder, z(), y(), product)


def _make_product(finish: Callable[..., Any], *, turns: bool = False) -> Any:
    """Make a product that is finished with what its result holds before."""
    generate = partial(_generate_product, turns, finish)

    def write(_: Any, weight: Any, x: Any, y: Any) -> Any:
        return types.void(weight, x, y), generate

    return intrinsic(write)


def _make_product_with_another(finish: Callable[..., Any], *, turns: bool = False) -> Any:
    """Make a product that is finished with what its result and another array z hold."""
    generate = partial(_generate_product, turns, finish)

    def write(_: Any, weight: Any, x: Any, y: Any, z: Any) -> Any:
        return types.void(weight, x, y, z), generate

    return intrinsic(write)


def _generate_product(
    turns: bool,
    finish: Callable[..., Any],
    context: Any,
    builder: Any,
    signature: Any,
    arguments: Any,
) -> Any:
    """Write weight @ x, or weight.T @ x, into y: in large tiles, then what they do not cover."""
    arrays = vectors.open_arrays(context, builder, signature, arguments, len(arguments))
    n_rows, n_columns = (vectors.length(builder, arrays[2], axis) for axis in (0, 1))
    whole_rows = builder.and_(n_rows, n_rows.type(-LARGE_ROWS))
    whole_columns = builder.and_(n_columns, n_columns.type(-LARGE_COLUMNS))
    zero = n_rows.type(0)
    with _steps(builder, zero, whole_rows, LARGE_ROWS) as row:
        with _steps(builder, zero, whole_columns, LARGE_COLUMNS) as column:
            _write_tile(builder, (LARGE_ROWS, LARGE_COLUMNS), turns, finish, arrays, row, column)
        with _steps(builder, whole_columns, n_columns, TILE_COLUMNS) as column:
            _write_tile(builder, (LARGE_ROWS, TILE_COLUMNS), turns, finish, arrays, row, column)
    with (
        _steps(builder, whole_rows, n_rows, TILE_ROWS) as row,
        _steps(builder, zero, n_columns, TILE_COLUMNS) as column,
    ):
        _write_tile(builder, (TILE_ROWS, TILE_COLUMNS), turns, finish, arrays, row, column)
    return context.get_dummy_value()


@contextmanager
def _steps(builder: Any, start: Any, stop: Any, step: int) -> Iterator[Any]:
    """Write a loop in steps; yield its index."""
    kind = start.type
    with cgutils.for_range_slice(builder, start, stop, kind(step), kind) as (index, _):
        yield index


def _write_tile(
    builder: Any,
    tile: tuple[int, int],
    turns: bool,
    finish: Callable[..., Any],
    arrays: Sequence[Any],
    first_row: Any,
    first_column: Any,
) -> None:
    """Write one tile of the product, finished with what y or z hold there."""
    weight, x, *finishing = arrays
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
            vectors.store(builder, result, finishing[0], row, column)


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


_add_product: Any = _make_product(_add)
_set_product: Any = _make_product(_set)
_add_transposed_product: Any = _make_product(_add, turns=True)
_set_transposed_product: Any = _make_product(_set, turns=True)
_grow_by_product: Any = _make_product_with_another(_grow)
_descend_by_transposed_product: Any = _make_product_with_another(_descend, turns=True)
_add_outer_tile: Any = _make_outer_tile(OUTER_ROWS, vectors.SHORT_VECTOR)
_add_large_outer_tile: Any = _make_outer_tile(
    LARGE_OUTER_ROWS, vectors.VECTOR if vectors.HAS_LONG_REGISTERS else vectors.SHORT_VECTOR
)
