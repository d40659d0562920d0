import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels.prior import weighted_squares

pytest.importorskip("numba")


def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def run(embeddings, shares, dtype):
    embeddings = embeddings.to(dtype).requires_grad_()
    total = weighted_squares(embeddings, shares.to(dtype))
    (gradient,) = torch.autograd.grad(0.7 * total, embeddings)
    return total.detach(), gradient


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=st.sampled_from([0, 1, 9, 4000]),
    n_fields=st.integers(1, 9),
    dim=st.integers(1, 19),
)
def test_agrees_with_the_reference(seed, n_rows, n_fields, dim):
    embeddings, shares = draw(seed, n_rows, n_fields, dim), draw(seed, n_rows, n_fields).abs()
    total, gradient = run(embeddings, shares, torch.float32)
    exact_total, exact_gradient = run(embeddings, shares, torch.float64)
    assert total.item() == pytest.approx(exact_total.item(), rel=1e-5, abs=1e-12)
    torch.testing.assert_close(gradient.double(), exact_gradient, rtol=1e-6, atol=1e-12)


def test_has_the_same_bits_with_any_number_of_threads():
    embeddings, shares = draw(0, 9_000, 7, 16), draw(1, 9_000, 7).abs()
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            results.append(run(embeddings, shares, torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
