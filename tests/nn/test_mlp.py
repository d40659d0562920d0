import numpy as np
import pytest
import torch

from sparsectr.nn.mlp import MLP


def make_mlp(hidden_units=(5, 3), n_outputs=2, dropout=0.0, seed=0, n_inputs=4):
    mlp = MLP(n_inputs, hidden_units, n_outputs, dropout).double()
    mlp.reset_parameters(torch.Generator().manual_seed(seed), output_bias=0.5)
    return mlp


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("hidden_units", [(), (6,), (5, 3)])
def test_it_agrees_with_numpy(hidden_units):
    mlp = make_mlp(hidden_units)
    x = draw(7, 4)

    expected = x.numpy()
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in mlp.layers]
    for weight, bias in layers[:-1]:
        expected = np.maximum(expected @ weight.T + bias, 0)
    expected = expected @ layers[-1][0].T + layers[-1][1]

    np.testing.assert_allclose(mlp(x).detach().numpy(), expected, rtol=0, atol=1e-13)


def test_the_rest_of_the_network_completes_the_first_layer():
    mlp, x = make_mlp(), draw(7, 4)
    assert torch.equal(mlp.after_first(mlp.layers[0](x)), mlp(x))


@pytest.mark.parametrize(
    ("n_inputs", "n_rows", "n_fill"), [(30, 5000, 0), (300, 5000, 4), (300, 7, 0), (304, 5000, 0)]
)
def test_training_on_many_rows_fills_wide_inputs_up(n_inputs, n_rows, n_fill):
    mlp = make_mlp(n_inputs=n_inputs)
    assert mlp.eval().n_fill(n_rows) == 0
    assert mlp.train().n_fill(n_rows) == n_fill


@pytest.mark.parametrize(("n_inputs", "n_fill"), [(30, 0), (300, 4), (304, 0)])
def test_zeros_behind_the_inputs_change_nothing(n_inputs, n_fill):
    mlp, x = make_mlp(n_inputs=n_inputs).train(), draw(7, n_inputs)
    filled = torch.cat([x, x.new_zeros(7, n_fill)], 1)
    plain, with_fill = (
        (logits, *torch.autograd.grad(logits.sum(), mlp.first.weight))
        for logits in (mlp(x), mlp(filled))
    )
    torch.testing.assert_close(with_fill, plain)


def test_the_output_bias_is_what_a_network_of_zeros_returns():
    assert make_mlp(hidden_units=())(torch.zeros(1, 4).double()).tolist() == [[0.5, 0.5]]


def test_weights_and_dropout_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, again = make_mlp(dropout=0.5), make_mlp(dropout=0.5)
    assert torch.equal(first(draw(7, 4)), again(draw(7, 4)))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_keeps_the_mean_and_drops_its_share():
    dropout = make_mlp(dropout=0.3).dropout
    dropped = dropout(torch.ones(100_000, dtype=torch.float64))
    # Four standard errors of a share of 0.3 in 100,000 draws.
    assert (dropped == 0).double().mean().item() == pytest.approx(0.3, abs=0.006)
    assert torch.allclose(dropped[dropped != 0], torch.tensor(1 / 0.7).double(), atol=1e-12)


def test_dropout_is_off_in_evaluation_mode():
    mlp, plain = make_mlp(dropout=0.5).eval(), make_mlp().eval()
    assert torch.equal(mlp(draw(7, 4)), plain(draw(7, 4)))


def test_dropout_without_a_generator_says_what_to_do():
    with pytest.raises(ValueError, match="seed_dropout"):
        MLP(2, (3,), 1, dropout=0.5)(torch.zeros(1, 2))


def test_dropout_after_a_restart_needs_only_the_generator():
    trained = make_mlp(dropout=0.5)
    rebuilt = MLP(4, (5, 3), 2, dropout=0.5).double()
    rebuilt.load_state_dict(trained.state_dict())
    for mlp in (trained, rebuilt):
        mlp.seed_dropout(torch.Generator().manual_seed(3))
    assert torch.equal(trained(draw(7, 4)), rebuilt(draw(7, 4)))
