"""A net for more values: rows stay, new ones begin as the unknown value of their field."""

import pytest
import torch

from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.optfeature.net import OptFeatureConfig, OptFeatureNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.nn.growth import grow_net

BEFORE, AFTER = (3, 4, 2), (3, 6, 5)
NETS = {
    "dynint": lambda: DynIntNet(BEFORE, 4, 2, DynIntConfig()),
    "optfeature": lambda: OptFeatureNet(
        BEFORE, 4, 2, OptFeatureConfig(granularity="hybrid", hidden_units=(5,))
    ),
    "profit": lambda: ProfitNet(BEFORE, 4, 2, ProfitConfig(crosses=((0, 1), (0, 1, 2)))),
    "profit mlp": lambda: ProfitNet(
        BEFORE, 4, 2, ProfitConfig(crosses=((0, 1),), predictor="mlp", hidden_units=(5,))
    ),
}


@pytest.fixture(params=NETS)
def net(request):
    net, generator = NETS[request.param](), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator)
        for name, buffer in net.named_buffers():
            if name.endswith("root_counts"):
                buffer.copy_(torch.arange(len(buffer)))
    return net.eval()


def test_logits_stay_and_new_values_begin_as_unknown_ones(net):
    grown = grow_net(net, AFTER).eval()
    assert grown.arguments == net.arguments | {"vocabulary_sizes": AFTER}
    codes = torch.cartesian_prod(*map(torch.arange, AFTER)).to(torch.int32)
    known = torch.where(codes < torch.tensor(BEFORE), codes, 0).to(torch.int32)
    with torch.no_grad():
        assert torch.equal(grown(codes), net(known))
    assert [p.requires_grad for p in grown.parameters()] == [
        p.requires_grad for p in net.parameters()
    ]


def test_new_values_have_no_past(net):
    grown = grow_net(net, AFTER)
    counts = [grown.embedding.past_counts().split(AFTER), net.embedding.past_counts().split(BEFORE)]
    for after, before in zip(*counts, strict=True):
        assert torch.equal(after[: len(before)], before)
        assert not after[len(before) :].any()


def test_a_net_of_these_sizes_is_itself(net):
    assert grow_net(net, list(BEFORE)) is net
