"""Linear layers that leave torch's random state alone and take every row alike."""

import pytest
import torch

from sparsectr.nn.linear import UndrawnLinear
from sparsectr.training.prediction import CPU_BATCH


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    layer = UndrawnLinear(3, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.weight.shape == (2, 3)
    assert layer.bias.shape == (2,)


@pytest.mark.parametrize("n_inputs", [1, 5, 6, 7, 10, 17, 31, 66, 128, 390])
def test_outputs_are_the_same_bits_at_any_place_in_a_batch(n_inputs):
    generator = torch.Generator().manual_seed(n_inputs)
    x = torch.randn(CPU_BATCH, n_inputs, generator=generator)
    order = torch.randperm(CPU_BATCH, generator=generator)
    for n_outputs in [*range(1, 18), 33, 64]:
        layer = UndrawnLinear(n_inputs, n_outputs).requires_grad_(False).eval()
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
        outputs = layer(x)
        assert outputs.shape == (CPU_BATCH, n_outputs)
        assert torch.equal(layer(x[order]), outputs[order]), n_outputs
        exact = x.double() @ layer.weight.double().T + layer.bias.double()
        torch.testing.assert_close(outputs.double(), exact, rtol=0, atol=1e-4)
        torch.testing.assert_close(layer.train()(x), outputs, rtol=0, atol=1e-4)
