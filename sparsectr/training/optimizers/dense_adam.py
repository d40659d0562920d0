"""Adam for dense parameters, in one thread."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from sparsectr.kernels.adam import DenseTensors, adam_
from sparsectr.training.optimizers.per_parameter import (
    PerParameterOptimizer,
    require_betas,
    require_not_negative,
    require_positive,
)


class DenseAdam(PerParameterOptimizer):
    """Run Adam on dense parameters, without waking a thread.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Parameters of any shape, with dense gradients.
    lr : float, default=1e-3
        Learning rate.
    betas : pair of float, default=(0.9, 0.999)
        Decay of both moments, in (0, 1).
    eps : float, default=1e-8
        Added to the root of the second moment.
    weight_decay : float, default=0.0
        Times the weights, added to the gradient.

    Raises
    ------
    ValueError
        If a parameter is out of range, or, in ``step``, a gradient is sparse.

    Notes
    -----
    State of a parameter: ``exp_avg`` and ``exp_avg_sq``, both of its shape, and ``step``, an int.

    The same numbers as `torch.optim.Adam`, but for rounding. That wakes all threads of torch for
    every parameter, however small; they then wait in a loop, for longer than the update takes, on
    cores that the next kernel needs. On a GPU it is faster.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import DenseAdam
    >>> weights = torch.nn.Parameter(torch.zeros(3))
    >>> optimizer = DenseAdam([weights], lr=0.5)
    >>> weights.grad = torch.tensor([2.0, -1.0, 0.0])
    >>> optimizer.step()
    >>> weights.detach().round(decimals=3).tolist()
    [-0.5, 0.5, 0.0]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        require_positive(lr=lr, eps=eps)
        require_not_negative(weight_decay=weight_decay)
        require_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _update_group(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        # By the number of their step, which is the same for all that always have a gradient.
        in_step: dict[int, list[DenseTensors]] = {}
        for parameter in parameters:
            gradient: Tensor = parameter.grad  # type: ignore[assignment]
            if gradient.is_sparse:
                raise ValueError(
                    "DenseAdam needs dense gradients, got a sparse one. Use RowAdam for embedding "
                    "tables."
                )
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1
            tensors = DenseTensors(parameter, state["exp_avg"], state["exp_avg_sq"], gradient)
            in_step.setdefault(state["step"], []).append(tensors)
        for step, together in in_step.items():
            adam_(
                together,
                step=step,
                lr=group["lr"],
                betas=group["betas"],
                eps=group["eps"],
                weight_decay=group["weight_decay"],
            )
