"""The search net, in float64, against sums over listed sets."""

from itertools import combinations

import pytest
import torch

from sparsectr.methods.profit.net import ProfitConfig, ProfitNet, without_crosses
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace

F, D, MAX_ORDER, SIZES = 4, 3, 3, [3, 5, 2, 4]


def make_net(n_outputs):
    net = CrossSearchNet(SIZES, D, n_outputs, SymmetricSpace(F, MAX_ORDER, 2)).double()
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    for parameter in net.parameters():
        parameter.data.normal_(generator=generator)
    return net


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(n, (7,), generator=generator) for n in SIZES], 1).int()


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_logits_equal_the_sum_over_all_sets_up_to_the_order(n_outputs, order, codes):
    net = make_net(n_outputs)
    net.order = order
    with torch.no_grad():
        e = net.embedding(codes)
        expected = net.linear.bias + sum(
            net.linear.table.weight[codes[:, f] + net.embedding.offsets[f]] for f in range(F)
        )
        for size in range(1, order + 1):
            beta = net.space.architecture[size - 1]
            for fields in combinations(range(F), size):
                weight = sum(beta[r, list(fields)].prod() for r in range(2))
                product = e[:, list(fields)].prod(1)
                expected = expected + weight * product @ net.readout.weight.T
        torch.testing.assert_close(net(codes), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_kept_net_with_all_sets_is_the_search_net(n_outputs, codes):
    searched = make_net(n_outputs)
    searched.order = MAX_ORDER
    crosses = [c for size in (2, 3) for c in combinations(range(F), size)]
    weights = torch.cat([searched.space.set_weights(torch.tensor([c])) for c in crosses])
    kept = ProfitNet(SIZES, D, n_outputs, ProfitConfig(tuple(crosses))).double()
    kept.reset_parameters(torch.Generator().manual_seed(5), 0.0, weights.detach())
    kept.take_over(searched)
    torch.testing.assert_close(kept(codes), searched(codes), rtol=0, atol=1e-11)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_without_crosses_only_the_first_order_remains(n_outputs, codes):
    searched = make_net(n_outputs)
    searched.order = 1
    linear = without_crosses(searched).double()
    linear.take_over(searched)
    torch.testing.assert_close(linear(codes), searched(codes), rtol=0, atol=1e-11)
