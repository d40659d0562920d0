"""The products of a light net against passes of it on rows with unknown fields."""

from itertools import combinations

import pytest
import torch

from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.nn.effects import effects_by_passes

SIZES = [5, 7, 4, 6, 3]
CROSSES = ((0, 1), (1, 3), (2, 4), (0, 1, 2), (1, 2, 3), (0, 2, 3, 4))
COLUMNS = {
    "one each": [(f,) for f in range(5)],
    "several": [(0,), (1, 3), (2, 4)],
}


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("predictor", ["linear", "mlp"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@torch.no_grad()
def test_effects_are_what_passes_find_and_sum_to_the_logits(n_outputs, predictor, columns):
    net = ProfitNet(SIZES, 4, n_outputs, ProfitConfig(CROSSES, predictor, (8, 6))).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        parameter.normal_(generator=generator)
    codes = torch.stack([torch.randint(n, (40,), generator=generator) for n in SIZES], 1).int()
    n_fields = len(columns)
    sets = [s for size in range(1, n_fields + 1) for s in combinations(range(n_fields), size)]
    found = net.effects(codes, sets, columns)
    expected = effects_by_passes(net, codes, sets, columns)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    logits = net(codes) - net(torch.zeros_like(codes[:1]))
    torch.testing.assert_close(found.sum(0), logits, rtol=0, atol=1e-10)


@torch.no_grad()
def test_only_crosses_that_hold_a_set_have_a_part_in_it():
    net = ProfitNet(SIZES, 4, 1, ProfitConfig(CROSSES)).double().eval()
    for parameter in net.parameters():
        parameter.fill_(0.5)
    generator = torch.Generator().manual_seed(0)
    net.embedding.weight.normal_(generator=generator)
    codes = torch.ones(3, 5, dtype=torch.int32)
    columns = COLUMNS["one each"]
    assert net.effects(codes, [(1, 4), (3, 4, 1)], columns).abs().max() == 0
    assert (net.effects(codes, [(0, 1), (3, 4)], columns) != 0).all()
