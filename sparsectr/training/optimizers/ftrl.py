"""FTRL-proximal for dense parameters, number by number."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from sparsectr.kernels.ftrl import ftrl_
from sparsectr.training.optimizers.per_parameter import (
    PerParameterOptimizer,
    require_not_negative,
    require_positive,
)


class FTRL(PerParameterOptimizer):
    r"""Follow the regularised leader, one number at a time.

    With gradient :math:`g`, accumulator :math:`n` and linear term :math:`z`,

    .. math::
        n' = n + g^2, \quad z' = z + g - \frac{\sqrt{n'} - \sqrt{n}}{lr} w, \quad
        w' = -\frac{\operatorname{sign}(z') \max(|z'| - l_1, 0)}
                   {(\beta + \sqrt{n'}) / lr + l_2},

    so a weight is exactly zero if and only if :math:`|z'| \le l_1`. Without l1 and l2 this is
    gradient descent with step :math:`lr / (\beta + \sqrt{n'})`.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Parameters with dense gradients.
    lr : float, default=0.05
        Learning rate (alpha in the paper). Keep it: a weight is a function of z, n and ``lr``.
    beta : float, default=1.0
        Larger values make the first steps smaller; 0 forgets the initial weights.
    l1 : float, default=0.01
        Threshold of z below which a weight is zero.
    l2 : float, default=0.01
        Strength of the squared penalty ``l2 / 2 * w**2``.
    initial_accumulator : float, default=0.0
        Start of n.
    gradient_scale : float, default=1.0
        Multiplies every gradient. With the gradient of a mean loss and the number of rows of
        the batch here, l1, l2 and beta have the scale of the sum loss and do not depend on the
        batch size. Read from the parameter group in every step.
    going_on : bool, default=False
        Whether the weights were trained under these penalties before. z then starts where its
        closed form returns them, so that they do not pay for the threshold once more.

    Raises
    ------
    ValueError
        If a parameter is out of range, or, in ``step``, a gradient is sparse.

    Notes
    -----
    State of a parameter: ``linear`` (z) and ``accumulator`` (n), both of its shape.

    Source: H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013,
    algorithm 1. Differences:

    - the first proximal term is centred at the initial weights,
      :math:`z = -(\beta + \sqrt{n}) / lr \, w`; in the paper it is centred at 0, which forgets
      them. The penalties are centred at 0 in both.
    - ``initial_accumulator`` and ``gradient_scale`` are not in the paper. TensorFlow's FTRL with
      its l2 is this one with ``beta=0``, ``initial_accumulator=0.1`` and twice that l2.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import FTRL
    >>> weights = torch.nn.Parameter(torch.tensor([1.0, 1e-3]))
    >>> optimizer = FTRL([weights], lr=0.1, l1=0.5)
    >>> weights.grad = torch.tensor([0.0, 0.4])
    >>> optimizer.step()
    >>> (weights == 0).tolist()
    [False, True]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.05,
        beta: float = 1.0,
        l1: float = 0.01,
        l2: float = 0.01,
        initial_accumulator: float = 0.0,
        gradient_scale: float = 1.0,
        going_on: bool = False,
    ) -> None:
        require_positive(lr=lr, gradient_scale=gradient_scale)
        require_not_negative(beta=beta, l1=l1, l2=l2, initial_accumulator=initial_accumulator)
        if beta == l2 == initial_accumulator == 0:
            raise ValueError(
                "one of beta, l2 and initial_accumulator must be > 0, got 0 for all: the first "
                "step would divide by zero."
            )
        defaults = {
            "lr": lr,
            "beta": beta,
            "l1": l1,
            "l2": l2,
            "initial_accumulator": initial_accumulator,
            "gradient_scale": gradient_scale,
            "going_on": going_on,
        }
        super().__init__(params, defaults)

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if gradient.is_sparse:
            raise ValueError(
                "FTRL needs dense gradients, got a sparse one. Use GroupFTRL for embedding tables."
            )
        if not state:
            # NOTE[DIFF] centred at the initial weights instead of at 0.
            n = group["initial_accumulator"]
            state["linear"] = parameter * (-(group["beta"] + math.sqrt(n)) / group["lr"])
            if group["going_on"]:
                state["linear"] -= group["l2"] * parameter + group["l1"] * parameter.sign()
            state["accumulator"] = torch.full_like(parameter, n)
        ftrl_(
            parameter,
            state["linear"],
            state["accumulator"],
            gradient,
            lr=group["lr"],
            beta=group["beta"],
            l1=group["l1"],
            l2=group["l2"],
            gradient_scale=group["gradient_scale"],
        )
