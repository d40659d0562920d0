"""The fused sums of crosses against plain products in float64."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels.fused import fused_kernels
from sparsectr.nn.cross_products import CrossProducts, WeightedCrosses

crosses_kernel = pytest.importorskip("sparsectr.kernels.cpu.profit.crosses", exc_type=ImportError)


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def direct_sum(embeddings, weights, crosses):
    total = torch.zeros_like(embeddings[:, 0])
    for weight, cross in zip(weights, crosses, strict=True):
        total = total + weight * embeddings[:, list(cross)].prod(1)
    return total


@settings(deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32), n_rows=st.sampled_from([1, 2, 17, 600]))
def test_sums_and_gradients_agree_with_the_definition(data, seed, n_rows):
    n_fields, dim = data.draw(st.integers(1, 6)), data.draw(st.sampled_from([1, 5, 16, 300]))
    every = [c for o in range(1, min(n_fields, 4) + 1) for c in combinations(range(n_fields), o)]
    crosses = data.draw(st.lists(st.sampled_from(every), max_size=8))
    embeddings, weights = draw(seed, n_rows, n_fields, dim), draw(seed + 1, len(crosses))
    direction = draw(seed + 2, n_rows, dim)

    exact = [embeddings.requires_grad_(), weights.requires_grad_()]
    expected = direct_sum(*exact, crosses)
    ours = [t.detach().float().requires_grad_() for t in exact]
    actual = crosses_kernel.sum_crosses(*ours, CrossProducts(crosses))

    # Sums whose terms cancel, of crosses or of gradients, are as exact as their terms.
    sizes = [t.detach().abs().requires_grad_() for t in exact]
    terms = direct_sum(*sizes, crosses)
    assert ((actual - expected).abs() <= 1e-6 * terms).all()
    if crosses:
        mine = torch.autograd.grad(actual, ours, direction.float())
        theirs = torch.autograd.grad(expected, exact, direction)
        terms_of = torch.autograd.grad(terms, sizes, direction.abs())
        for actual, expected, size in zip(mine, theirs, terms_of, strict=True):
            assert ((actual - expected).abs() <= 1e-6 * size).all()


def test_gradients_have_the_same_bits_with_any_number_of_threads():
    crosses = list(combinations(range(6), 2))
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            inputs = [draw(0, 3_000, 6, 16).float(), draw(1, len(crosses)).float()]
            inputs = [t.requires_grad_() for t in inputs]
            sums = crosses_kernel.sum_crosses(*inputs, CrossProducts(crosses))
            results.append(torch.autograd.grad(sums, inputs, draw(2, 3_000, 16).float()))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_weighted_crosses_take_the_fused_version():
    module = WeightedCrosses([(0,), (0, 1), (1, 2), (0, 1, 3)])
    with torch.no_grad():
        module.weight.copy_(draw(0, 4))
    embeddings = draw(1, 7, 4, 5).float()
    fused = module.sum(embeddings)
    assert type(fused.grad_fn).__name__ == "_SumCrossesBackward"
    with fused_kernels(False):
        torch.testing.assert_close(module.sum(embeddings), fused, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(module(embeddings).sum(0), fused, rtol=1e-5, atol=1e-6)
