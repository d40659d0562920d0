"""Fused version of `sparsectr.kernels.adam`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsectr.kernels.adam import DenseTensors, corrections
from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.jit import compiled


def adam_(
    parameters: Sequence[DenseTensors],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Take one Adam step on every number of some tensors; see the reference."""
    rate, scale = corrections(step, lr, betas)
    # 1 - beta needs its own rounding: that of 0.999 is 1e-5 of 0.001.
    options = np.array([rate, scale, 1 - betas[0], 1 - betas[1], eps, weight_decay], np.float32)
    for tensors in parameters:
        _adam(*[as_array(tensor).reshape(-1) for tensor in tensors], options)


@compiled
def _adam(weights: Any, mean: Any, square: Any, gradients: Any, options: Any) -> None:
    rate, scale, share_1, share_2, eps, weight_decay = options
    for k in range(len(weights)):
        gradient = gradients[k] + weight_decay * weights[k]
        first = mean[k] + share_1 * (gradient - mean[k])
        second = square[k] + share_2 * (gradient * gradient - square[k])
        mean[k] = first
        square[k] = second
        weights[k] -= rate * first / (np.sqrt(second) * scale + eps)
