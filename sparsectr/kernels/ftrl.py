"""One step of FTRL-proximal: per number, and per row of an embedding table.

With gradient g, accumulator n, linear term z and weight w, all element by element::

    n' = n + g**2        z' = z + g - (sqrt(n') - sqrt(n)) / lr * w
    w' = -shrink(z') / ((beta + sqrt(n')) / lr + l2)

Only ``shrink``, which makes weights exactly zero, differs between the two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sparsectr.kernels.fused import fused
from sparsectr.kernels.rows import decay_lookups, touched_rows


def ftrl_(
    weights: Tensor,
    linear: Tensor,
    accumulator: Tensor,
    gradient: Tensor,
    *,
    lr: float,
    beta: float,
    l1: float,
    l2: float,
    gradient_scale: float,
) -> None:
    """Take one FTRL step on every number of a tensor.

    A weight becomes exactly zero if and only if ``abs(z') <= l1``.

    Parameters
    ----------
    weights, linear, accumulator : Tensor, all of one shape
        The weights, z and n, changed in place.
    gradient : Tensor of the same shape
        Dense gradient.
    lr, beta, l1, l2, gradient_scale : float
        As in `sparsectr.training.optimizers.FTRL`.
    """
    root = _accumulate_(weights, linear, accumulator, gradient * gradient_scale, lr)
    curvature = root.add_(beta).div_(lr).add_(l2)
    weights.copy_(functional.softshrink(linear, l1).div_(curvature).neg_())


@fused(cpu="optimizers.ftrl", numbers=lambda *tensors, **_: (*tensors[:3], tensors[4]))
def group_ftrl_rows_(
    table: Tensor,
    linear: Tensor,
    accumulator: Tensor,
    rows: Tensor,
    values: Tensor,
    *,
    lr: float,
    beta: float,
    l1: float,
    l2: float,
    gradient_scale: float,
    lookup_decay: Tensor | None = None,
    n_rows: int = 1,
) -> None:
    """Take one group-lasso FTRL step on the rows of a batch and leave all other rows alone.

    A row becomes exactly zero if and only if the norm of its z' is at most ``l1 * sqrt(D)``.

    Parameters
    ----------
    table, linear, accumulator : Tensor of shape (V, D)
        The weights, z and n, changed in place.
    rows : Tensor of shape (N,)
        Row numbers of the lookups; a row may come several times.
    values : Tensor of shape (N, D)
        Gradient of every lookup.
    lr, beta, l1, l2, gradient_scale : float
        As in `sparsectr.training.optimizers.GroupFTRL`.
    lookup_decay : Tensor of shape (V,), optional
        As in `sparsectr.kernels.rows.decay_lookups`.
    n_rows : int, default=1
        As there.
    """
    values = decay_lookups(table, rows, values, lookup_decay, n_rows)
    rows, gradient = touched_rows(rows, values)
    n = accumulator.index_select(0, rows)
    z = linear.index_select(0, rows)
    root = _accumulate_(table.index_select(0, rows), z, n, gradient.mul_(gradient_scale), lr)
    curvature = root.add_(beta).div_(lr).add_(l2)
    linear.index_copy_(0, rows, z)
    accumulator.index_copy_(0, rows, n)
    table.index_copy_(0, rows, _shrink_rows(z, l1).div_(curvature).neg_())


def _accumulate_(
    weights: Tensor, linear: Tensor, accumulator: Tensor, gradient: Tensor, lr: float
) -> Tensor:
    """Add a gradient to z and n in place and return sqrt(n)."""
    previous_root = accumulator.sqrt()
    root = accumulator.addcmul_(gradient, gradient).sqrt()
    linear.add_(gradient).addcmul_(root - previous_root, weights, value=-1 / lr)
    return root


def _shrink_rows(z: Tensor, l1: float) -> Tensor:
    """Shorten every row of z (R, D) by l1 * sqrt(D), down to exactly zero."""
    norm: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)  # (R, 1)
    kept = (norm - l1 * math.sqrt(z.shape[1])).clamp_(min=0)
    return z * (kept / norm.clamp_(min=torch.finfo(z.dtype).tiny))
