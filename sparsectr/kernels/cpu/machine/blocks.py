"""Blocks of batch rows, transposed, within compiled functions.

x[i, r d + k] is coordinate k of interaction row i of batch row r: a layer is one product of
matrices, and embeddings keep together. Rows and columns are filled up with zeros to whole tiles
of a product.

Where coordinates have nothing to do with each other, as in products of embeddings, x[f, r d + k]
belongs to field f, and vectors may hold the end of one batch row and the beginning of the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsectr.kernels.cpu.machine.jit import compiled, prefetch_to_read
from sparsectr.kernels.cpu.machine.matrix import fill_columns
from sparsectr.kernels.cpu.machine.segments import (
    LINE_NUMBERS,
    axpy,
    copy_segment,
    dot,
    empty_aligned,
    fill_segment,
    scale_segment,
    sum_segment,
)

# Columns of a block of products of embeddings, and of the steps in which they are taken.
PRODUCT_COLUMNS = 256
STEP_COLUMNS = 32

# Into the block and back --------------------------------------------------------------------


@compiled
def n_columns(n_rows: int, dim: int) -> int:
    """Return the number of columns of a block, filled up to whole tiles."""
    return fill_columns(n_rows * dim)


@compiled
def count_product_rows(dim: int) -> int:
    """Return the number of batch rows of a block of products of embeddings."""
    return max(1, PRODUCT_COLUMNS // dim)


@compiled
def count_product_columns(n_rows: int, dim: int) -> int:
    """Return the number of columns that the products of so many rows have, in whole steps."""
    return -(-n_rows * dim // STEP_COLUMNS) * STEP_COLUMNS


@compiled
def empty_block(n_fields: int, n_columns: int) -> Any:
    """Return scratch for a block, with a few columns more that nothing is done with.

    Without them the numbers of a column lie a power of two apart, where a cache keeps only some.
    """
    stride = n_columns + LINE_NUMBERS
    return empty_aligned(n_fields * stride).reshape(n_fields, stride)


@compiled
def prefetch_rows(codes: Any, offsets: Any, flat: Any, length: int) -> None:
    """Ask for the rows of a flat table, of this length each, that codes (R, F) name."""
    for r in range(codes.shape[0]):
        for f in range(codes.shape[1]):
            prefetch_to_read(flat, (codes[r, f] + offsets[f]) * length)


@compiled
def prefetch_both(codes: Any, offsets: Any, table: Any, linear: Any, n_outputs: int) -> None:
    """Ask for the embeddings and the linear terms, flat, of rows of codes (R, F)."""
    prefetch_rows(codes, offsets, table.ravel(), table.shape[1])
    prefetch_rows(codes, offsets, linear, n_outputs)


@compiled
def sum_linear(codes: Any, offsets: Any, linear: Any) -> Any:
    """Return the sum of the linear terms of a row."""
    total = np.float32(0)
    for f in range(len(codes)):
        total += linear[codes[f] + offsets[f]]
    return total


@compiled
def look_up(codes: Any, offsets: Any, table: Any, dim: int, x: Any) -> None:
    """Turn the rows of a table that codes (R, F) name on their side.

    The columns of rows that are missing at the end of the last block become zero.
    """
    n_rows, n_fields = codes.shape
    flat, rows = x.ravel(), table.ravel()
    prefetch_rows(codes, offsets, rows, table.shape[1])
    for f in range(n_fields):
        for r in range(n_rows):
            row = codes[r, f] + offsets[f]
            for s in range(table.shape[1] // dim):
                place = (s * n_fields + f) * x.shape[1] + r * dim
                copy_segment(rows, row * table.shape[1] + s * dim, flat, place, dim)
    clear_columns(x, n_rows * dim)


@compiled
def load(embeddings: Any, dim: int, x: Any) -> None:
    """Turn rows of embeddings on their side: x[s F + f, r d + k] = e[r, f, s d + k].

    The columns of rows that are missing at the end of the last block become zero.
    """
    n_rows, n_fields, length = embeddings.shape
    flat, rows = x.ravel(), embeddings.ravel()
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                place = (s * n_fields + f) * x.shape[1] + r * dim
                copy_segment(rows, (r * n_fields + f) * length + s * dim, flat, place, dim)
    clear_columns(x, n_rows * dim)


@compiled
def store(x: Any, dim: int, embeddings: Any) -> None:
    """Turn x back; the inverse of `load`."""
    n_rows, n_fields, length = embeddings.shape
    flat, rows = x.ravel(), embeddings.ravel()
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                place = (s * n_fields + f) * x.shape[1] + r * dim
                copy_segment(flat, place, rows, (r * n_fields + f) * length + s * dim, dim)


@compiled
def store_rows(codes: Any, offsets: Any, first: int, rows: Any) -> None:
    """Store which rows of the table codes (R, F) name: those of the batch rows from ``first`` on.

    ``rows`` is (F, B).
    """
    for f in range(codes.shape[1]):
        for r in range(codes.shape[0]):
            rows[f, first + r] = codes[r, f] + offsets[f]


@compiled
def store_lookups(x: Any, dim: int, first: int, n_rows: int, lookups: Any) -> None:
    """Turn x back into the lookups (F, B, length) of the batch rows from ``first`` on."""
    n_fields, n_batch_rows, length = lookups.shape
    flat, target = x.ravel(), lookups.ravel()
    for f in range(n_fields):
        place = (f * n_batch_rows + first) * length
        if length == dim:
            copy_segment(flat, f * x.shape[1], target, place, n_rows * dim)
            continue
        for r in range(n_rows):
            for s in range(length // dim):
                here = (s * n_fields + f) * x.shape[1] + r * dim
                copy_segment(flat, here, target, place + r * length + s * dim, dim)


@compiled
def store_slopes(slopes: Any, first: int, n_rows: int, lookups: Any) -> None:
    """Store what every linear term of a row gets as the lookups (F, B) of the rows from ``first``.

    ``slopes`` has a number per row of the block.
    """
    n_fields, n_batch_rows = lookups.shape
    target = lookups.ravel()
    for f in range(n_fields):
        copy_segment(slopes, 0, target, f * n_batch_rows + first, n_rows)


@compiled
def sum_fields(x: Any, dim: int, sums: Any) -> None:
    """Sum the coordinates of every field, over its subspaces, into sums (R, F)."""
    n_rows, n_fields = sums.shape
    flat = x.ravel()
    for r in range(n_rows):
        for f in range(n_fields):
            total = np.float32(0)
            for i in range(f, x.shape[0] // n_fields * n_fields, n_fields):
                total += sum_segment(flat, i * x.shape[1] + r * dim, dim)
            sums[r, f] = total


@compiled
def read_out(x: Any, dim: int, readout: Any, bias: Any, total: Any, logits: Any) -> None:
    """Compute logits (R, K) by a linear layer from the sums of the coordinates of every field.

    ``total`` is scratch for the columns of the block.
    """
    n_rows, n_outputs = logits.shape
    n_fields, n_columns, flat = readout.shape[1], x.shape[1], x.ravel()
    for k in range(n_outputs):
        fill_segment(total, 0, np.float32(0), n_columns)
        for i in range(x.shape[0] // n_fields * n_fields):
            axpy(flat, i * n_columns, readout[k, i % n_fields], total, 0, n_columns)
        for r in range(n_rows):
            logits[r, k] = bias[k] + sum_segment(total, r * dim, dim)


@compiled
def spread(gradient: Any, dim: int, x: Any) -> None:
    """Give every coordinate the gradient of its field's sum; the transpose of `sum_fields`."""
    n_rows, n_fields = gradient.shape
    flat = x.ravel()
    for i in range(x.shape[0] // n_fields * n_fields):
        for r in range(n_rows):
            fill_segment(flat, i * x.shape[1] + r * dim, gradient[r, i % n_fields], dim)
    clear_columns(x, n_rows * dim)


@compiled
def clear_columns(x: Any, first: int) -> None:
    """Set the columns from ``first`` on to zero."""
    for i in range(x.shape[0]):
        for c in range(first, x.shape[1]):
            x[i, c] = 0


# Within the block ---------------------------------------------------------------------------


@compiled
def clear(x: Any) -> None:
    """Set x to zero."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[i, c] = 0


@compiled
def copy(x: Any, result: Any) -> None:
    """Store x."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] = x[i, c]


@compiled
def add(x: Any, result: Any) -> None:
    """Add x."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] += x[i, c]


@compiled
def grow(x: Any, factor: Any, result: Any) -> None:
    """Store x * (1 + factor)."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] = x[i, c] + x[i, c] * factor[i, c]


@compiled
def step_back(x: Any, factor: Any, of_x: Any, of_factor: Any) -> None:
    """Compute the gradients of x, in place, and factor from that of x * (1 + factor) in of_x."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            of_factor[i, c] = of_x[i, c] * x[i, c]
            of_x[i, c] += of_x[i, c] * factor[i, c]


# Numbers of instances -----------------------------------------------------------------------
#
# Row i of the batch row r is scaled by values[r, place + i], for the first n rows i.


@compiled
def scale(x: Any, values: Any, place: int, n: int, dim: int, result: Any) -> None:
    """Store x * values; the columns of missing batch rows become zero."""
    flat, target = x.ravel(), result.ravel()
    for i in range(n):
        for r in range(len(values)):
            k = i * x.shape[1] + r * dim
            scale_segment(flat, k, values[r, place + i], target, k, dim)
    clear_columns(result, len(values) * dim)


@compiled
def add_scaled(x: Any, values: Any, place: int, n: int, dim: int, result: Any) -> None:
    """Add x * values."""
    flat, target = x.ravel(), result.ravel()
    for i in range(n):
        for r in range(len(values)):
            k = i * x.shape[1] + r * dim
            axpy(flat, k, values[r, place + i], target, k, dim)


@compiled
def scale_back(
    gradient: Any, x: Any, values: Any, place: int, n: int, dim: int, of_x: Any, of_values: Any
) -> None:
    """Compute the gradients of x and values from that of x * values; see `scale`."""
    flat, other, target = gradient.ravel(), x.ravel(), of_x.ravel()
    for i in range(n):
        for r in range(len(values)):
            k = i * x.shape[1] + r * dim
            of_values[r, place + i] = dot(flat, k, other, k, dim)
            scale_segment(flat, k, values[r, place + i], target, k, dim)
    clear_columns(of_x, len(values) * dim)
