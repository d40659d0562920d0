"""Products of small matrices that lie in the cache, within compiled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.jit import compiled

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
def add_outer(a: Any, b: Any, weight: Any) -> None:
    """Add a @ b.T to weight: (m, C) @ (C, n) to (m, n), m and n multiples of 4."""
    for i in range(0, a.shape[0], 4):
        a_0, a_1, a_2, a_3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(0, b.shape[0], 2):
            b_0, b_1 = b[j], b[j + 1]
            s_00 = s_10 = s_20 = s_30 = s_01 = s_11 = s_21 = s_31 = np.float32(0)
            for c in range(a.shape[1]):
                s_00 += a_0[c] * b_0[c]
                s_10 += a_1[c] * b_0[c]
                s_20 += a_2[c] * b_0[c]
                s_30 += a_3[c] * b_0[c]
                s_01 += a_0[c] * b_1[c]
                s_11 += a_1[c] * b_1[c]
                s_21 += a_2[c] * b_1[c]
                s_31 += a_3[c] * b_1[c]
            weight[i, j] += s_00
            weight[i + 1, j] += s_10
            weight[i + 2, j] += s_20
            weight[i + 3, j] += s_30
            weight[i, j + 1] += s_01
            weight[i + 1, j + 1] += s_11
            weight[i + 2, j + 1] += s_21
            weight[i + 3, j + 1] += s_31


def _generate_tile(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Write y[i:i+4, c:c+16] += weight[i:i+4] @ x[:, c:c+16]."""
    weight, x, y = vectors.open_arrays(context, builder, signature, arguments, 3)
    first_row, column = arguments[3:]
    rows = [builder.add(first_row, first_row.type(k)) for k in range(TILE_ROWS)]
    sums = vectors.zero_variables(builder, TILE_ROWS)
    with cgutils.for_range(builder, vectors.length(builder, x, 0)) as loop:
        values = vectors.load(builder, x, loop.index, column)
        for total, row in zip(sums, rows, strict=True):
            number = vectors.load_repeated(builder, weight, row, loop.index)
            grown = vectors.multiply_add(builder, number, values, builder.load(total))
            builder.store(grown, total)
    for total, row in zip(sums, rows, strict=True):
        before = vectors.load(builder, y, row, column)
        vectors.store(builder, builder.fadd(before, builder.load(total)), y, row, column)
    return context.get_dummy_value()


def _tile(typing_context: Any, weight: Any, x: Any, y: Any, row: Any, column: Any) -> Any:
    return types.void(weight, x, y, types.intp, types.intp), _generate_tile


_add_tile: Any = intrinsic(_tile)
