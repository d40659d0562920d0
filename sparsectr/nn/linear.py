"""Linear layers whose numbers come from a generator of their own."""

from torch import nn
from torch.nn.utils import skip_init


def make_linear(n_inputs: int, n_outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer without initial values.

    ``nn.Linear`` draws them from torch's global random state, which is not ours to touch: the
    owner of the layer draws them from its generator.
    """
    layer = skip_init(nn.Linear, n_inputs, n_outputs, bias=bias)
    return layer  # type: ignore[no-any-return]
