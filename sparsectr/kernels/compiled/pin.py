"""Fused version of `sparsectr.kernels.pin`.

A block of R batch rows is turned on its side: x[i, k R + r] is coordinate k of interaction row i
of batch row r. A layer is then one product of matrices that lie in the cache, and everything else
is a loop over neighbouring numbers. Rows and columns are filled up with zeros to whole tiles of
the product. What happens to a batch row does not depend on the others of its block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from sparsectr.kernels.compiled.jit import compiled
from sparsectr.kernels.compiled.matrix import TILE_COLUMNS, TILE_ROWS, add_outer, add_product
from sparsectr.kernels.threads import run_parts

# Batch rows of a block: enough for vectors, few enough for the cache.
BLOCK_ROWS = 16
# Batch rows of a part. Gradients of weights are summed per part and then over parts, so that
# they do not depend on the number of threads.
PART_ROWS = 256


def polynomial_sums(
    embeddings: Tensor,
    weights: Tensor,
    left: Tensor | None,
    right: Tensor | None,
    n_subspaces: int,
) -> Tensor:
    """Run all layers; see the reference."""
    # The kernels know "no vectors" by a length of zero.
    none = weights.new_zeros(len(weights), 0, 0, 0)
    return _PolynomialSums.apply(  # type: ignore[no-any-return,no-untyped-call]
        embeddings,
        weights,
        none if left is None else left,
        none if right is None else right,
        n_subspaces,
    )


class _PolynomialSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        embeddings: Tensor,
        weights: Tensor,
        left: Tensor,
        right: Tensor,
        n_subspaces: int,
    ) -> Tensor:
        ctx.save_for_backward(embeddings, weights, left, right)
        ctx.n_subspaces = n_subspaces  # type: ignore[attr-defined]
        sums = embeddings.new_empty(embeddings.shape[:2])
        run_parts(
            _forward_part,
            -(-len(embeddings) // PART_ROWS),
            _array(embeddings),
            n_subspaces,
            _array(_fill_up(weights)),
            _array(left),
            _array(right),
            sums.numpy(),
        )
        return sums

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, weights, left, right = ctx.saved_tensors  # type: ignore[attr-defined]
        filled = _fill_up(weights)
        n_parts = -(-len(embeddings) // PART_ROWS)
        of_embeddings = torch.empty(embeddings.shape)
        of_weights = torch.zeros(n_parts, *filled.shape)
        of_left, of_right = torch.empty(left.shape), torch.empty(right.shape)
        run_parts(
            _backward_part,
            n_parts,
            _array(embeddings),
            ctx.n_subspaces,  # type: ignore[attr-defined]
            _array(filled),
            _array(filled.mT),
            _array(left),
            _array(right),
            _array(gradients[0]),
            of_embeddings.numpy(),
            of_weights.numpy(),
            of_left.numpy(),
            of_right.numpy(),
        )
        n_rows = weights.shape[1]
        return of_embeddings, of_weights.sum(0)[:, :n_rows, :n_rows], of_left, of_right, None


def _fill_up(weights: Tensor) -> Tensor:
    """Add rows and columns of zeros up to whole tiles."""
    n_missing = -weights.shape[1] % TILE_ROWS
    return functional.pad(weights, (0, n_missing, 0, n_missing))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


# Parts and blocks of a batch ---------------------------------------------------------------


@compiled
def _n_columns(n_rows: int, dim: int) -> int:
    """Return the number of columns of a block, filled up to whole tiles."""
    return -(-n_rows * dim // TILE_COLUMNS) * TILE_COLUMNS


@compiled
def _forward_part(
    part: int,
    embeddings: Any,
    n_subspaces: int,
    weights: Any,
    left: Any,
    right: Any,
    sums: Any,
) -> None:
    """Compute the sums of the rows of one part."""
    dim = embeddings.shape[2] // n_subspaces
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, BLOCK_ROWS):
        last = min(stop, first + BLOCK_ROWS)
        x0 = np.zeros((weights.shape[1], _n_columns(last - first, dim)), np.float32)
        _load(embeddings[first:last], dim, x0)
        x = np.empty(x0.shape, np.float32)
        factor = np.empty(x0.shape, np.float32)
        _copy(x0, x)
        terms = np.empty((left.shape[2], *x.shape), np.float32)
        for layer in range(len(weights)):
            u, v = _turn(left[layer, first:last], x), _turn(right[layer, first:last], x)
            _factor(weights[layer], x0, u, v, terms, factor)
            _multiply(x, factor)
        _sum_fields(x, dim, sums[first:last])


@compiled
def _backward_part(
    part: int,
    embeddings: Any,
    n_subspaces: int,
    weights: Any,
    transposed: Any,
    left: Any,
    right: Any,
    gradient: Any,
    of_embeddings: Any,
    of_weights: Any,
    of_left: Any,
    of_right: Any,
) -> None:
    """Compute all gradients of the rows of one part."""
    n_layers, n_rows = weights.shape[:2]
    dim = embeddings.shape[2] // n_subspaces
    stop = min(len(embeddings), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, BLOCK_ROWS):
        last = min(stop, first + BLOCK_ROWS)
        x = np.zeros((n_layers + 1, n_rows, _n_columns(last - first, dim)), np.float32)
        factors = np.empty(x.shape, np.float32)
        terms = np.empty((n_layers, left.shape[2], *x.shape[1:]), np.float32)
        _load(embeddings[first:last], dim, x[0])
        for layer in range(n_layers):
            u, v = _turn(left[layer, first:last], x[0]), _turn(right[layer, first:last], x[0])
            _factor(weights[layer], x[0], u, v, terms[layer], factors[layer])
            _copy(x[layer], x[layer + 1])
            _multiply(x[layer + 1], factors[layer])
        of_x = np.zeros(x.shape[1:], np.float32)
        of_x0 = np.zeros(x.shape[1:], np.float32)
        of_factor = np.empty(x.shape[1:], np.float32)
        _spread(gradient[first:last], dim, of_x)
        for layer in range(n_layers - 1, -1, -1):
            _step_back(x[layer], factors[layer], of_x, of_factor)
            if left.shape[2] == 0:
                add_outer(of_factor, x[0], of_weights[part, layer])
                add_product(transposed[layer], of_factor, of_x0)
                continue
            u, v = _turn(left[layer, first:last], of_x), _turn(right[layer, first:last], of_x)
            _vectors_backward(
                (u, v, terms[layer], x[0], transposed[layer], of_factor),
                of_weights[part, layer],
                of_x0,
                of_left[layer, first:last],
                of_right[layer, first:last],
            )
        _add(of_x, of_x0)
        _store(of_x0, dim, of_embeddings[first:last])


@compiled
def _factor(weight: Any, x0: Any, u: Any, v: Any, terms: Any, factor: Any) -> None:
    """Compute A of a layer, and with vectors the terms W (v_p * X_0)."""
    _clear(factor)
    if len(u) == 0:
        add_product(weight, x0, factor)
        return
    scaled = np.empty(x0.shape, np.float32)
    for p in range(len(u)):
        _clear(terms[p])
        if len(v) > 0:
            _scale(x0, v[p], scaled)
            add_product(weight, scaled, terms[p])
        else:
            add_product(weight, x0, terms[p])
        _add_scaled(terms[p], u[p], factor)


@compiled
def _vectors_backward(inputs: Any, of_weight: Any, of_x0: Any, of_left: Any, of_right: Any) -> None:
    """Bring the gradient of A back to the vectors, the weight and X_0."""
    u, v, terms, x0, transposed, of_factor = inputs
    of_term = np.zeros(x0.shape, np.float32)
    scaled = np.empty(x0.shape, np.float32)
    of_scaled = np.empty(x0.shape, np.float32)
    for p in range(len(u)):
        _dot_coordinates(of_factor, terms[p], of_left, p)
        _scale(of_factor, u[p], of_term)
        if len(v) > 0:
            _scale(x0, v[p], scaled)
            add_outer(of_term, scaled, of_weight)
            _clear(of_scaled)
            add_product(transposed, of_term, of_scaled)
            _dot_coordinates(of_scaled, x0, of_right, p)
            _add_scaled(of_scaled, v[p], of_x0)
        else:
            add_outer(of_term, x0, of_weight)
            add_product(transposed, of_term, of_x0)


# Into the block and back --------------------------------------------------------------------


@compiled
def _load(embeddings: Any, dim: int, x: Any) -> None:
    """Turn rows of embeddings on their side: x[s F + f, k R + r] = e[r, f, s d + k]."""
    n_rows, n_fields, length = embeddings.shape
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                for k in range(dim):
                    x[s * n_fields + f, k * n_rows + r] = embeddings[r, f, s * dim + k]


@compiled
def _store(x: Any, dim: int, embeddings: Any) -> None:
    """Turn x back; the inverse of `_load`."""
    n_rows, n_fields, length = embeddings.shape
    for r in range(n_rows):
        for f in range(n_fields):
            for s in range(length // dim):
                for k in range(dim):
                    embeddings[r, f, s * dim + k] = x[s * n_fields + f, k * n_rows + r]


@compiled
def _turn(vectors: Any, x: Any) -> Any:
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
def _sum_fields(x: Any, dim: int, sums: Any) -> None:
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
def _spread(gradient: Any, dim: int, x: Any) -> None:
    """Give every coordinate the gradient of its field's sum; the transpose of `_sum_fields`."""
    n_rows, n_fields = gradient.shape
    for i in range(x.shape[0] // n_fields * n_fields):
        for r in range(n_rows):
            x[i, r] = gradient[r, i % n_fields]
        for k in range(1, dim):
            for r in range(n_rows):
                x[i, k * n_rows + r] = x[i, r]


# Within the block ---------------------------------------------------------------------------


@compiled
def _clear(x: Any) -> None:
    """Set x to zero."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[i, c] = 0


@compiled
def _copy(x: Any, result: Any) -> None:
    """Store x."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] = x[i, c]


@compiled
def _add(x: Any, result: Any) -> None:
    """Add x."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] += x[i, c]


@compiled
def _multiply(x: Any, factor: Any) -> None:
    """Multiply x by 1 + factor in place."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            x[i, c] += x[i, c] * factor[i, c]


@compiled
def _step_back(x: Any, factor: Any, of_x: Any, of_factor: Any) -> None:
    """Bring the gradient of x * (1 + factor), in of_x, to x, in place, and to the factor."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            of_factor[i, c] = of_x[i, c] * x[i, c]
            of_x[i, c] += of_x[i, c] * factor[i, c]


@compiled
def _scale(x: Any, vector: Any, result: Any) -> None:
    """Store x * vector."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] = x[i, c] * vector[i, c]


@compiled
def _add_scaled(x: Any, vector: Any, result: Any) -> None:
    """Add x * vector."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            result[i, c] += x[i, c] * vector[i, c]


@compiled
def _dot_coordinates(a: Any, b: Any, result: Any, p: int) -> None:
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
