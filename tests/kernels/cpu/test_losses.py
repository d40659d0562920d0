"""Losses that come with their gradients in one pass, against the nets in float64."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sparsectr.kernels.fused import KERNELS, fused_kernels
from sparsectr.losses import LOG_LOSS, POISSON, SQUARED_ERROR, log_loss
from sparsectr.methods.dynint.net import VARIANTS, DynIntConfig, DynIntNet
from sparsectr.methods.profit.net import ProfitConfig, ProfitNet
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import FullSpace, StackedSpace, SymmetricSpace
from sparsectr.rows.labelled import Batch

losses = pytest.importorskip("sparsectr.kernels.cpu.machine.losses", exc_type=ImportError)

N_ROWS = st.sampled_from([1, 2, 7, 8, 600])


def draw_batch(generator, sizes, n_rows):
    """Codes of fields of these sizes, labels and weights."""
    codes = (torch.rand(n_rows, len(sizes), generator=generator) * torch.tensor(sizes)).int()
    targets = torch.randint(2, (n_rows,), generator=generator)
    return Batch(codes, targets.float(), torch.rand(n_rows, generator=generator))


def assert_exact(net, rows, find_loss=None, floor=1e-9, **options):
    """Compare loss and gradients of ``net.loss`` with those of autograd."""
    exact = copy.deepcopy(net).double()
    doubled = Batch(rows.codes, rows.targets.double(), rows.weights.double(), rows.loss)
    expected = (find_loss or plain_loss)(exact, doubled)
    loss = net.loss(rows, **options)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    pairs = [
        [p.grad.to_dense().double() if p.grad.is_sparse else p.grad.double() for p in pair]
        for pair in zip(net.parameters(), exact.parameters(), strict=True)
        if pair[0].grad is not None
    ]
    # A sum whose terms cancel, such as the gradient of a bias, is as exact as its terms.
    largest = max((float(gradient.abs().max()) for _, gradient in pairs if gradient.numel()))
    for found, gradient in pairs:
        bound = 1e-4 * max(gradient.abs().flatten().tolist(), default=0.0) + 1e-6 * largest + floor
        assert ((found - gradient).abs() <= bound).all()
    return len(pairs)


def plain_loss(net, rows):
    return log_loss(net(rows.codes), rows)


def draw_sizes(generator, n_fields):
    return torch.randint(1, 9, (n_fields,), generator=generator).tolist()


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=N_ROWS,
    n_fields=st.integers(1, 9),
    dim=st.integers(1, 17),
    n_subspaces=st.integers(1, 3),
    n_layers=st.integers(1, 3),
)
def test_pin(seed, n_rows, n_fields, dim, n_subspaces, n_layers):
    generator = torch.Generator().manual_seed(seed)
    sizes = draw_sizes(generator, n_fields)
    net = DynIntNet(sizes, dim * n_subspaces, 1, DynIntConfig("pin", n_layers, n_subspaces))
    net.reset_parameters(generator, 0.3)
    assert assert_exact(net, draw_batch(generator, sizes, n_rows)) == n_layers + 3


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    variant=st.sampled_from(["da", "dgp", "dwp"]),
    n_rows=st.sampled_from([1, 3, 63, 64, 65, 600]),
    n_fields=st.integers(1, 9),
    dim=st.integers(1, 17),
    n_subspaces=st.integers(1, 3),
    n_layers=st.integers(1, 3),
    rank=st.integers(1, 4),
    n_hidden=st.integers(1, 20),
)
def test_gates(seed, variant, n_rows, n_fields, dim, n_subspaces, n_layers, rank, n_hidden):
    generator = torch.Generator().manual_seed(seed)
    sizes = draw_sizes(generator, n_fields)
    config = DynIntConfig(variant, n_layers, n_subspaces, rank, n_hidden)
    net = DynIntNet(sizes, dim * n_subspaces, 1, config)
    net.reset_parameters(generator, 0.3)
    for parameter in net.gates.parameters():
        parameter.data.normal_(0, 0.2, generator=generator)
    # The cosines of "dgp" are torch's, in float32: between vectors of one number their gradients
    # are what rounding leaves of zero.
    n_numbers = {"da": 0, "dgp": n_fields * n_subspaces - 1, "dwp": 1}
    penalty = 0.1 * (n_numbers[variant] > 0)

    def find_loss(net, rows):
        embeddings = net.embedding(rows.codes)
        gates = net.compute_gates(embeddings)
        loss = log_loss(net.combine(embeddings, gates), rows)
        return loss + penalty * net.penalty(gates) if penalty else loss

    rows = draw_batch(generator, sizes, n_rows)
    n_compared = assert_exact(net, rows, find_loss, penalty=penalty)
    assert n_compared == 3 + n_layers * (6 if variant == "dgp" else 5)


def test_vectors_without_a_direction_pay_no_penalty():
    """A cosine has no gradient where a vector is zero; no NaN comes of it either."""
    net = DynIntNet([4, 5], 4, 1, DynIntConfig("dwp", 1, 1, rank=2))
    net.reset_parameters(torch.Generator().manual_seed(0))
    (gate,) = net.gates
    gate.output.weight.data.zero_()
    gate.output.bias.data.fill_(-(2**-0.5))
    codes, ones = torch.zeros(3, 2, dtype=torch.int32), torch.ones(3)
    plain, penalised = (net.loss(Batch(codes, ones, ones), factor) for factor in (0.0, 1.0))
    assert plain.item() == penalised.item()
    penalised.backward()
    assert all(p.grad.to_dense().isfinite().all() for p in net.parameters())


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=N_ROWS,
    n_fields=st.integers(1, 7),
    dim=st.integers(1, 18),
    rank=st.integers(1, 3),
    max_order=st.integers(1, 4),
    trained=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_search(seed, n_rows, n_fields, dim, rank, max_order, trained):
    generator = torch.Generator().manual_seed(seed)
    sizes = draw_sizes(generator, n_fields)
    net = CrossSearchNet(sizes, dim, 1, SymmetricSpace(n_fields, max_order, rank))
    net.reset_parameters(generator, 0.3)
    net.linear.table.weight.data.normal_(generator=generator)
    net.order, rows = max_order, draw_batch(generator, sizes, n_rows)
    assert assert_exact(net, rows, of_space=False) == 3  # two tables and the bias
    net.zero_grad()
    for beta, wanted in zip(net.space.architecture, trained, strict=False):
        beta.requires_grad_(wanted)
    n_trained = sum(trained[:max_order])
    if n_trained:
        # All these gradients may be sums that cancel: with one field there are no pairs. Their
        # terms are of size 1 at most.
        assert assert_exact(net, rows, of_space=True, floor=1e-7) == n_trained


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=N_ROWS,
    n_fields=st.integers(1, 7),
    dim=st.integers(1, 18),
    n_crosses=st.integers(0, 9),
    learn_weights=st.booleans(),
)
def test_kept_crosses(seed, n_rows, n_fields, dim, n_crosses, learn_weights):
    generator = torch.Generator().manual_seed(seed)
    sizes = draw_sizes(generator, n_fields)
    sets = [*combinations(range(n_fields), 2), *combinations(range(n_fields), 3)]
    crosses = (
        tuple(sets[k] for k in sorted({(seed + 7 * k) % len(sets) for k in range(n_crosses)}))
        if sets
        else ()
    )
    config = ProfitConfig(crosses, learn_weights=learn_weights)
    net = ProfitNet(sizes, dim, 1, config)
    net.reset_parameters(generator, 0.3, torch.randn(len(crosses), generator=generator))
    net.predictor.linear.table.weight.data.normal_(generator=generator)
    n_compared = assert_exact(net, draw_batch(generator, sizes, n_rows))
    assert n_compared == 3 + learn_weights


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("logit", [-90.0, -12.0, -0.1, 0.0, 3.0, 15.0, 120.0])
def test_small_and_large_losses_keep_their_digits(logit, target):
    loss, slope = losses.log_loss(np.float32(logit), np.float32(target))
    exact = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
    expected = functional.softplus(exact if target == 0 else -exact, threshold=1e3)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert slope == pytest.approx(exact.grad.item(), rel=1e-6, abs=1e-37)


def test_the_gradient_of_a_multiple_of_the_loss_is_that_multiple():
    net = DynIntNet([4, 5], 8, 1, DynIntConfig("pin"))
    net.reset_parameters(torch.Generator().manual_seed(0))
    codes, ones = torch.tensor([[1, 2], [3, 4]], dtype=torch.int32), torch.ones(2)
    weights = list(net.layers.parameters())
    plain, twice = (
        torch.autograd.grad(factor * net.loss(Batch(codes, ones, ones)), weights)
        for factor in (1, 2)
    )
    for one, two in zip(plain, twice, strict=True):
        assert torch.equal(2 * one, two)


def make_nets(n_outputs=1):
    """One net of each kind that has a loss in one pass, and the options of that loss."""
    return [
        *((DynIntNet([4, 5], 8, n_outputs, DynIntConfig(variant)), {}) for variant in VARIANTS),
        (ProfitNet([4, 5], 8, n_outputs, ProfitConfig(((0, 1),))), {}),
        (CrossSearchNet([4, 5], 8, n_outputs, SymmetricSpace(2, 2, 1)), {"of_space": False}),
    ]


def is_fused(net, options, loss=LOG_LOSS):
    """Whether the loss of a net would be computed by a fused version."""
    codes, ones = torch.zeros(2, 2, dtype=torch.int32), torch.ones(2)
    name = {ProfitNet: "crosses_loss", CrossSearchNet: "symmetric_loss"}.get(type(net))
    if name is None:
        name, options = ("polynomial_loss", {}) if net.variant == "pin" else ("gated_loss", options)
    return KERNELS[name].fused_version(net, Batch(codes, ones, ones, loss), **options) is not None


def test_the_losses_of_these_nets_are_fused():
    assert all(is_fused(*case) for case in make_nets())


@pytest.mark.parametrize("loss", [SQUARED_ERROR, POISSON], ids=lambda loss: loss.name)
@pytest.mark.parametrize("place", range(6))
def test_losses_of_numbers_are_fused_and_exact(place, loss):
    net, options = make_nets()[place]
    generator = torch.Generator().manual_seed(place)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    codes = torch.randint(1, 4, (40, 2), generator=generator, dtype=torch.int32)
    numbers, weights = 3 * torch.rand(2, 40, generator=generator)
    assert is_fused(net, options, loss)
    assert_exact(net, Batch(codes, numbers, weights, loss), mean_loss, **options)


def mean_loss(net, rows):
    return rows.mean_loss(net(rows.codes))


def test_a_loss_that_is_not_built_is_that_of_the_reference():
    class Doubled(type(SQUARED_ERROR)):
        def mean(self, logits, targets, weights):
            return 2 * super().mean(logits, targets, weights)

    codes, ones = torch.ones(3, 2, dtype=torch.int32), torch.ones(3)
    for net, options in make_nets():
        net.requires_grad_(False)
        for parameter in net.parameters():
            parameter.fill_(0.1)
        known = net.loss(Batch(codes, ones, ones, SQUARED_ERROR), **options)
        unknown = net.loss(Batch(codes, ones, ones, Doubled("doubled")), **options)
        assert unknown.item() == pytest.approx(2 * known.item(), rel=1e-6)


def test_losses_of_several_logits_are_not_fused():
    assert not any(is_fused(*case) for case in make_nets(3))


def test_the_switch_holds_for_losses():
    with fused_kernels(False):
        assert not any(is_fused(*case) for case in make_nets())


def test_losses_of_mlps_and_other_spaces_are_not_fused():
    MLP = ProfitConfig(((0, 1),), predictor="mlp", hidden_units=(4,))
    spaces = [FullSpace(2, 2), StackedSpace(2, 2, 1), SymmetricSpace(2, 2, 1, repeats=True)]
    others = [
        (ProfitNet([4, 5], 8, 1, MLP), {}),
        *((CrossSearchNet([4, 5], 8, 1, space), {"of_space": True}) for space in spaces),
    ]
    assert not any(is_fused(*case) for case in others)


@pytest.mark.parametrize("kind", range(6))
def test_gradients_have_the_same_bits_with_any_number_of_threads(kind):
    net, options = make_nets()[kind]
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    rows = draw_batch(generator, [4, 5], 3_000)
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            loss = net.loss(rows, **options)
            net.zero_grad()
            loss.backward()
            grads = [p.grad.to_dense() for p in net.parameters() if p.grad is not None]
            results.append([loss.detach(), *grads])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
