"""A polynomial falls apart into the contributions of its crosses, and nothing is left."""

from itertools import combinations

import pytest
import torch

from sparsectr.nn.contributions import (
    contributions_of,
    cross_contributions,
    cross_strengths,
    strongest_crosses,
)

F = 5


class Polynomial:
    """sum over sets of w_S prod_{f in S} x_f, with x the codes themselves."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, codes, sets):
        x = codes.double()
        values = []
        for members in sets.tolist():
            inside = [w * x[:, s].prod(1) for s, w in self.weights.items() if {*s} <= {*members}]
            values.append(sum(inside, torch.zeros(len(x), dtype=torch.float64)))
        return torch.stack(values)[:, :, None]


@pytest.fixture
def polynomial():
    generator = torch.Generator().manual_seed(0)
    sets = [s for order in (1, 2, 3) for s in combinations(range(F), order)]
    weights = torch.randn(len(sets), dtype=torch.float64, generator=generator)
    return Polynomial({s: float(w) for s, w in zip(sets, weights, strict=True)})


@pytest.fixture
def codes():
    return torch.randint(-3, 4, (400, F), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_contributions_are_the_monomials(polynomial, codes, order):
    sets = torch.combinations(torch.arange(F), order)
    found = cross_contributions(polynomial, codes, sets)[:, :, 0]
    x = codes.double()
    expected = [polynomial.weights[tuple(s)] * x[:, s].prod(1) for s in sets.tolist()]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-11)


def test_contributions_of_all_sets_sum_to_the_whole(polynomial, codes):
    total = sum(
        cross_contributions(polynomial, codes, torch.combinations(torch.arange(F), order)).sum(0)
        for order in (1, 2, 3)
    )
    whole = polynomial(codes, torch.arange(F)[None])[0]
    torch.testing.assert_close(total, whole, rtol=0, atol=1e-11)


def test_contributions_of_any_orders_come_as_asked(polynomial, codes, monkeypatch):
    monkeypatch.setattr("sparsectr.nn.contributions.SETS_AT_ONCE", 2)
    crosses = [(0, 3, 4), (2,), (1, 2), (0, 1, 2), (0, 4), (3, 4)]
    x = codes.double()
    expected = torch.stack([polynomial.weights[s] * x[:, s].prod(1) for s in crosses])
    found = contributions_of(polynomial, codes, crosses)[:, :, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_strength_is_the_standard_deviation_over_rows(polynomial, codes):
    sets = torch.combinations(torch.arange(F), 2)
    contributions = cross_contributions(polynomial, codes, sets)[:, :, 0]
    expected = contributions.std(1, correction=0)
    torch.testing.assert_close(cross_strengths(polynomial, codes, sets), expected)


def test_strengths_of_several_logits_are_their_root_mean_square(polynomial, codes):
    sets = torch.combinations(torch.arange(F), 2)

    def two_logits(rows, sets):
        return polynomial(rows, sets) * torch.tensor([3.0, -4.0], dtype=torch.float64)

    expected = cross_strengths(polynomial, codes, sets) * (25 / 2) ** 0.5
    torch.testing.assert_close(cross_strengths(two_logits, codes, sets), expected)


def test_strongest_are_the_strongest_of_each_order(polynomial, codes):
    found = list(strongest_crosses(polynomial, codes, max_order=3, n_crosses=4))
    for order in (2, 3):
        sets = torch.combinations(torch.arange(F), order)
        strengths = cross_strengths(polynomial, codes, sets).tolist()
        pairs = zip(map(tuple, sets.tolist()), strengths, strict=True)
        ranking = [s for s, _ in sorted(pairs, key=lambda pair: -pair[1])]
        assert [s for s in found if len(s) == order] == ranking[:4]


def test_many_fields_are_screened_by_their_smaller_crosses(monkeypatch, polynomial, codes):
    monkeypatch.setattr("sparsectr.nn.contributions.MOST_SETS", 4)  # C(4, 3): one field goes
    strong = {(0, 1): 9.0, (1, 3): 8.0, (3, 4): 7.0, (0, 3, 4): 5.0}
    found = strongest_crosses(Polynomial(polynomial.weights | strong), codes, 3, n_crosses=1)
    assert list(found)[1] == (0, 3, 4)


def test_one_field_has_no_crosses(codes):
    assert list(strongest_crosses(Polynomial({(0,): 1.0}), codes[:, :1], 3, n_crosses=4)) == []
