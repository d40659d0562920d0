"""Sums over sets of fields on a GPU against their reference; without a GPU, interpreted."""

import pytest
import torch

from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.profit.symmetric import symmetric_sums

fused = pytest.importorskip("sparsectr.kernels.gpu.symmetric", exc_type=ImportError)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def draw(n_rows, n_fields, dim, rank, n_orders):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(n_rows, n_fields, dim, generator=generator, dtype=torch.float64)
    betas = torch.randn(n_orders, rank, n_fields, generator=generator, dtype=torch.float64)
    slopes = torch.randn(n_rows, dim, generator=generator, dtype=torch.float64)
    return embeddings, betas, slopes


def differentiate(function, embeddings, betas, slopes):
    """Return the sums, and the gradients by embeddings and betas."""
    embeddings, betas = (x.clone().requires_grad_() for x in (embeddings, betas))
    sums = function(embeddings, list(betas))
    (sums * slopes).sum().backward()
    return [x.detach().cpu().double() for x in (sums, embeddings.grad, betas.grad)]


@pytest.mark.parametrize(
    ("n_rows", "n_fields", "dim", "rank", "n_orders"),
    [(9, 5, 4, 3, 1), (40, 7, 3, 2, 2), (6, 12, 5, 8, 3), (3, 8, 2, 5, 6), (1, 2, 1, 1, 3)],
)
def test_sums_and_gradients_agree_with_float64(n_rows, n_fields, dim, rank, n_orders):
    exact = draw(n_rows, n_fields, dim, rank, n_orders)
    with fused_kernels(False):
        expected = differentiate(symmetric_sums, *exact)
        # What the absolute values of all terms add up to, with those of repeated fields, which are
        # added and subtracted on the way.
        embeddings, betas, slopes = (x.abs() for x in exact)
        embeddings, betas = embeddings.repeat(1, n_orders, 1), betas.repeat(1, 1, n_orders)
        terms = differentiate(symmetric_sums, embeddings, betas, slopes)
    ours = differentiate(fused.symmetric_sums, *(x.float().to(DEVICE) for x in exact))
    again = differentiate(fused.symmetric_sums, *(x.float().to(DEVICE) for x in exact))
    for own, same, right, size in zip(ours, again, expected, terms, strict=True):
        assert torch.equal(own, same)
        assert ((own - right).abs() <= 2e-6 * size.max()).all()


def test_only_the_gradients_that_are_asked_for_are_computed():
    embeddings, betas, slopes = (x.float().to(DEVICE) for x in draw(4, 3, 2, 2, 2))
    sums = fused.symmetric_sums(embeddings.requires_grad_(), list(betas))
    (sums * slopes).sum().backward()
    alone = embeddings.grad.clone()
    betas.requires_grad_()
    sums = fused.symmetric_sums(embeddings.detach(), list(betas))
    (sums * slopes).sum().backward()
    both = differentiate(fused.symmetric_sums, embeddings.detach(), betas.detach(), slopes)
    assert torch.equal(alone.cpu().double(), both[1])
    assert torch.equal(betas.grad.cpu().double(), both[2])


def test_no_rows_have_no_sums():
    embeddings, betas, _ = (x.float().to(DEVICE) for x in draw(0, 3, 2, 2, 2))
    embeddings.requires_grad_()
    betas.requires_grad_()
    sums = fused.symmetric_sums(embeddings, list(betas))
    sums.sum().backward()
    assert sums.shape == (0, 2)
    assert not betas.grad.any()
