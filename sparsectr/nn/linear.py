"""Layers and parameters whose numbers come from a generator of their own."""

import torch
from torch import nn


def undrawn(*shape: int) -> nn.Parameter:
    """Return a parameter of float32 with arbitrary content, on the CPU.

    Whatever torch's global defaults are: a net is the same net under all of them.
    """
    return nn.Parameter(torch.empty(shape, dtype=torch.float32, device="cpu"))


class UndrawnLinear(nn.Linear):
    """A linear layer without initial values.

    `nn.Linear` draws them from torch's global random state, which is not ours to touch: the
    owner of the layer draws them from its generator. Type and device are those of `undrawn`.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, dtype=torch.float32, device="cpu")

    def reset_parameters(self) -> None:
        """Draw nothing; called at the end of construction."""
