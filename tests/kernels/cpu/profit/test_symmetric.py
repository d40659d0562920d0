"""The fused polynomials against their reference in float64, and against all sets listed."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.profit.symmetric import symmetric_sums

pytest.importorskip("numba")


def make_inputs(seed, n_rows, n_fields, dim, rank, max_order):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(n_rows, n_fields, dim)] + [(rank, n_fields)] * max_order
    return [0.6 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def run(inputs, wanted, dtype, *, sizes=False):
    """Sums and the gradients of the wanted inputs, in a fixed random direction.

    Or what the absolute values of all terms add up to, with those of repeated fields, which are
    added and subtracted on the way.
    """
    if sizes:
        inputs = [torch.cat([t.abs()] * (len(inputs) - 1), 1) for t in inputs]
    inputs = [t.to(dtype).requires_grad_(place in wanted) for place, t in enumerate(inputs)]
    sums = symmetric_sums(inputs[0], inputs[1:])
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(sums.shape, generator=generator, dtype=torch.float64).to(dtype)
    direction = direction.abs() if sizes else direction
    targets = [inputs[place] for place in wanted]
    return [sums.detach(), *torch.autograd.grad(sums, targets, direction)]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=st.sampled_from([1, 3, 600]),
    n_fields=st.integers(1, 12),
    dim=st.sampled_from([1, 5, 16, 19]),
    rank=st.integers(1, 4),
    max_order=st.integers(1, 6),
    data=st.data(),
)
def test_sums_and_gradients_agree_with_the_reference(
    seed, n_rows, n_fields, dim, rank, max_order, data
):
    inputs = make_inputs(seed, n_rows, n_fields, dim, rank, max_order)
    places = st.lists(st.integers(0, max_order), min_size=1, unique=True)
    wanted = data.draw(places)
    actual = run(inputs, wanted, torch.float32)
    expected = run(inputs, wanted, torch.float64)
    # Sums whose terms cancel are as exact as their terms.
    terms = run(inputs, wanted, torch.float64, sizes=True)
    for ours, theirs, size in zip(actual, expected, terms, strict=True):
        assert ((ours - theirs).abs() <= 2e-6 * size.max()).all()


def test_sums_are_those_over_all_sets():
    embeddings, *betas = (t.float() for t in make_inputs(0, 5, 6, 3, 2, 3))
    expected = torch.zeros(5, 3)
    for order, beta in enumerate(betas, 1):
        for fields in combinations(range(6), order):
            weight = beta[:, list(fields)].prod(1).sum()
            expected += weight * embeddings[:, list(fields)].prod(1)
    torch.testing.assert_close(symmetric_sums(embeddings, betas), expected, rtol=0, atol=1e-5)


def test_a_single_field_has_no_products_of_two():
    embeddings, *betas = (t.float() for t in make_inputs(1, 4, 1, 5, 3, 3))
    expected = betas[0].sum() * embeddings[:, 0]
    torch.testing.assert_close(symmetric_sums(embeddings, betas), expected)


def test_gradients_have_the_same_bits_with_any_number_of_threads():
    inputs = make_inputs(0, 3_000, 7, 16, 3, 3)
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            results.append(run(inputs, [0, 1, 2, 3], torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_row_has_the_same_bits_alone_and_in_company():
    embeddings, *betas = (t.float() for t in make_inputs(3, 37, 6, 5, 2, 3))
    together = symmetric_sums(embeddings, betas)
    for row in (0, 5, 36):
        assert torch.equal(symmetric_sums(embeddings[row : row + 1], betas)[0], together[row])


def test_the_fused_version_is_taken():
    inputs = [t.float() for t in make_inputs(5, 10, 4, 16, 2, 2)]
    with fused_kernels(False):
        reference = symmetric_sums(inputs[0], inputs[1:])
    fused = symmetric_sums(inputs[0], inputs[1:])
    assert not torch.equal(fused, reference)  # the sums are taken in another order
    torch.testing.assert_close(fused, reference)
