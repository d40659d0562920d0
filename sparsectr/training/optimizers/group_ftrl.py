"""Group-lasso FTRL for embedding tables: whole rows become exactly zero."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.optimizer import ParamsT

from sparsectr.kernels.ftrl import group_ftrl_rows_
from sparsectr.kernels.rows import split_gradient
from sparsectr.training.optimizers.per_parameter import (
    PerParameterOptimizer,
    require_not_negative,
    require_positive,
)


class GroupFTRL(PerParameterOptimizer):
    r"""Follow the regularised leader with a group lasso on the rows of a table.

    The accumulators :math:`n', z'` are those of FTRL, number by number, for the rows that the
    batch has touched. With the threshold :math:`T = l_1 \sqrt{D}`, a row of the table becomes

    .. math::
        w' = -z' \, \frac{\max(\|z'\| - T, 0) / \|z'\|}{(\beta + \sqrt{n'}) / lr + l_2},

    exactly zero if and only if :math:`\|z'\| \le T`. Until then rare values stay out of the
    model: from zero, the gradients of a row must add up to more than T. All other rows keep
    their bits, so a step costs the same for a table of ten thousand and of ten million rows.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        Embedding tables (V, D), with sparse gradients. A dense gradient touches every row.
    lr : float, default=0.05
        Learning rate (alpha in the paper). Keep it: a row is a function of z, n and ``lr``.
    beta : float, default=1.0
        Larger values make the first steps smaller; 0 forgets the initial rows.
    l1 : float, default=0.1
        Strength of the group lasso ``l1 * sqrt(D) * norm(row)``.
    l2 : float, default=0.1
        Strength of the squared penalty ``l2 / 2 * norm(row)**2``.
    gradient_scale : float, default=1.0
        Multiplies every gradient. With the gradient of a mean loss and the number of rows of
        the batch here, l1, l2 and beta have the scale of the sum loss and do not depend on the
        batch size. Read from the parameter group in every step.
    going_on : bool, default=False
        Whether the rows were trained under these penalties before. z then starts where its
        closed form returns them, so that they do not pay for the threshold once more.

    Raises
    ------
    ValueError
        If a parameter is out of range, or, in ``step``, a gradient is not 2-d.

    Notes
    -----
    State of a table: ``linear`` (z) and ``accumulator`` (n), both (V, D).

    The closed form minimises the regularised objective of the row where n is constant in the
    row. Where it is not, it is an approximation; its zero test is exact all the same.

    Source: X. Ni et al., "Feature selection for Facebook feed ranking system via a
    group-sparsity-regularized training algorithm", CIKM 2019. Differences:

    - the first proximal term is centred at the initial rows, :math:`z = -\beta / lr \, w`; the
      released implementations centre it at 0, which forgets them. The penalties are centred at 0
      in both: a z that contained the threshold would be a standing gradient against it, and no row
      without gradients would ever become zero.
    - Only touched rows are updated; a dense update would recompute all of them.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.training.optimizers import GroupFTRL, zero_row_share
    >>> table = torch.nn.Parameter(torch.zeros(4, 2))
    >>> optimizer = GroupFTRL([table], l1=1.0)
    >>> table.grad = torch.tensor([[5.0, 0.0], [1.0, 0.9], [1.0, 1.1], [0.0, 0.0]])
    >>> optimizer.step()
    >>> zero_row_share(table)
    0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.05,
        beta: float = 1.0,
        l1: float = 0.1,
        l2: float = 0.1,
        gradient_scale: float = 1.0,
        going_on: bool = False,
    ) -> None:
        require_positive(lr=lr, gradient_scale=gradient_scale)
        require_not_negative(beta=beta, l1=l1, l2=l2)
        if beta == l2 == 0:
            raise ValueError(
                "beta or l2 must be > 0, got 0 for both: a row without gradient would divide by "
                "zero."
            )
        defaults = {
            "lr": lr,
            "beta": beta,
            "l1": l1,
            "l2": l2,
            "gradient_scale": gradient_scale,
            "going_on": going_on,
        }
        super().__init__(params, defaults)

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        rows, values = split_gradient(gradient)
        if not state:
            state["linear"] = _first_linear(parameter, group)
            state["accumulator"] = torch.zeros_like(parameter)
        # NOTE[DIFF] only the rows of the batch.
        group_ftrl_rows_(
            parameter,
            state["linear"],
            state["accumulator"],
            rows,
            values,
            lr=group["lr"],
            beta=group["beta"],
            l1=group["l1"],
            l2=group["l2"],
            gradient_scale=group["gradient_scale"],
            lookup_decay=self._decay_of(parameter),
            n_rows=self.n_rows,
        )


def zero_row_share(table: Tensor) -> float:
    """Return the share of the rows of a table (V, D) that are exactly zero."""
    return 1.0 - table.any(dim=1).double().mean().item()


def _first_linear(table: Tensor, group: dict[str, Any]) -> Tensor:
    """Return the z (V, D) to start from."""
    # NOTE[DIFF] centred at the initial rows instead of at 0.
    linear = table * (-group["beta"] / group["lr"])
    if group["going_on"]:
        threshold = group["l1"] * math.sqrt(table.shape[1])
        direction = functional.normalize(table, dim=1, eps=torch.finfo(table.dtype).tiny)
        linear.sub_(table, alpha=group["l2"]).sub_(direction, alpha=threshold)
    return linear
