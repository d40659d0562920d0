"""Loss and gradients of a polynomial interaction network on a GPU; without one, interpreted."""

import copy

import pytest
import torch

from sparsectr.kernels.fused import fused_kernels
from sparsectr.losses import log_loss
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.rows.labelled import Batch

fused = pytest.importorskip("sparsectr.kernels.gpu.pin_loss", exc_type=ImportError)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_net(sizes, dim, n_layers, n_subspaces=1):
    config = DynIntConfig("pin", n_layers=n_layers, n_subspaces=n_subspaces)
    net = DynIntNet(sizes, dim, 1, config)
    net.reset_parameters(torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.embedding.weight *= 20  # far from linear
    return net


def draw_rows(sizes, n_rows):
    generator = torch.Generator().manual_seed(1)
    codes = [torch.randint(size, (n_rows,), generator=generator) for size in sizes]
    targets, weights = torch.rand((2, n_rows), generator=generator)
    return Batch(torch.stack(codes, 1).int(), (targets < 0.4).float(), 2 * weights)


def move(rows):
    return Batch(*(x.to(DEVICE) for x in (rows.codes, rows.targets, rows.weights)))


def gradients_of(net):
    gradients = [parameter.grad for parameter in net.parameters()]
    return [(g.to_dense() if g.is_sparse else g).cpu() for g in gradients]


@pytest.mark.parametrize(
    ("sizes", "dim", "n_layers", "n_rows"),
    [
        ([5, 7, 3], 4, 3, 37),
        ([4] * 10, 16, 2, 70),
        ([6] * 39, 16, 3, 9),
        ([3, 4], 5, 1, 1),
        ([3] * 70, 20, 3, 5),
        ([2], 1, 4, 600),
    ],
)
def test_loss_and_gradients_agree_with_float64(sizes, dim, n_layers, n_rows):
    net = make_net(sizes, dim, n_layers)
    rows = draw_rows(sizes, n_rows)
    doubled = Batch(rows.codes, rows.targets.double(), rows.weights.double())
    exact = copy.deepcopy(net).double()
    with fused_kernels(False):
        expected = log_loss(exact(rows.codes), doubled)
    expected.backward()
    net = net.to(DEVICE)
    loss = fused.polynomial_loss(net, move(rows))
    loss.backward()
    torch.testing.assert_close(loss.detach().cpu().double(), expected.detach(), rtol=1e-5, atol=0)
    for ours, theirs in zip(gradients_of(net), gradients_of(exact), strict=True):
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())


def test_what_does_not_fit_is_left_to_the_reference():
    sizes = [3] * 8
    net, rows = make_net(sizes, 4, 2, n_subspaces=2).to(DEVICE), move(draw_rows(sizes, 4))
    assert fused.polynomial_loss(net, rows) is NotImplemented
    many = [2] * 600
    net, rows = make_net(many, 16, 1).to(DEVICE), move(draw_rows(many, 4))
    assert fused.polynomial_loss(net, rows) is NotImplemented
