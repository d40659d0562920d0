import numpy as np
import pytest
import torch

from sparsectr.nn.ablation import closing_strengths, first_order_strengths
from sparsectr.nn.mlp import MLP


def make(hidden_units, n_outputs=1):
    mlp = MLP(5, hidden_units, n_outputs).double().eval()
    generator = torch.Generator().manual_seed(0)
    mlp.reset_parameters(generator)
    # More rows than one pass takes, so that passes are put together.
    return mlp, torch.randn(5000, 5, generator=generator, dtype=torch.float64) + 1


def test_both_are_exact_for_a_linear_network():
    mlp, inputs = make(())
    expected = np.abs(mlp.first.weight.detach().numpy()[0]) * inputs.numpy().std(axis=0)
    np.testing.assert_allclose(first_order_strengths(mlp, inputs), expected, rtol=1e-10)
    found = closing_strengths(mlp, inputs, torch.arange(5))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_closing_is_setting_an_input_to_zero(n_outputs):
    mlp, inputs = make((7, 4), n_outputs)
    found = closing_strengths(mlp, inputs, torch.tensor([3, 1]))
    for strength, column in zip(found.tolist(), [3, 1], strict=True):
        without = inputs.clone()
        without[:, column] = 0
        change = (mlp(inputs) - mlp(without)).detach().numpy()
        assert strength == pytest.approx(np.sqrt(change.var(axis=0).mean()), rel=1e-9)


def test_no_columns_have_no_strengths():
    mlp, inputs = make((7,))
    assert closing_strengths(mlp, inputs, torch.arange(0)).shape == (0,)
