"""The fused interaction layers against their reference in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.kernels.fused import fused_kernels
from sparsectr.kernels.pin import polynomial_sums

pytest.importorskip("numba")


def draw(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make_inputs(seed, n_rows, n_fields, dim, n_subspaces, n_layers, vectors):
    """Embeddings, weights and as many kinds of vectors as wanted, all of moderate size."""
    generator = torch.Generator().manual_seed(seed)
    n, n_terms = n_fields * n_subspaces, max(1, vectors)
    inputs = [
        0.5 * draw(generator, n_rows, n_fields, dim * n_subspaces),
        draw(generator, n_layers, n, n) / n**0.5,
        draw(generator, n_layers, n_rows, n_terms, n),
        draw(generator, n_layers, n_rows, n_terms, n),
    ]
    return inputs[: 2 + vectors]


def run(inputs, n_subspaces, dtype):
    """Sums and the gradients of all inputs, in a fixed random direction."""
    return differentiate(inputs, n_subspaces, dtype, torch.as_tensor)


def add_up_terms(inputs, n_subspaces):
    """What the absolute values of all terms add up to: of sums, and of gradients as in `run`."""
    return differentiate([x.abs() for x in inputs], n_subspaces, torch.float64, torch.abs)


def differentiate(inputs, n_subspaces, dtype, along):
    inputs = [tensor.to(dtype).requires_grad_() for tensor in inputs]
    arguments = inputs + [None] * (4 - len(inputs))
    sums = polynomial_sums(*arguments, n_subspaces)
    direction = along(draw(torch.Generator().manual_seed(1), *sums.shape))
    return [sums.detach(), *torch.autograd.grad(sums, inputs, direction.to(dtype))]


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n_rows=st.sampled_from([1, 2, 15, 16, 17, 300]),
    n_fields=st.integers(1, 9),
    dim=st.integers(1, 17),
    n_subspaces=st.integers(1, 3),
    n_layers=st.integers(1, 3),
    vectors=st.integers(0, 2),
)
def test_sums_and_gradients_agree_with_the_reference(
    seed, n_rows, n_fields, dim, n_subspaces, n_layers, vectors
):
    inputs = make_inputs(seed, n_rows, n_fields, dim, n_subspaces, n_layers, vectors)
    actual = run(inputs, n_subspaces, torch.float32)
    expected = run(inputs, n_subspaces, torch.float64)
    terms = add_up_terms(inputs, n_subspaces)
    for ours, theirs, sizes in zip(actual, expected, terms, strict=True):
        assert ((ours - theirs).abs() <= 1e-6 * sizes).all()


def test_gradients_have_the_same_bits_with_any_number_of_threads():
    inputs = make_inputs(0, 2_000, 7, 8, 1, 2, 2)
    results, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            results.append(run(inputs, 1, torch.float32))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("vectors", [0, 1, 2])
@pytest.mark.parametrize("dim", [16, 5])
def test_a_row_has_the_same_bits_alone_and_in_company(vectors, dim):
    inputs = [t.float() for t in make_inputs(3, 37, 6, dim, 2, 2, vectors)]
    together = polynomial_sums(*(inputs + [None] * (4 - len(inputs))), 2)
    for row in (0, 5, 16, 36):
        alone = [inputs[0][row : row + 1], inputs[1], *(v[:, row : row + 1] for v in inputs[2:])]
        single = polynomial_sums(*(alone + [None] * (4 - len(alone))), 2)
        assert torch.equal(single[0], together[row])


def test_rows_of_another_memory_order_are_read_right():
    embeddings, weights = (t.float() for t in make_inputs(4, 20, 6, 5, 1, 2, 0))
    turned = embeddings.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(polynomial_sums(turned, weights), polynomial_sums(embeddings, weights))


def test_a_batch_without_rows_has_no_sums():
    assert polynomial_sums(torch.zeros(0, 3, 4), torch.zeros(1, 3, 3)).shape == (0, 3)


def test_the_fused_version_is_taken():
    inputs = [t.float() for t in make_inputs(5, 100, 9, 8, 1, 3, 0)]
    inputs[0].requires_grad_()
    assert type(polynomial_sums(*inputs).grad_fn).__name__ == "_PolynomialSumsBackward"
    with fused_kernels(False):
        assert type(polynomial_sums(*inputs).grad_fn).__name__ != "_PolynomialSumsBackward"
