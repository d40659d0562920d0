"""Linear layers whose numbers come from a generator of their own."""

from torch import nn


class UndrawnLinear(nn.Linear):
    """A linear layer without initial values.

    `nn.Linear` draws them from torch's global random state, which is not ours to touch: the
    owner of the layer draws them from its generator.
    """

    def reset_parameters(self) -> None:
        """Draw nothing; called at the end of construction."""
