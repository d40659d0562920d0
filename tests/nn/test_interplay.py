"""What the fields of a cross do together, against the differences of a net's own logits."""

from itertools import combinations

import pytest
import torch

from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.nn import interplay
from sparsectr.nn.interplay import PairsBehindMLP, hide, joint_effects

SIZES = [5, 7, 4, 6, 3]
FIELDS = range(len(SIZES))


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


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("hidden_units", [(), (8,), (8, 6)])
@pytest.mark.parametrize("granularity", ["field", "value", "hybrid"])
@pytest.mark.parametrize("operator", ["inner", "outer"])
def test_effects_of_pairs_are_differences_of_logits(granularity, hidden_units, n_outputs, operator):
    net = make_net(granularity, (2,), hidden_units, n_outputs, operator)
    assert 0 < len(net.kept) < net.n_crosses or granularity != "field"
    codes = draw_codes()
    pairs = list(combinations(FIELDS, 2))
    effects = net.cross_effects(codes, pairs)
    assert effects.shape == (len(pairs), len(codes), n_outputs)
    for (f, g), effect in zip(pairs, effects, strict=True):
        parts = [net(hide(codes, fields)) for fields in ((), (f,), (g,), (f, g))]
        expected = parts[0] - parts[1] - parts[2] + parts[3]
        torch.testing.assert_close(effect, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("orders", [(3,), (2, 3)])
def test_effects_of_triples_leave_out_what_pairs_do(orders):
    net, codes = make_net(orders=orders), draw_codes()
    crosses = net.crosses()
    effects = dict(zip(crosses, net.cross_effects(codes, crosses), strict=True))
    pair = net(codes) - net(hide(codes, (0,))) - net(hide(codes, (1,))) + net(hide(codes, (0, 1)))
    other = hide(codes, (3,))
    without = net(other) - net(hide(other, (0,))) - net(hide(other, (1,)))
    without = without + net(hide(other, (0, 1)))
    torch.testing.assert_close(effects[0, 1, 3], pair - without, rtol=0, atol=1e-11)


def test_all_effects_with_their_signs_add_up_to_what_a_net_says_of_nothing():
    """The inverse of the sum over parts is a sum over parts with the same signs."""
    net, codes = make_net(), draw_codes()
    sets = [c for size in range(len(SIZES) + 1) for c in combinations(FIELDS, size)]
    effects = joint_effects(lambda fields: net(hide(codes, fields)), sets)
    signs = torch.tensor([(-1.0) ** len(fields) for fields in sets]).double()
    total = torch.einsum("q,qbk->bk", signs, effects)
    torch.testing.assert_close(total, net(torch.zeros_like(codes)), rtol=0, atol=1e-11)


def test_what_is_a_sum_over_fields_has_no_effect_of_a_pair():
    table, codes = torch.randn(len(SIZES), 7, dtype=torch.float64), draw_codes()

    def add_up(fields):
        return table[torch.arange(len(SIZES)), hide(codes, fields)].sum(1, keepdim=True)

    effects = joint_effects(add_up, list(combinations(FIELDS, 2)))
    torch.testing.assert_close(effects, torch.zeros_like(effects), rtol=0, atol=1e-14)


def test_a_product_has_the_effect_of_what_its_factors_differ_by():
    numbers, codes = torch.randn(2, 7, dtype=torch.float64), draw_codes()

    def multiply(fields):
        f, g = hide(codes, fields)[:, :2].unbind(1)
        return (numbers[0, f] * numbers[1, g])[:, None]

    (effect,) = joint_effects(multiply, [(0, 1)])
    expected = (numbers[0, codes[:, 0]] - numbers[0, 0]) * (numbers[1, codes[:, 1]] - numbers[1, 0])
    torch.testing.assert_close(effect[:, 0], expected, rtol=0, atol=1e-14)


def test_no_crosses_have_no_effects():
    assert make_net(n_outputs=3).cross_effects(draw_codes(), []).shape == (0, 40, 3)


def test_every_set_of_fields_is_asked_for_once():
    asked = []

    def logits_without(fields):
        asked.append(fields)
        return torch.zeros(2, 1)

    joint_effects(logits_without, [(0, 1), (0, 2), (0, 1, 2)])
    assert len(asked) == len(set(asked)) == 8


def test_crosses_are_computed_four_times_whatever_the_number_of_fields():
    """Crosses of all fields, anew for every field, would take F times the memory of a batch."""
    net, codes = make_net(), draw_codes()
    asked = []

    def cross(codes, others):
        asked.append(len(codes))
        return net.pair_inputs(codes, others)

    behind = PairsBehindMLP(
        net.mlp, lambda rows: net.look_up(rows)[0], cross, net.kept_crosses(), codes
    )
    behind.effects(list(combinations(FIELDS, 2)))
    assert asked == [len(codes)] * 3 + [1]
    most = max(
        tensor.numel() for tensor in vars(behind).values() if isinstance(tensor, torch.Tensor)
    )
    assert most <= len(codes) * max(len(SIZES) * 8, len(net.kept))


def test_pairs_in_parts_have_the_effects_of_all(monkeypatch):
    net, codes = make_net("hybrid"), draw_codes()
    pairs = list(combinations(FIELDS, 2))[::-1]
    together = net.cross_effects(codes, pairs)
    monkeypatch.setattr(interplay, "ROWS_AT_ONCE", 3 * len(codes))
    torch.testing.assert_close(net.cross_effects(codes, pairs), together, rtol=0, atol=1e-12)


def test_codes_stay_as_they_are():
    codes = draw_codes()
    before = codes.clone()
    assert torch.equal(hide(codes, (1, 3))[:, [1, 3]], torch.zeros(40, 2, dtype=torch.int64))
    assert torch.equal(codes, before)
