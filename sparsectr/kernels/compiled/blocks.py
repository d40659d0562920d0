"""Blocks of batch rows, turned on their side, within compiled functions.

x[i, k R + r] is coordinate k of interaction row i of batch row r of R: everything is a loop over
neighbouring numbers. Rows and columns are filled up with zeros to whole tiles of a product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.compiled.matrix import TILE_COLUMNS

# Into the block and back --------------------------------------------------------------------


@compiled
def n_columns(n_rows: int, dim: int) -> int:
    """Return the number of columns of a block, filled up to whole tiles."""
    return -(-n_rows * dim // TILE_COLUMNS) * TILE_COLUMNS


@compiled
def load(embeddings: Any, dim: int, x: Any) -> None:
    """Turn rows of embeddings on their side: x[s F + f, k R + r] = e[r, f, s d + k]."""
    n_rows, n_fields, length = embeddings.shape
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                for k in range(dim):
                    x[s * n_fields + f, k * n_rows + r] = embeddings[r, f, s * dim + k]


@compiled
def store(x: Any, dim: int, embeddings: Any) -> None:
    """Turn x back; the inverse of `load`."""
    n_rows, n_fields, length = embeddings.shape
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                for k in range(dim):
                    embeddings[r, f, s * dim + k] = x[s * n_fields + f, k * n_rows + r]


@compiled
def turn(vectors: Any, x: Any) -> Any:
    """Repeat vectors (R, P, n) for every coordinate, in the layout of x: (P, n, C)."""
    n_rows, n_terms, n = vectors.shape
    turned = np.zeros((n_terms, *x.shape), np.float32)
    for p in range(n_terms):
        for i in range(n):
            for r in range(n_rows):
                turned[p, i, r] = vectors[r, p, i]
            for start in range(n_rows, x.shape[1] - n_rows + 1, n_rows):
                for r in range(n_rows):
                    turned[p, i, start + r] = turned[p, i, r]
    return turned


@compiled
def sum_fields(x: Any, dim: int, sums: Any) -> None:
    """Sum the coordinates of every field, over its subspaces, into sums (R, F)."""
    n_rows, n_fields = sums.shape
    total = np.empty(n_rows, np.float32)
    for f in range(n_fields):
        for r in range(n_rows):
            total[r] = 0
        for i in range(f, x.shape[0] // n_fields * n_fields, n_fields):
            for k in range(dim):
                for r in range(n_rows):
                    total[r] += x[i, k * n_rows + r]
        for r in range(n_rows):
            sums[r, f] = total[r]


@compiled
def spread(gradient: Any, dim: int, x: Any) -> None:
    """Give every coordinate the gradient of its field's sum; the transpose of `sum_fields`."""
    n_rows, n_fields = gradient.shape
    for i in range(x.shape[0] // n_fields * n_fields):
        for r in range(n_rows):
            x[i, r] = gradient[r, i % n_fields]
        for k in range(1, dim):
            for r in range(n_rows):
                x[i, k * n_rows + r] = x[i, r]


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
def multiply(x: Any, factor: Any) -> None:
    """Multiply x by 1 + factor in place."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[i, c] += x[i, c] * factor[i, c]


@compiled
def step_back(x: Any, factor: Any, of_x: Any, of_factor: Any) -> None:
    """Bring the gradient of x * (1 + factor), in of_x, to x, in place, and to the factor."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            of_factor[i, c] = of_x[i, c] * x[i, c]
            of_x[i, c] += of_x[i, c] * factor[i, c]


@compiled
def scale(x: Any, vector: Any, result: Any) -> None:
    """Store x * vector."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] = x[i, c] * vector[i, c]


@compiled
def add_scaled(x: Any, vector: Any, result: Any) -> None:
    """Add x * vector."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] += x[i, c] * vector[i, c]


@compiled
def dot_coordinates(a: Any, b: Any, result: Any, p: int) -> None:
    """Sum a * b over the coordinates, into result[:, p] of result (R, P, n)."""
    n_rows, _, n = result.shape
    total = np.empty(n_rows, np.float32)
    product = np.empty(a.shape[1], np.float32)
    for i in range(n):
        for c in range(a.shape[1]):
            product[c] = a[i, c] * b[i, c]
        for r in range(n_rows):
            total[r] = 0
        for start in range(0, a.shape[1] // n_rows * n_rows, n_rows):
            for r in range(n_rows):
                total[r] += product[start + r]
        for r in range(n_rows):
            result[r, p, i] = total[r]
