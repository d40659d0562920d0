"""Linear layers that leave torch's random state alone."""

import torch

from sparsectr.nn.linear import UndrawnLinear


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    layer = UndrawnLinear(3, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.weight.shape == (2, 3)
    assert layer.bias.shape == (2,)
