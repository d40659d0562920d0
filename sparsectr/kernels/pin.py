"""Polynomial interaction layers: from embeddings to one sum per field."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sparsectr.kernels.fused import fused


def _tensors(*arguments: object) -> Iterator[Tensor]:
    return (argument for argument in arguments if isinstance(argument, Tensor))


@fused(cpu="dynint.pin", numbers=_tensors)
def polynomial_sums(
    embeddings: Tensor,
    weights: Tensor,
    left: Tensor | None = None,
    right: Tensor | None = None,
    n_subspaces: int = 1,
) -> Tensor:
    """Run residual interaction layers and sum every field over its coordinates.

        A_l = sum_p u_lp * (W_l (v_lp * X_0)),    X_l = X_{l-1} * (1 + A_l)

    X_0 are the embeddings of a row, cut into h subspaces: n = F h interaction rows of d = D / h
    coordinates, row s F + f for subspace s of field f.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    weights : Tensor of shape (L, n, n)
        W of every layer.
    left, right : Tensor of shape (L, B, P, n), optional
        Vectors u and v of every instance; ones if missing. ``right`` needs ``left``.
    n_subspaces : int, default=1
        Number h of subspaces.

    Returns
    -------
    Tensor of shape (B, F)
        Sum of X_L over the D coordinates of every field.

    Notes
    -----
    The fused version takes a few rows at a time through all layers, so that nothing but the
    embeddings is read from memory, and nothing is kept for the backward pass, which computes the
    layers again.
    """
    n_fields = embeddings.shape[1]
    parts = embeddings.unflatten(2, (n_subspaces, -1))  # (B, F, h, d)
    x0 = parts.permute(0, 3, 2, 1).flatten(2)  # (B, d, n): a layer is one matrix product
    x = x0
    for layer, weight in enumerate(weights):
        if left is None:
            factor = x0 @ weight.T
        else:
            terms = []
            for p in range(left.shape[2]):
                scaled = x0 if right is None else right[layer, :, None, p] * x0
                terms.append(left[layer, :, None, p] * (scaled @ weight.T))
            factor = torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]
        x = torch.addcmul(x, x, factor)
    # (B, d, n) -> (B, n) -> (B, h, F) -> (B, F)
    return x.sum(1).unflatten(1, (n_subspaces, n_fields)).sum(1)
