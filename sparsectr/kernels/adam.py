"""One step of Adam on the numbers of a dense parameter."""

from __future__ import annotations

from torch import Tensor

from sparsectr.kernels.dispatch import fused_version


def adam_(
    weights: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    gradient: Tensor,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> None:
    """Take one Adam step on every number of a tensor.

    Parameters
    ----------
    weights, exp_avg, exp_avg_sq : Tensor, all of one shape
        The weights and both moments, changed in place.
    gradient : Tensor of the same shape
        Dense gradient.
    step : int
        Number of this step, the first is 1.
    lr, betas, eps, weight_decay : float or pair of float
        As in `sparsectr.training.optimizers.DenseAdam`.
    """
    in_place = weights, exp_avg, exp_avg_sq
    fused = fused_version("adam", *in_place, gradient)
    rate = lr / (1 - betas[0] ** step)
    scale = (1 - betas[1] ** step) ** -0.5
    if fused and all(tensor.is_contiguous() for tensor in in_place):
        fused.adam_(*in_place, gradient, rate, scale, betas, eps, weight_decay)
        return
    gradient = gradient.add(weights, alpha=weight_decay)
    exp_avg.lerp_(gradient, 1 - betas[0])
    exp_avg_sq.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    weights.addcdiv_(exp_avg, exp_avg_sq.sqrt().mul_(scale).add_(eps), value=-rate)
