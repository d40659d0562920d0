"""The best sets against a ranking of all of them."""

from itertools import combinations
from math import comb

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.methods.profit.ranking import (
    ProductSpread,
    best_sets,
    count_crosses,
    measure_spread,
    rank_crosses,
)
from sparsectr.methods.profit.search_net import CrossSearchNet
from sparsectr.methods.profit.search_spaces import SymmetricSpace

F = 7


def draw_beta(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, F, generator=generator, dtype=torch.float64)


def score_by(beta):
    return lambda sets: beta[:, sets].prod(2).sum(0).abs()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), order=st.integers(2, 4), n=st.integers(1, 40))
def test_best_sets_are_those_of_a_full_ranking(seed, order, n):
    beta = draw_beta(seed)
    every = list(combinations(range(F), order))
    values = [abs(sum(beta[r, list(c)].prod().item() for r in range(2))) for c in every]
    expected = sorted(range(len(every)), key=lambda place: -values[place])[:n]
    found = best_sets(score_by(beta), F, order, n)
    assert [tuple(s) for s in found.tolist()] == [every[place] for place in expected]
    assert len(found) == min(n, comb(F, order))


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_wide_beam_equals_enumeration(order):
    score = score_by(draw_beta(1))
    width = max(comb(F, k) for k in range(1, order))
    listed = best_sets(score, F, order, 20)
    beam = best_sets(score, F, order, 20, most_listed=0, beam_width=width)
    assert beam.tolist() == listed.tolist()


def test_a_narrow_beam_returns_distinct_rising_sets():
    found = best_sets(score_by(draw_beta(2)), F, 3, 6, most_listed=0, beam_width=3)
    assert (found[:, 1:] > found[:, :-1]).all()
    assert len(set(map(tuple, found.tolist()))) == 6


def test_spread_of_independent_fields_is_exact():
    # Every joint value of three fields once: the fields are independent in these rows.
    generator = torch.Generator().manual_seed(0)
    tables = [torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (2, 3, 5)]
    rows = torch.cartesian_prod(*[torch.arange(len(t)) for t in tables])
    embeddings = torch.stack([t[rows[:, k]] for k, t in enumerate(tables)], 1)
    for sets in (torch.tensor([[0, 1], [0, 2], [1, 2]]), torch.tensor([[0, 1, 2]])):
        measured = measure_spread(embeddings, sets)
        torch.testing.assert_close(ProductSpread(embeddings)(sets), measured, rtol=0, atol=1e-12)
        direct = embeddings[:, sets].prod(2).sum(2).std(0, correction=0)
        torch.testing.assert_close(measured, direct, rtol=0, atol=1e-12)


def make_net():
    net = CrossSearchNet([5] * F, 4, 1, SymmetricSpace(F, 2, 2)).double()
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


def test_contributions_do_not_depend_on_the_gauge_and_weights_do():
    net = make_net()
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(5, (500, F), generator=generator)
    every = {2: comb(F, 2)}
    by_contribution, by_weight = (rank_crosses(net, codes, every, by) for by in RANKINGS)
    with torch.no_grad():
        for field, scale in enumerate(torch.linspace(0.1, 5.0, F).tolist()):
            start = int(net.embedding.offsets[field])
            net.embedding.weight[start : start + 5] /= scale
            for beta in net.space.architecture:
                beta[:, field] *= scale
    again = rank_crosses(net, codes, every, "contribution")
    assert [c.fields for c in again] == [c.fields for c in by_contribution]
    torch.testing.assert_close(
        torch.tensor([c.contribution for c in again]),
        torch.tensor([c.contribution for c in by_contribution]),
    )
    changed = rank_crosses(net, codes, every, "weight")
    assert [c.fields for c in changed] != [c.fields for c in by_weight]


RANKINGS = ("contribution", "weight")


@pytest.mark.parametrize("by", RANKINGS)
def test_ranks_follow_the_chosen_number(by):
    codes = torch.randint(5, (300, F), generator=torch.Generator().manual_seed(1))
    ranked = rank_crosses(make_net(), codes, {2: 6}, by)
    values = [abs(getattr(cross, by)) for cross in ranked]
    assert values == sorted(values, reverse=True)
    assert [cross.rank for cross in ranked] == [1, 2, 3, 4, 5, 6]


def test_numbers_of_crosses():
    assert count_crosses("auto", 10, 3) == {2: 7, 3: 10}
    assert count_crosses("auto", 100, 2) == {2: 200}
    assert count_crosses("auto", 3, 3) == {2: 1, 3: 1}
    assert count_crosses(4, 10, 3) == {2: 4, 3: 4}
    assert count_crosses(5, 4, 3) == {2: 5, 3: 4}
    assert count_crosses({2: 1, 3: 0}, 10, 3) == {2: 1, 3: 0}


@pytest.mark.parametrize(
    ("wanted", "n_fields", "max_order", "match"),
    [
        ("auto", 1, 2, "a cross takes at least two fields, got n_features = 1"),
        ("auto", 2, 3, "max_order must be at most the number of fields"),
        (7, 4, 2, "n_crosses must be at most the number of sets of order 2, 6 with 4 fields"),
        ({2: 6, 3: 5}, 4, 3, "n_crosses must be at most the number of sets of order 3, 4 with 4"),
        ({2: 3}, 5, 3, r"keys \[2, 3\]"),
    ],
)
def test_impossible_numbers_are_refused(wanted, n_fields, max_order, match):
    with pytest.raises(ValueError, match=match):
        count_crosses(wanted, n_fields, max_order)
