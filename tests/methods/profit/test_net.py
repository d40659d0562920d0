"""The kept net: an independent forward pass, and what single crosses do."""

import numpy as np
import pytest
import torch

from sparsectr.methods.profit.net import ProfitConfig, ProfitNet

SIZES, D = [3, 5, 2, 4], 3
CROSSES = ((0, 1), (1, 3), (0, 1, 2))


def make_net(predictor, n_outputs):
    config = ProfitConfig(CROSSES, predictor, hidden_units=(6, 5), dropout=0.5)
    net = ProfitNet(SIZES, D, n_outputs, config).double().eval()
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    for parameter in net.parameters():
        parameter.data.normal_(generator=generator)
    return net


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(n, (50,), generator=generator) for n in SIZES], 1).int()


def numpy_logits(net, codes, weights):
    state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    rows = codes.numpy() + np.cumsum([0, *SIZES[:-1]])
    e = state["embedding.weight"][rows]  # (B, F, D)
    crosses = [w * np.prod([e[:, f] for f in c], 0) for w, c in zip(weights, CROSSES, strict=True)]
    logits = state["predictor.linear.table.weight"][rows].sum(1) + state["predictor.linear.bias"]
    if net.config.predictor == "linear":
        return logits + sum(crosses) @ net.predictor.readout.weight.detach().numpy().T
    x = np.concatenate([e.reshape(len(e), -1), *crosses], 1)
    for layer in range(3):
        x = x @ state[f"predictor.mlp.layers.{layer}.weight"].T
        x = x + state[f"predictor.mlp.layers.{layer}.bias"]
        x = np.maximum(x, 0) if layer < 2 else x
    return logits + x


@pytest.mark.parametrize("predictor", ["linear", "mlp"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_forward_equals_an_independent_pass(predictor, n_outputs, codes):
    net = make_net(predictor, n_outputs)
    expected = numpy_logits(net, codes, net.architecture.weight.detach().numpy())
    np.testing.assert_allclose(net(codes).detach().numpy(), expected, rtol=0, atol=1e-11)


def test_fixed_weights_want_no_gradient():
    config = ProfitConfig(CROSSES, learn_weights=False)
    assert not ProfitNet(SIZES, D, 1, config).architecture.weight.requires_grad
