import itertools

import numpy as np
import pytest
import torch

from sparsectr.methods.optfeature.net import ChosenGates, OptFeatureConfig, OptFeatureNet

SIZES = [5, 7, 4, 6]


def make_net(seed=0, n_outputs=1, shake=0.0, **config):
    config = {"selection_dim": 3, "selection_rank": 7, "hidden_units": (8, 4)} | config
    net = OptFeatureNet(SIZES, 4, n_outputs, OptFeatureConfig(**config)).double()
    generator = torch.Generator().manual_seed(seed)
    net.reset_weights(generator, 0.3)
    net.reset_selection(generator)
    with torch.no_grad():
        for part in (net.embedding.weight[:, 4:], *net.selections.parameters()):
            part += shake * torch.empty_like(part).normal_(generator=generator)
    return net.eval()


def draw_codes(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.column_stack([rng.integers(size, size=n_rows) for size in SIZES]))


def ipnn(net, codes):
    """Compute the logits of a product network without gates, in NumPy."""
    table = net.embedding.weight.detach().numpy()[:, :4]
    e = table[codes.numpy() + net.embedding.offsets.numpy()]  # (B, F, D)
    sets = [c for order in net.config.orders for c in itertools.combinations(range(4), order)]
    products = [e[:, list(fields)].prod(axis=1).sum(-1) for fields in sets]
    x = np.column_stack([e.reshape(len(e), -1), *products])
    layers = [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in net.mlp.layers
    ]
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    return x @ layers[-1][0].T + layers[-1][1]


@pytest.mark.parametrize("orders", [(2,), (3,), (2, 3), (2, 4)])
@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_it_starts_as_a_product_network(granularity, orders):
    net, codes = make_net(granularity=granularity, orders=orders, n_outputs=2), draw_codes(30)
    np.testing.assert_allclose(net(codes).detach(), ipnn(net, codes), rtol=0, atol=1e-13)


@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_open_gates_change_no_bit(granularity):
    net, codes = make_net(granularity=granularity), draw_codes(30)
    embeddings, _ = net.look_up(codes)
    assert torch.equal(net(codes), net.predict(embeddings, None))


@pytest.mark.parametrize("operator", ["inner", "outer"])
@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
def test_the_pruned_net_is_the_masked_net(granularity, operator):
    net = make_net(granularity=granularity, operator=operator, shake=1.0, seed=3)
    if granularity == "hybrid":
        # Every other cross follows its fields; with the scores turned round, some are closed.
        net.selections[0].alpha.data.copy_(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
        net.selections[0].field_scorer.scale.data.neg_()
    codes = draw_codes(200)
    embeddings, vectors = net.look_up(codes)
    gates = net.chosen_gates(vectors)
    assert 0 < gates.double().mean() < 1
    masked = net.predict(embeddings, gates.double())
    pruned = net.prune()
    torch.testing.assert_close(pruned(codes), masked, rtol=0, atol=1e-13)
    assert torch.equal(pruned.chosen_gates(vectors), gates)
    closed_for_good = net.selections[0].closed_for_good()
    assert closed_for_good.any() == (granularity != "value")
    assert pruned.mlp.first.in_features == 16 + int((~closed_for_good).sum())


def test_a_value_gate_is_never_removed():
    net = make_net(granularity="value")
    net.selections[0].value_scorer.scale.data.neg_()
    pruned, codes = net.prune(), draw_codes(30)
    assert not pruned.chosen_gates(pruned.look_up(codes)[1]).any()
    assert len(pruned.kept) == 6


def test_a_net_without_crosses_is_left_with_its_embeddings():
    net = make_net(granularity="field")
    net.selections[0].field_scorer.scale.data.neg_()
    pruned, codes = net.prune(), draw_codes(30)
    assert len(pruned.kept) == 0
    zeros = torch.zeros(6, dtype=torch.float64)
    masked = net.predict(net.look_up(codes)[0], zeros)
    torch.testing.assert_close(pruned(codes), masked, rtol=0, atol=1e-13)


def test_its_arguments_and_state_rebuild_it():
    net, codes = make_net(shake=1.0, orders=(2, 3)).prune().eval(), draw_codes(30)
    rebuilt = OptFeatureNet(**net.arguments).double().eval()
    rebuilt.load_state_dict(net.state_dict())
    assert isinstance(net.arguments["chosen"], ChosenGates)
    assert torch.equal(rebuilt(codes), net(codes))


def test_only_its_generator_is_used():
    before = torch.get_rng_state()
    first, again = make_net(), make_net()
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_new_weights_leave_the_selection_alone_and_the_other_way_round():
    net = make_net(shake=1.0)

    def copy():
        table = net.embedding.weight.detach().clone()
        rest = {name: value.clone() for name, value in net.state_dict().items()}
        rest.pop("embedding.weight")
        return table, rest

    table, rest = copy()
    net.reset_weights(torch.Generator().manual_seed(7))
    new_table, new_rest = copy()
    assert torch.equal(table[:, 4:], new_table[:, 4:])
    assert not torch.equal(table[:, :4], new_table[:, :4])
    selections = [name for name in rest if name.startswith("selections")]
    assert all(torch.equal(rest[name], new_rest[name]) for name in selections)
    net.reset_selection(torch.Generator().manual_seed(8))
    last_table, last_rest = copy()
    assert torch.equal(last_table[:, :4], new_table[:, :4])
    others = [name for name in rest if not name.startswith("selections")]
    assert all(torch.equal(last_rest[name], new_rest[name]) for name in others)
