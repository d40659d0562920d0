"""What single inputs of an MLP add to its logits."""

from __future__ import annotations

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


@torch.inference_mode()
def closing_strengths(mlp: MLP, inputs: Tensor, columns: Tensor) -> Tensor:
    """Measure the strength of some inputs: by how much the logits change without each of them.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode.
    inputs : Tensor of shape (n, n_inputs)
        Rows.
    columns : Tensor of shape (Q,), int64
        The inputs to set to zero, one after the other.

    Returns
    -------
    Tensor of shape (Q,)
        Standard deviation over the rows; with K > 1 logits its root mean square over them.
    """
    spread = _Spread()
    first = mlp.first
    for rows in inputs.split(ROWS_AT_ONCE):
        hidden = first(rows)
        logits = mlp.after_first(hidden)
        # Without one input only its column of the first layer goes.
        changes = [
            logits - mlp.after_first(torch.addr(hidden, rows[:, column], weight, alpha=-1))
            for column, weight in zip(columns.tolist(), first.weight.T[columns], strict=True)
        ]
        if changes:
            spread.add(torch.stack(changes, -1).permute(1, 0, 2))
    return spread.strengths() if len(columns) else inputs.new_zeros(0)


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
