"""Sums over sets of fields against sums over listed sets, in float64."""

from itertools import combinations, permutations, product

import pytest
import torch

from sparsectr.methods.profit import symmetric
from sparsectr.methods.profit.symmetric import elementary_symmetric, power_of_sum, stacked_symmetric

B, F, D, R = 5, 6, 3, 2
ORDERS = [1, 2, 3, 4, 5]


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def embeddings():
    return draw(B, F, D)


@pytest.fixture
def beta():
    return draw(R, F, seed=1)


def listed(embeddings, beta, tuples):
    """Add up the products of listed tuples of fields, one after the other."""
    total = torch.zeros(B, D, dtype=torch.float64)
    for fields in tuples:
        for r in range(len(beta)):
            term = torch.ones(B, D, dtype=torch.float64)
            for field in fields:
                term = term * beta[r, field] * embeddings[:, field]
            total = total + term
    return total


def by_recursion(embeddings, beta, order):
    """Run the dynamic programme over fields: e_o gains y_m e_(o-1), o downwards."""
    sums = [torch.ones(B, R, D, dtype=torch.float64)]
    sums += [torch.zeros(B, R, D, dtype=torch.float64) for _ in range(order)]
    for field in range(embeddings.shape[1]):
        y = beta[:, field, None] * embeddings[:, field, None]
        for k in range(order, 0, -1):
            sums[k] = sums[k] + y * sums[k - 1]
    return sums[order].sum(1)


@pytest.mark.parametrize("order", ORDERS)
def test_elementary_symmetric_equals_all_combinations(order, embeddings, beta):
    found = elementary_symmetric(embeddings, beta, order)
    expected = listed(embeddings, beta, combinations(range(F), order))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_recursion(embeddings, beta, order), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_equal_those_of_the_recursion(order, embeddings, beta):
    embeddings.requires_grad_()
    beta.requires_grad_()
    weight = draw(B, D, seed=2)
    inputs = (embeddings, beta)
    found = torch.autograd.grad((elementary_symmetric(*inputs, order) * weight).sum(), inputs)
    expected = torch.autograd.grad((by_recursion(*inputs, order) * weight).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_only_wanted_gradients_are_computed(embeddings, beta):
    beta.requires_grad_()
    elementary_symmetric(embeddings, beta, 3).sum().backward()
    assert beta.grad is not None
    assert embeddings.grad is None


def test_blocks_do_not_change_the_result(embeddings, beta, monkeypatch):
    inputs = (embeddings.requires_grad_(), beta.requires_grad_())
    whole = elementary_symmetric(*inputs, 3)
    gradients = torch.autograd.grad(whole.sum(), inputs)
    monkeypatch.setattr(symmetric, "BLOCK_COLUMNS", 2 * D)  # two rows at a time, then one
    blocks = elementary_symmetric(*inputs, 3)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-14)
    block_gradients = torch.autograd.grad(blocks.sum(), inputs)
    torch.testing.assert_close(block_gradients, gradients, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_single_precision_keeps_six_digits_of_the_sum_of_magnitudes(order):
    embeddings, beta = draw(64, 39, 4) + 0.5, draw(4, 39, seed=1)
    exact = by_recursion_any(embeddings, beta, order)
    scale = by_recursion_any(embeddings.abs(), beta.abs(), order)
    found = elementary_symmetric(embeddings.float(), beta.float(), order)
    assert ((found - exact).abs() / scale).max() < 1e-6


def by_recursion_any(embeddings, beta, order):
    sums = [1.0] + [0.0] * order
    for field in range(embeddings.shape[1]):
        y = beta[:, field, None] * embeddings[:, field, None]
        for k in range(order, 0, -1):
            sums[k] = sums[k] + y * sums[k - 1]
    return sums[order].sum(1)


def test_with_betas_of_one_order_two_is_the_fm_term(embeddings):
    found = elementary_symmetric(embeddings, torch.ones(1, F, dtype=torch.float64), 2)
    fm = (embeddings.sum(1) ** 2 - (embeddings**2).sum(1)) / 2
    torch.testing.assert_close(found, fm, rtol=0, atol=1e-13)


def test_an_order_above_the_number_of_fields_gives_zero(embeddings, beta):
    found = elementary_symmetric(embeddings, beta, F + 1)
    torch.testing.assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-11)


@pytest.mark.parametrize("order", [2, 3])
def test_a_beta_of_zero_removes_its_field(order, embeddings, beta):
    beta[:, 2] = 0
    rest = [0, 1, 3, 4, 5]
    found = elementary_symmetric(embeddings, beta, order)
    without = elementary_symmetric(embeddings[:, rest], beta[:, rest], order)
    torch.testing.assert_close(found, without, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_fields_may_be_permuted_and_rescaled(order, embeddings, beta):
    expected = elementary_symmetric(embeddings, beta, order)
    turn = torch.tensor([3, 1, 5, 0, 4, 2])
    turned = elementary_symmetric(embeddings[:, turn], beta[:, turn], order)
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)
    scale = torch.tensor([2.0, 0.1, -3.0, 1.0, 7.0, -0.5], dtype=torch.float64)
    scaled = elementary_symmetric(embeddings / scale[:, None], beta * scale, order)
    torch.testing.assert_close(scaled, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_power_of_sum_equals_all_ordered_tuples(order, embeddings, beta):
    found = power_of_sum(embeddings, beta, order)
    expected = listed(embeddings, beta, product(range(F), repeat=order))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_power_of_two_is_twice_the_pairs_plus_the_squares(embeddings, beta):
    pairs = elementary_symmetric(embeddings, beta, 2)
    squares = (beta[:, :, None] * embeddings[:, None]).square().sum((1, 2))
    torch.testing.assert_close(
        power_of_sum(embeddings, beta, 2), 2 * pairs + squares, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_stacked_equals_all_ordered_tuples_of_distinct_fields(order, embeddings):
    betas = [draw(R, F, seed=10 + k) for k in range(order)]
    expected = torch.zeros(B, D, dtype=torch.float64)
    for fields in permutations(range(F), order):
        for r in range(R):
            term = torch.ones(B, D, dtype=torch.float64)
            for k, field in enumerate(fields):
                term = term * betas[k][r, field] * embeddings[:, field]
            expected = expected + term
    torch.testing.assert_close(stacked_symmetric(embeddings, betas), expected, rtol=0, atol=1e-11)
