"""Logits from codes in one pass: those of the net, and of every row by itself."""

import numpy as np
import pytest
import torch

from sparsectr.kernels.fused import KERNELS, fused_kernels
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace
from sparsectr.training.prediction import predict_logits

pytest.importorskip("numba")

SIZES = [3, 40, 7, 12, 5]
CROSSES = ((0, 1), (1, 4), (0, 2, 3))


# PROFIT's search and crosses, and variants of DynInt with their number of subspaces.
KINDS = ["search", "profit", ("pin", 1), ("pin", 2)]
KINDS += [(variant, n) for variant in ("da", "dgp", "dwp") for n in (1, 2)]


def make_net(kind, n_outputs):
    if kind == "profit":
        net = ProfitNet(SIZES, 6, n_outputs, ProfitConfig(CROSSES))
    elif kind == "search":
        net = CrossSearchNet(SIZES, 6, n_outputs, SymmetricSpace(len(SIZES), 3, 2))
        net.order = 3
    else:
        config = DynIntConfig(kind[0], n_layers=3, n_subspaces=kind[1], rank=2, hidden_units=9)
        net = DynIntNet(SIZES, 6, n_outputs, config)
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator, 0.3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator).mul_(0.5)
    return net


def is_fused(net, codes):
    """Whether the logits of a net would be computed by a fused version."""
    name = {ProfitNet: "linear_logits", CrossSearchNet: "symmetric_logits"}.get(type(net))
    name = name or ("polynomial_logits" if net.variant == "pin" else "gated_logits")
    return KERNELS[name].fused_version(net, codes) is not None


@pytest.fixture
def codes():
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randint(size, (1_000,), generator=generator) for size in SIZES]
    return torch.stack(columns, 1).int()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_logits_are_those_of_the_net_in_float64(kind, n_outputs, codes):
    net = make_net(kind, n_outputs)
    # A search for crosses of several classes goes through the net.
    assert is_fused(net, codes) == (kind != "search" or n_outputs == 1)
    logits = predict_logits(net, codes)
    with torch.no_grad():
        expected = net.double()(codes).numpy()
    assert logits.dtype == np.float64
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_row_has_the_same_bits_alone_and_in_company(kind, codes):
    net = make_net(kind, 1)
    together = predict_logits(net, codes)
    for row in (0, 15, 16, 500, 999):
        assert predict_logits(net, codes[row : row + 1])[0] == together[row]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_without_fused_versions_batches_go_through_the_net(kind, codes):
    net = make_net(kind, 1)
    fused = predict_logits(net, codes)
    with fused_kernels(False):
        assert not is_fused(net, codes)
        unfused = predict_logits(net, codes)
    assert np.abs(unfused - fused).max() <= 1e-6 * np.abs(fused).max()


def test_nets_with_an_mlp_are_predicted_in_batches(codes):
    config = ProfitConfig(CROSSES, predictor="mlp", hidden_units=(4,))
    assert not is_fused(ProfitNet(SIZES, 6, 1, config), codes)
