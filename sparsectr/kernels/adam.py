"""One step of Adam on the numbers of dense parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from sparsectr.kernels.fused import fused_version


class DenseTensors(NamedTuple):
    """A dense parameter, what Adam remembers of it, and its gradient, all of one shape."""

    weights: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    gradient: Tensor


def adam_(
    parameters: Sequence[DenseTensors],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Take one Adam step on every number of some tensors.

    Parameters
    ----------
    parameters : sequence of DenseTensors
        Weights and both moments are changed in place.
    step : int
        Number of this step, the first is 1.
    lr, betas, eps, weight_decay : float or pair of float
        As in `sparsectr.training.optimizers.DenseAdam`.
    """
    rate = lr / (1 - betas[0] ** step)
    scale = (1 - betas[1] ** step) ** -0.5
    fused = fused_version("adam", *(tensor for tensors in parameters for tensor in tensors))
    if fused and all(t.is_contiguous() for tensors in parameters for t in tensors[:3]):
        fused.adam_(parameters, rate, scale, betas, eps, weight_decay)
        return
    for weights, exp_avg, exp_avg_sq, gradient in parameters:
        gradient = gradient.add(weights, alpha=weight_decay)
        exp_avg.lerp_(gradient, 1 - betas[0])
        exp_avg_sq.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        weights.addcdiv_(exp_avg, exp_avg_sq.sqrt().mul_(scale).add_(eps), value=-rate)
