"""Crosses that tell the same story twice."""

from __future__ import annotations

import torch
from torch import Tensor

# Correlation from which on two crosses share an effect.
SHARED = 0.5
TINY = 1e-30


def find_shared(effects: Tensor) -> list[list[int]]:
    """Find crosses whose effects on rows go together, as those of a field and its copy do.

    Parameters
    ----------
    effects : Tensor of shape (P, n, K)
        What crosses add to the logits of rows.

    Returns
    -------
    list of P lists of int
        For each cross the places of those whose effects correlate with its own by more than .5 in
        absolute value, closest first.
    """
    centred = (effects.double() - effects.double().mean(1, keepdim=True)).flatten(1)
    centred = centred / centred.norm(dim=1, keepdim=True).clamp(min=TINY)
    alike = (centred @ centred.T).abs()
    alike.fill_diagonal_(0)
    order = torch.argsort(alike, dim=1, descending=True, stable=True)
    n_shared = (alike > SHARED).sum(1).tolist()
    return [places[:n] for places, n in zip(order.tolist(), n_shared, strict=True)]
