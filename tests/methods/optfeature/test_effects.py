"""Sets of fields behind an MLP, against passes of the net on rows with unknown fields."""

from itertools import combinations

import pytest
import torch

from sparsectr.methods.optfeature import effects
from sparsectr.methods.optfeature.effects import PairsBehindMLP
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.nn.effects import effects_by_passes

SIZES = [5, 7, 4, 6, 3]
COLUMNS = {
    "one each": [(f,) for f in range(5)],
    "several": [(0,), (1, 3), (2, 4)],
}


def draw_codes(n_rows=40):
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(n, (n_rows,), generator=generator) for n in SIZES], 1)


def make_net(granularity="value", orders=(2,), hidden_units=(8, 6), n_outputs=1, operator="inner"):
    config = OptFeatureConfig(
        granularity,
        orders=orders,
        operator=operator,
        selection_dim=3,
        selection_rank=7,
        hidden_units=hidden_units,
    )
    net = OptFeatureNet(SIZES, 4, n_outputs, config).double()
    generator = torch.Generator().manual_seed(0)
    net.reset_weights(generator)
    net.reset_selection(generator)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += torch.empty_like(parameter).normal_(0, 0.5, generator=generator)
        for name, parameter in net.selections.named_parameters():
            if name.endswith("field_scorer.bias"):
                parameter.zero_()  # closes some gates
    return net.prune().eval()


def all_sets(columns):
    n_fields = len(columns)
    return [s for size in range(1, n_fields + 1) for s in combinations(range(n_fields), size)]


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("hidden_units", [(), (8,), (8, 6)])
@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
@pytest.mark.parametrize("operator", ["inner", "outer"])
@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@torch.no_grad()
def test_effects_are_what_passes_find(columns, operator, granularity, hidden_units, n_outputs):
    net = make_net(granularity, (2,), hidden_units, n_outputs, operator)
    assert not net.takes_passes
    assert 0 < len(net.kept) < net.n_crosses or granularity != "field"
    codes, sets = draw_codes(), all_sets(columns)
    expected = effects_by_passes(net, codes, sets, columns)
    torch.testing.assert_close(net.effects(codes, sets, columns), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("orders", [(2,), (3,), (2, 3), (2, 3, 4)])
@torch.no_grad()
def test_effects_of_all_sets_and_of_nothing_sum_to_the_logits(orders):
    net, codes, columns = make_net(orders=orders), draw_codes(), COLUMNS["one each"]
    total = net.effects(codes, all_sets(columns), columns).sum(0)
    expected = net(codes) - net(torch.zeros_like(codes[:1]))
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-11)


@torch.no_grad()
def test_products_are_computed_four_times_whatever_the_number_of_fields():
    """Products of all pairs, anew for every field, would take F times the memory of a batch."""
    net, codes = make_net(), draw_codes()
    asked = []

    def multiply(codes, others):
        asked.append(len(codes))
        return net.pair_inputs(codes, others)

    behind = PairsBehindMLP(
        net.mlp, lambda rows: net.look_up(rows)[0], multiply, net.kept_crosses(), codes
    )
    behind.effects(list(combinations(range(5), 2)), COLUMNS["one each"])
    assert sorted(asked) == [1] + [len(codes)] * 3
    most = max(
        tensor.numel() for tensor in vars(behind).values() if isinstance(tensor, torch.Tensor)
    )
    assert most <= len(codes) * max(len(SIZES) * 8, len(net.kept) + 1)


@torch.no_grad()
def test_sets_in_parts_have_the_effects_of_all(monkeypatch):
    net, codes, columns = make_net("hybrid"), draw_codes(), COLUMNS["one each"]
    sets = all_sets(columns)[::-1]
    together = net.effects(codes, sets, columns)
    monkeypatch.setattr(effects, "ROWS_AT_ONCE", 3 * len(codes))
    found = net.effects(codes, sets, columns)
    torch.testing.assert_close(found, together, rtol=0, atol=1e-12)
