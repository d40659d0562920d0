import numpy as np
import pytest
import torch

from sparsectr.nn.ablation import closing_effects, first_order_strengths
from sparsectr.nn.mlp import MLP


def make(hidden_units, n_outputs=1):
    mlp = MLP(5, hidden_units, n_outputs).double().eval()
    generator = torch.Generator().manual_seed(0)
    mlp.reset_parameters(generator)
    # More rows than one pass takes, so that passes are put together.
    return mlp, torch.randn(5000, 5, generator=generator, dtype=torch.float64) + 1


def test_both_are_exact_for_a_linear_network():
    mlp, inputs = make(())
    effects = mlp.first.weight[0] * inputs
    expected = effects.detach().numpy().std(axis=0)
    np.testing.assert_allclose(first_order_strengths(mlp, inputs), expected, rtol=1e-10)
    found = closing_effects(mlp, inputs, range(5))
    torch.testing.assert_close(found, effects.T[:, :, None], rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_closing_is_setting_an_input_to_zero(n_outputs):
    mlp, inputs = make((7, 4), n_outputs)
    found = closing_effects(mlp, inputs, [3, 1])
    for effect, column in zip(found, [3, 1], strict=True):
        without = inputs.clone()
        without[:, column] = 0
        torch.testing.assert_close(effect, mlp(inputs) - mlp(without), rtol=0, atol=1e-12)


def test_no_columns_have_no_effects():
    mlp, inputs = make((7,))
    assert closing_effects(mlp, inputs, []).shape == (0, 5000, 1)
