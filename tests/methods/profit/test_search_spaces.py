"""Search spaces: what they sum is what their weights say."""

from itertools import combinations
from math import comb, factorial

import pytest
import torch

from sparsectr.methods.profit.search_spaces import (
    SCREENED_WEIGHT,
    FullSpace,
    StackedSpace,
    SymmetricSpace,
    make_space,
)

B, F, D, R, MAX_ORDER = 4, 6, 3, 2, 3


def all_sets(order):
    return torch.tensor(list(combinations(range(F), order)))


def make(kind):
    spaces = {
        "symmetric": lambda: SymmetricSpace(F, MAX_ORDER, R),
        "stacked": lambda: StackedSpace(F, MAX_ORDER, R),
        "full": lambda: FullSpace(F, MAX_ORDER),
    }
    space = spaces[kind]().double()
    generator = torch.Generator().manual_seed(0)
    for parameter in space.parameters():
        parameter.data.normal_(generator=generator)
    return space


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(B, F, D, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kind", ["symmetric", "stacked", "full"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_sum_equals_weights_times_products(kind, order, embeddings):
    space, sets = make(kind), all_sets(order)
    products = embeddings[:, sets].prod(2)  # (B, P, D)
    expected = torch.einsum("p,bpd->bd", space.set_weights(sets), products)
    torch.testing.assert_close(space(embeddings, order), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["symmetric", "stacked", "full"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_tensor_holds_every_set_in_all_its_orders(kind, order):
    space, sets = make(kind), all_sets(order)
    tensor = space.tensor(order)
    assert tensor.shape == (F,) * order
    torch.testing.assert_close(tensor[tuple(sets.T)], space.set_weights(sets).detach())
    torch.testing.assert_close(tensor, tensor.permute(*range(order - 1, -1, -1)))
    assert int((tensor != 0).sum()) == comb(F, order) * factorial(order)


@pytest.mark.parametrize("order", [2, 3])
def test_a_full_space_with_distilled_weights_is_the_distilled_space(order, embeddings):
    distilled, full = make("symmetric"), make("full")
    full.architecture[order - 1].data.copy_(distilled.set_weights(all_sets(order)))
    torch.testing.assert_close(
        full(embeddings, order), distilled(embeddings, order), rtol=0, atol=1e-12
    )


def test_weights_of_a_stacked_pair_are_those_of_both_orders_of_its_fields():
    space = make("stacked")
    first, second = (beta.data for beta in list(space.architecture)[:2])
    expected = (first[:, 1] * second[:, 4] + first[:, 4] * second[:, 1]).sum()
    found = space.set_weights(torch.tensor([[1, 4]]))
    torch.testing.assert_close(found[0].detach(), expected, rtol=0, atol=1e-14)


def test_numbers_of_parameters():
    assert sum(p.numel() for p in make("symmetric").parameters()) == R * F * MAX_ORDER
    assert sum(p.numel() for p in make("stacked").parameters()) == R * F * MAX_ORDER
    full = sum(comb(F, order) for order in range(1, MAX_ORDER + 1))
    assert sum(p.numel() for p in make("full").parameters()) == full


@pytest.mark.parametrize("kind", ["symmetric", "full"])
@pytest.mark.parametrize("order", [2, 3])
def test_a_start_at_sets_gives_them_the_largest_weights(kind, order):
    space = make(kind)
    sets = [(0, 3, 5)[:order], (1, 2, 4)[:order]]
    space.start_at(sets, order, torch.Generator().manual_seed(0))
    weights = space.set_weights(all_sets(order)).detach()
    best = [tuple(s) for s in all_sets(order)[weights.argsort(descending=True)[:2]].tolist()]
    assert set(best) == set(sets)
    assert (weights.topk(2).values - SCREENED_WEIGHT).abs().max() < 0.01
    assert weights.sort().values[:-2].abs().max() < 0.1


def test_a_start_at_sets_leaves_stacked_betas_alone():
    space = make("stacked")
    before = space.architecture[1].clone()
    space.start_at([(0, 1)], 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(space.architecture[1].data, before.data, rtol=0, atol=0)


def test_repeats_count_a_set_in_all_its_orders(embeddings):
    space = SymmetricSpace(F, 2, R, repeats=True).double()
    space.reset_parameters(torch.Generator().manual_seed(0))
    distinct = SymmetricSpace(F, 2, R).double()
    distinct.load_state_dict(space.state_dict())
    sets = all_sets(2)
    torch.testing.assert_close(
        space.set_weights(sets), 2 * distinct.set_weights(sets), rtol=0, atol=1e-14
    )
    squares = (space.architecture[1][:, :, None] * embeddings[:, None]).square().sum((1, 2))
    expected = 2 * distinct(embeddings, 2) + squares
    torch.testing.assert_close(space(embeddings, 2), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "n_fields", "coupling", "expected"),
    [
        ("auto", 20, "symmetric", FullSpace),  # 190 pairs
        ("auto", 21, "symmetric", SymmetricSpace),  # 210 pairs
        ("auto", 21, "stacked", StackedSpace),
        ("cp", 3, "symmetric", SymmetricSpace),
        ("full", 30, "symmetric", FullSpace),
    ],
)
def test_auto_takes_free_weights_up_to_200_sets(kind, n_fields, coupling, expected):
    assert type(make_space(kind, n_fields, 2, R, coupling, False)) is expected
