"""The fused loss of an MLP on embeddings and pairs against its reference in float64."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sparsectr.kernels.fused import KERNELS, fused_kernels
from sparsectr.losses import log_loss
from sparsectr.methods.optfeature.net import ChosenGates, OptFeatureConfig, OptFeatureNet
from sparsectr.rows.labelled import Batch

pytest.importorskip("numba")


def make_net(n_fields, dim, hidden_units, *, granularity="field", kept=None):
    config = OptFeatureConfig(granularity, hidden_units=hidden_units)
    chosen = None if kept is None else ChosenGates(kept, False)
    net = OptFeatureNet([6] * n_fields, dim, 1, config, chosen)
    generator = torch.Generator().manual_seed(0)
    net.reset_weights(generator)
    net.reset_selection(generator)
    with torch.no_grad():  # biases that matter
        for layer in net.mlp.linear_layers():
            layer.bias.normal_(0, 0.3, generator=generator)
    return net.train()


def draw_rows(n_rows, n_fields):
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(6, (n_rows, n_fields), generator=generator).int()
    targets, weights = torch.rand((2, n_rows), generator=generator)
    return Batch(codes, (targets < 0.4).float(), 2 * weights)


def draw_gates(kind, n_rows, n_crosses):
    generator = torch.Generator().manual_seed(2)
    if kind is None:
        return None
    if kind == "by field":
        return (torch.rand(n_crosses, generator=generator) < 0.6).float()
    return torch.rand(n_rows, n_crosses, generator=generator)


def dense(gradient):
    return gradient.to_dense() if gradient.is_sparse else gradient


@torch.no_grad()
def leave_kinks_out(net, rows, gates):
    """Drop the rows with an input to a ReLU so near 0 that rounding may turn its sign."""
    net = copy.deepcopy(net).double()
    embeddings, _ = net.look_up(rows.codes)
    *hidden, _ = net.mlp.linear_layers()
    x, smooth = net.inputs(embeddings, gates), torch.ones(len(embeddings), dtype=torch.bool)
    for layer in hidden:
        x = layer(x)
        smooth &= x.abs().amin(1) > 1e-6
        x = x.relu()
    smooth[0] = True  # one row at least; far from a kink with this seed
    if gates is not None and gates.ndim > 1:
        gates = gates[smooth]
    return Batch(rows.codes[smooth], rows.targets[smooth], rows.weights[smooth]), gates


def reference(net, rows, gates, of_gates):
    """Loss and gradients in float64."""
    net = copy.deepcopy(net).double()
    exact = Batch(rows.codes, rows.targets.double(), rows.weights.double())
    gates = None if gates is None else gates.detach().double().requires_grad_(of_gates)
    with fused_kernels(False):
        embeddings, _ = net.look_up(rows.codes)
        loss = log_loss(net.predict(embeddings, gates), exact)
    loss.backward()
    if of_gates:
        return [loss.detach(), gates.grad]
    return [loss.detach(), *(dense(p.grad) for p in (net.embedding.weight, *net.mlp.parameters()))]


@settings(deadline=None)
@given(
    n_rows=st.sampled_from([1, 3, 64, 130, 300]),
    n_fields=st.integers(2, 7),
    dim=st.sampled_from([1, 3, 8, 16]),
    hidden_units=st.lists(st.integers(1, 19), max_size=3).map(tuple),
    gates=st.sampled_from([None, "by field", "by row"]),
    granularity=st.sampled_from(["field", "value"]),
)
def test_loss_and_gradients_agree_with_the_reference(
    n_rows, n_fields, dim, hidden_units, gates, granularity
):
    net = make_net(n_fields, dim, hidden_units, granularity=granularity)
    rows = draw_rows(n_rows, n_fields)
    gates = draw_gates(gates, n_rows, net.n_crosses)
    rows, gates = leave_kinks_out(net, rows, gates)
    assume(len(rows))
    loss = net.loss(rows, gates)
    loss.backward()
    found = [dense(p.grad) for p in (net.embedding.weight, *net.mlp.parameters())]
    check([loss.detach(), *found], reference(net, rows, gates, False))


@pytest.mark.parametrize("hidden_units", [(), (33,), (20, 12)])
@pytest.mark.parametrize("n_rows", [2, 200])
def test_the_gradient_of_gates_agrees_with_the_reference(hidden_units, n_rows):
    net, rows = make_net(5, 4, hidden_units), draw_rows(n_rows, 5)
    gates = draw_gates("by row", n_rows, net.n_crosses).requires_grad_()
    loss = net.loss(rows, gates, of_gates=True)
    loss.backward()
    assert all(p.grad is None for p in (net.embedding.weight, *net.mlp.parameters()))
    check([loss.detach(), gates.grad], reference(net, rows, gates, True))


@pytest.mark.parametrize("kept", [(), (1, 4, 5)])
def test_a_net_with_some_of_the_crosses(kept):
    net, rows = make_net(4, 3, (10,), kept=kept), draw_rows(50, 4)
    loss = net.loss(rows, None)
    loss.backward()
    found = [dense(p.grad) for p in (net.embedding.weight, *net.mlp.parameters())]
    check([loss.detach(), *found], reference(net, rows, None, False))


def is_fused(net, rows):
    """Whether the loss of a net is computed by the fused version."""
    version = KERNELS["mlp_loss"].fused_version(net, rows, None)
    return version is not None and version(net, rows, None) is not NotImplemented


def check(actual, expected):
    for ours, theirs in zip(actual, expected, strict=True):
        # Where terms cancel, a gradient is as exact as they are: slopes of a row are below 1.
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm()) + 1e-7


def test_the_bits_do_not_depend_on_the_number_of_threads():
    net, rows = make_net(6, 16, (32, 16)), draw_rows(1000, 6)
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            net.zero_grad()
            net.loss(rows, None).backward()
            results.append([dense(p.grad) for p in net.mlp.parameters()])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_what_is_not_built_is_left_to_the_reference():
    rows = draw_rows(10, 4)
    assert is_fused(make_net(4, 3, (5,)), rows)
    assert not is_fused(make_net(4, 3, (5,)).double(), rows)
    for options, n_outputs in (
        ({"orders": (2, 3)}, 1),
        ({"operator": "outer"}, 1),
        ({"dropout": 0.1}, 1),
        ({"hidden_units": (1024, 512)}, 1),
        ({}, 3),
    ):
        net = OptFeatureNet([6] * 4, 3, n_outputs, OptFeatureConfig("field", **options))
        assert not is_fused(net, rows)
