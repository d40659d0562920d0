"""One number for every cross of a row: products of the vectors of its fields.

The sets of t out of F fields always come in the order of ``itertools.combinations``. All
functions work on blocks of the Gram tensor; the vectors of the P sets are never gathered side
by side, which would need P times their length for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from math import comb

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from sparsectr.nn.graph import Graph, insert_axis, multiply_sets, reshape, sum_over, take
from sparsectr.nn.linear import undrawn

# Numbers of the Gram matrices that exist at one time.
NUMBERS_AT_ONCE = 1 << 19
# Sets of four fields: the first layer has an input for each.
MOST_SETS = 20_000
ALIGNED = 4


def check_orders(orders: Sequence[int], n_fields: int) -> None:
    """Refuse orders above the number of columns, and more sets of four than can be tried."""
    if n_fields < max(orders):
        raise ValueError(
            f"X must have at least {max(orders)} columns for crosses of order {max(orders)}, "
            f"got {n_fields} feature(s)."
        )
    if 4 in orders and (n_sets := comb(n_fields, 4)) > MOST_SETS:
        raise ValueError(
            f"crosses of order 4 of {n_fields} columns are {n_sets:,} sets, and at most "
            f"{MOST_SETS:,} are tried. Pass fewer columns or lower orders."
        )


def align(vectors: Tensor) -> Tensor:
    """Return vectors (..., D), zeros behind them unless all begin at multiples of four numbers.

    How a small product is added up depends on where its factors begin: without the zeros, a row
    would get other bits at another place in the batch.
    """
    if all(step % ALIGNED == 0 for step in vectors.stride()[:-1]):
        return vectors
    return functional.pad(vectors, (0, -vectors.shape[-1] % ALIGNED)).contiguous()


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """Return some columns (m,) of the last axis of x (..., n), shape (..., m).

    Several times as fast as indexing, forward and backward.
    """
    return x.gather(-1, columns.expand(*x.shape[:-1], -1))


def upper_triangle(gram: Tensor) -> Tensor:
    """Return the entries above the diagonal, row by row: (..., F, F) to (..., F(F-1)/2)."""
    above, _ = _triangles(gram.shape[-1], gram.device)
    return take_columns(gram.flatten(-2), above)


def inner_crosses(vectors: Tensor, order: int, scale: Tensor | None = None) -> Tensor:
    """Compute ``sum_d scale_d * prod_k x_{i_k, d}`` for every set of fields i_1 < ... < i_t.

    Parameters
    ----------
    vectors : Tensor of shape (..., F, D)
        One vector per field.
    order : int
        Size t of the sets: 2 to 4.
    scale : Tensor of shape (D,) or (..., 1, D), optional
        Weight of every coordinate; ones if None.

    Returns
    -------
    Tensor of shape (..., P), P = F choose t
    """
    if order == 2:
        rows = vectors.reshape(-1, *vectors.shape[-2:])
        pairs: Tensor = _Pairs.apply(rows, scale)  # type: ignore[no-untyped-call]
        return pairs.view(*vectors.shape[:-2], pairs.shape[1])
    scaled = vectors if scale is None else vectors * scale
    # One block per first field; of triples, at most F * F numbers per row at a time.
    blocks = []
    for first in range(vectors.shape[-2] - order + 1):
        one, later = scaled[..., first : first + 1, :], vectors[..., first + 1 :, :]
        if order == 3:
            blocks.append(upper_triangle(align(one * later) @ align(later).mT))
        else:
            blocks.append(inner_crosses(later, order - 1, one))
    return torch.cat(blocks, -1)


def write_inner(
    graph: Graph,
    vectors: str,
    sets: Sequence[tuple[int, ...]],
    n_fields: int,
    *,
    others: str = "",
    scale: Tensor | None = None,
) -> str:
    """Add the numbers of `inner_crosses` to a graph, only those of some sets of one order.

    Parameters
    ----------
    graph : Graph
        Takes the operators.
    vectors : str
        Vectors (B, F, D).
    sets : sequence of tuples of int
        Fields of P sets.
    n_fields : int
        Number F of fields.
    others : str, optional
        Vectors (B, F, D) of the second field of every pair.
    scale : Tensor of shape (D,), optional
        Weight of every coordinate; ones if None.

    Returns
    -------
    str
        Numbers (B, P).
    """
    if len(sets[0]) == 2:
        # (B, F, F), as many numbers as pairs: vectors are never gathered side by side.
        turned = graph.add("Transpose", others or vectors, perm=[0, 2, 1])
        gram = graph.add("MatMul", vectors, turned)
        places = [first * n_fields + second for first, second in sets]
        return take(graph, reshape(graph, gram, 0, -1), places)
    products = multiply_sets(graph, vectors, sets)
    return sum_over(graph, products if scale is None else graph.add("Mul", products, scale), 2)


class _Pairs(torch.autograd.Function):
    """The entries above the diagonal of the Gram matrix of every row, some rows at a time.

    The matrices of all rows would be several times as large as everything else that a step keeps.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, vectors: Tensor, scale: Tensor | None) -> Tensor:
        ctx.save_for_backward(vectors, scale)  # type: ignore[arg-type]
        n_rows, n_fields, _ = vectors.shape
        above, _ = _triangles(n_fields, vectors.device)
        pairs = vectors.new_empty(n_rows, len(above))
        size = _rows_at_once(n_fields)
        for some, of_some in zip(*(_split(t, size) for t in (vectors, pairs)), strict=True):
            scaled = some if scale is None else some * scale
            gram = (align(scaled) @ align(some).mT).flatten(1)
            torch.gather(gram, 1, above.expand(len(some), -1), out=of_some)
        return pairs

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        vectors, scale = ctx.saved_tensors  # type: ignore[attr-defined]
        n_rows, n_fields, _ = vectors.shape
        of_vectors = torch.empty_like(vectors)
        of_scale = None if scale is None else torch.zeros_like(scale)
        triangles = _triangles(n_fields, vectors.device)
        size = _rows_at_once(n_fields)
        gram = vectors.new_zeros(min(size, n_rows), n_fields * n_fields)
        parts = (_split(tensor, size) for tensor in (vectors, gradients[0], of_vectors))
        for some, of_pairs, of_some in zip(*parts, strict=True):
            matrices = gram[: len(some)]  # symmetric; the diagonal stays zero
            for triangle in triangles:
                matrices.scatter_(1, triangle.expand(len(some), -1), of_pairs)
            torch.bmm(matrices.unflatten(1, (n_fields, -1)), some, out=of_some)
            if of_scale is not None:
                of_scale += (some * of_some).sum((0, 1)) / 2
        if scale is not None:
            of_vectors *= scale
        return of_vectors, of_scale


@cache
def _triangles(n_fields: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return where the pairs i < j and where j > i stand in a matrix that is laid flat."""
    with torch.inference_mode(False):  # they outlive the call, and autograd is to keep them
        rows, columns = torch.triu_indices(n_fields, n_fields, 1, device=device)
        return rows * n_fields + columns, columns * n_fields + rows


def _split(tensor: Tensor, size: int) -> Sequence[Tensor]:
    """Split a tensor by rows; torch takes longer to find that there is nothing to split."""
    return (tensor,) if len(tensor) <= size else tensor.split(size)


def _rows_at_once(n_fields: int) -> int:
    return max(1, NUMBERS_AT_ONCE // n_fields**2)


class OuterCrosses(nn.Module):
    """Weigh the outer product of every pair of embeddings: ``e_i^T W_ij e_j``.

    Parameters
    ----------
    n_fields : int
        Number F of fields.
    embedding_dim : int
        Length D of an embedding.

    Notes
    -----
    Shapes: embeddings (B, F, D) to (B, P); the weight is (P, D, D).
    """

    def __init__(self, n_fields: int, embedding_dim: int) -> None:
        super().__init__()
        self.n_fields = n_fields
        self.weight = undrawn(comb(n_fields, 2), embedding_dim, embedding_dim)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the weights, Glorot-uniform within each matrix."""
        bound = (3 / self.weight.shape[-1]) ** 0.5
        self.weight.uniform_(-bound, bound, generator=generator)

    def write(self, graph: Graph, embeddings: str, pairs: Sequence[tuple[int, ...]]) -> str:
        """Add the numbers of some pairs to a graph: embeddings (B, F, D) to (B, P')."""
        listed = combinations(range(self.n_fields), 2)
        place: dict[tuple[int, ...], int] = {fields: k for k, fields in enumerate(listed)}
        left, right = (take(graph, embeddings, ends) for ends in zip(*pairs, strict=True))
        # (B, P', 1, D) times (P', D, D): every pair has a matrix of its own.
        weight = self.weight[[place[fields] for fields in pairs]]
        turned = graph.add("MatMul", insert_axis(graph, left, 2), weight)
        product = graph.add("Mul", sum_over(graph, turned, 2), right)
        return sum_over(graph, product, 2)

    def forward(self, embeddings: Tensor, others: Tensor | None = None) -> Tensor:
        """Return one number per pair of fields, (B, P).

        Parameters
        ----------
        embeddings : Tensor of shape (B, F, D)
        others : Tensor of shape (B, F, D), optional
            Embeddings for the second field of every pair; by default the same.
        """
        others = embeddings if others is None else others
        n_fields = embeddings.shape[1]
        weights = self.weight.split([n_fields - 1 - first for first in range(n_fields - 1)])
        blocks = []
        for first, weight in enumerate(weights):
            # (B, D) and (F', D, D) give (B, F', D): e_i^T W_ij for the F' later fields j.
            turned = torch.einsum("bd,pde->bpe", embeddings[:, first], weight)
            blocks.append((turned * others[:, first + 1 :]).sum(-1))
        return torch.cat(blocks, -1)
