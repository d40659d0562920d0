"""The sums of a polynomial net against passes of it on rows with unknown fields."""

from itertools import combinations

import pytest
import torch

from sparsectr.methods.dynint.net import VARIANTS, DynIntConfig, DynIntNet
from sparsectr.nn.effects import effects_by_passes

SIZES = [5, 7, 4, 6, 3]
COLUMNS = {
    "one each": [(f,) for f in range(5)],
    "several": [(0,), (1, 3), (2, 4)],
}


def make_net(variant="pin", n_layers=2, n_subspaces=1, n_outputs=1):
    config = DynIntConfig(variant, n_layers, n_subspaces, rank=2, hidden_units=6)
    net = DynIntNet(SIZES, 4, n_outputs, config).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    return net


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(n, (40,), generator=generator) for n in SIZES], 1).int()


def all_sets(columns):
    n_fields = len(columns)
    return [s for size in range(1, n_fields + 1) for s in combinations(range(n_fields), size)]


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n_subspaces", [1, 2])
@pytest.mark.parametrize("n_layers", [1, 2])
@torch.no_grad()
def test_sums_are_what_passes_find(n_layers, n_subspaces, n_outputs, columns, codes):
    net = make_net("pin", n_layers, n_subspaces, n_outputs)
    assert not net.takes_passes
    sets = all_sets(columns)
    expected = effects_by_passes(net, codes, sets, columns)
    torch.testing.assert_close(net.effects(codes, sets, columns), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_layers", [2, 3])
@torch.no_grad()
def test_effects_of_all_sets_and_of_nothing_sum_to_the_logits(variant, n_layers, codes):
    net, columns = make_net(variant, n_layers, 2), COLUMNS["several"]
    total = net.effects(codes, all_sets(columns), columns).sum(0)
    expected = net(codes) - net(torch.zeros_like(codes[:1]))
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("variant", ["da", "dgp", "dwp"])
@torch.no_grad()
def test_gates_that_are_the_same_for_all_rows_need_no_pass(variant, codes):
    net = make_net(variant)
    for network in net.gates:
        network.hidden.weight.zero_()
    columns = COLUMNS["one each"]
    sets = all_sets(columns)
    found = net.rough_effects(codes, sets, columns)
    expected = effects_by_passes(net, codes, sets, columns)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("n_layers", [0, 1, 3, 4])
@torch.no_grad()
def test_nothing_is_left_out_where_unknown_values_have_no_embedding(n_layers, columns, codes):
    """All of a net is then inside, however many layers it has."""
    net = make_net("pin", n_layers, 2, 3)
    for part in net.embedding.weight.split(SIZES):
        part[0] = 0
    sets = all_sets(columns)
    expected = effects_by_passes(net, codes, sets, columns)
    torch.testing.assert_close(net.rough_effects(codes, sets, columns), expected, rtol=0, atol=1e-9)


@torch.no_grad()
def test_rough_effects_of_three_layers_are_close_where_effects_are_small(codes):
    """Terms of third degree are left out: a tenth of the change leaves a thousandth of them."""
    net, columns = make_net("pin", 3), COLUMNS["one each"]
    errors = []
    for scale in (1.0, 0.1):
        table = net.embedding.weight
        for part in table.data.split(SIZES):
            part[1:] = part[0] + scale * (part[1:] - part[0])
        pairs = list(combinations(range(5), 2))
        exact = effects_by_passes(net, codes, pairs, columns)
        errors.append((net.rough_effects(codes, pairs, columns) - exact).abs().max())
    assert 0 < errors[1] < errors[0] / 500
