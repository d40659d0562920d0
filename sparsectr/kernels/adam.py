"""One step of Adam on the numbers of dense parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from torch import Tensor

from sparsectr.kernels.fused import fused


class DenseTensors(NamedTuple):
    """A dense parameter, what Adam remembers of it, and its gradient, all of one shape."""

    weights: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    gradient: Tensor


def corrections(step: int, lr: float, betas: tuple[float, float]) -> tuple[float, float]:
    """Return step size and scale of a step, both corrected for moments that start at zero."""
    return lr / (1 - betas[0] ** step), (1 - betas[1] ** step) ** -0.5


def _tensors(parameters: Sequence[DenseTensors], **_: object) -> Iterator[Tensor]:
    return chain.from_iterable(parameters)


def _lie_in_order(parameters: Sequence[DenseTensors], **_: object) -> bool:
    return all(tensor.is_contiguous() for tensors in parameters for tensor in tensors[:3])


@fused(cpu="optimizers.adam", numbers=_tensors, covers=_lie_in_order)
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
    rate, scale = corrections(step, lr, betas)
    for weights, exp_avg, exp_avg_sq, gradient in parameters:
        gradient = gradient.add(weights, alpha=weight_decay)
        exp_avg.lerp_(gradient, 1 - betas[0])
        exp_avg_sq.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        weights.addcdiv_(exp_avg, exp_avg_sq.sqrt().mul_(scale).add_(eps), value=-rate)
