"""What single inputs of an MLP add to its logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsectr.nn.mlp import MLP

ROWS_AT_ONCE = 4096


def first_order_strengths(mlp: MLP, inputs: Tensor) -> Tensor:
    """Estimate the strength of all inputs at once: gradient times input.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode.
    inputs : Tensor of shape (n, n_inputs)
        Rows.

    Returns
    -------
    Tensor of shape (n_inputs,)
        Standard deviation over the rows; with K > 1 logits its root mean square over them.
    """
    spread = _Spread()
    for rows in inputs.split(ROWS_AT_ONCE):
        rows = rows.detach().requires_grad_()
        logits = mlp(rows).sum(0)  # rows do not mix: the gradient of the sum is that of each
        gradients = [
            torch.autograd.grad(logit, rows, retain_graph=True)[0] for logit in logits.unbind()
        ]
        spread.add(torch.stack([gradient * rows.detach() for gradient in gradients]))
    return spread.strengths()


def closing_effects(mlp: MLP, inputs: Tensor, columns: Sequence[int]) -> Tensor:
    """Measure some inputs: by how much the logits fall when one of them is set to zero.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode.
    inputs : Tensor of shape (B, n_inputs)
        Rows.
    columns : sequence of int
        The Q inputs to set to zero, one after the other.

    Returns
    -------
    Tensor of shape (Q, B, K)
    """
    hidden = mlp.first(inputs)
    logits = mlp.after_first(hidden)
    # Without one input only its column of the first layer goes.
    weights = mlp.first.weight.T
    without = [
        mlp.after_first(torch.addr(hidden, inputs[:, column], weights[column], alpha=-1))
        for column in columns
    ]
    return logits - torch.stack(without) if without else logits.new_zeros(0, *logits.shape)


class _Spread:
    """Accumulate the standard deviation over rows of values (K, B, Q)."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.total: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        values = values.double()
        self.n_rows += values.shape[1]
        self.total = self.total + values.sum(1)
        self.squares = self.squares + values.square().sum(1)

    def strengths(self) -> Tensor:
        mean = torch.as_tensor(self.total) / self.n_rows
        variance = torch.as_tensor(self.squares) / self.n_rows - mean**2
        return variance.clamp(min=0).mean(0).sqrt()
