"""Layers and parameters whose numbers come from a generator of their own."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# From so many outputs on, a product of a batch takes every row in the same way.
WIDE = 16


def undrawn(*shape: int) -> nn.Parameter:
    """Return a parameter of float32 with arbitrary content, on the CPU.

    Whatever torch's global defaults are: a net is the same net under all of them.
    """
    return nn.Parameter(torch.empty(shape, dtype=torch.float32, device="cpu"))


def apply_evenly(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, with the same bits for a row at any place in the batch.

    For x (..., n_inputs), weight (n_outputs, n_inputs) and bias (n_outputs,), the result is
    (..., n_outputs). Products with few columns take the rows at the end of a batch in another
    order of additions than those before. For predictions they are filled up with columns of
    zeros; a single column needs none.
    """
    n_outputs = weight.shape[0]
    if not 1 < n_outputs < WIDE:
        return functional.linear(x, weight, bias)
    n_fill = WIDE - n_outputs
    if bias is not None:
        bias = functional.pad(bias, (0, n_fill))
    filled = functional.linear(x, functional.pad(weight, (0, 0, 0, n_fill)), bias)
    return filled[..., :n_outputs]


class UndrawnLinear(nn.Linear):
    """A linear layer without initial values.

    `nn.Linear` draws them from torch's global random state, which is not ours to touch: the
    owner of the layer draws them from its generator. Type and device are those of `undrawn`.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, dtype=torch.float32, device="cpu")

    def reset_parameters(self) -> None:
        """Draw nothing; called at the end of construction."""

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (..., n_outputs) of inputs (..., n_inputs)."""
        if self.training:
            return super().forward(x)
        return apply_evenly(x, self.weight, self.bias)
