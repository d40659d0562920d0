"""The penalty of the embeddings of a batch."""

from __future__ import annotations

from torch import Tensor

from sparsectr.kernels.dispatch import fused_version


def weighted_squares(embeddings: Tensor, shares: Tensor) -> Tensor:
    """Sum ``share * |e|^2`` over all look-ups.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, D)
    shares : Tensor of shape (B, F)
        Without gradient.

    Returns
    -------
    Tensor of shape ()
    """
    if fused := fused_version("prior", embeddings, shares):
        return fused.weighted_squares(embeddings, shares)  # type: ignore[no-any-return]
    return (embeddings.square().sum(-1) * shares).sum()
