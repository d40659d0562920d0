"""Strengths are standard deviations of effects, and the bootstrap knows how sure they are."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sparsectr.training import strengths
from sparsectr.training.strengths import (
    affordable_rows,
    effects_of,
    in_parts,
    measure_strengths,
    strengths_of,
    strongest_sets,
    value_effects,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_a_strength_is_the_standard_deviation_and_over_several_logits_its_mean_square():
    effects = draw(3, 200, 2) * torch.tensor([3.0, 1.0]) + 100
    found = measure_strengths(effects, generator()).strengths
    expected = np.sqrt(effects.numpy().var(axis=1).mean(axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["normal", "uniform", "two values"])
def test_errors_are_those_of_theory(kind):
    """The delta method: the variance of s is (m4 - s^4) / (4 s^2 n) in large samples."""
    effects = draw(40, 3_000, 1)
    if kind == "uniform":
        effects = torch.special.ndtr(effects)
    if kind == "two values":
        effects = (effects > 1).double()
    centred = (effects - effects.mean(1, keepdim=True))[:, :, 0]
    variance, fourth = centred.square().mean(1), centred.pow(4).mean(1)
    expected = ((fourth - variance**2) / (4 * variance * 3_000)).sqrt()
    found = measure_strengths(effects, generator()).errors
    # 50 samples know an error to a tenth; 40 crosses share the samples, but not their rows.
    assert (found / expected).mean() == pytest.approx(1, abs=0.06)


def test_errors_scale_with_the_effects_and_ignore_their_mean():
    effects = draw(2, 500, 3)
    plain = measure_strengths(effects, generator())
    moved = measure_strengths(10 * effects + 7, generator())
    torch.testing.assert_close(moved.errors, 10 * plain.errors)
    torch.testing.assert_close(moved.strengths, 10 * plain.strengths)


def test_a_cross_is_active_where_any_logit_changes():
    effects = torch.zeros(2, 10, 2)
    effects[0, :3, 1] = 0.5
    effects[1, :, 0] = 1e-8  # rounding
    found = measure_strengths(effects, generator())
    assert found.active_shares.tolist() == [0.3, 0.0]


def test_one_row_has_no_spread():
    found = measure_strengths(torch.ones(2, 1, 1), generator())
    assert found.strengths.tolist() == found.errors.tolist() == [0, 0]


def test_values_are_averaged_over_their_rows():
    codes = torch.randint(0, 4, (300, 3), generator=generator(), dtype=torch.int32)
    effects = draw(300, 2, seed=1)
    found = value_effects(codes, effects, 1_000)
    combinations, counts = np.unique(codes.numpy(), axis=0, return_counts=True)
    assert sorted(map(tuple, found.codes.tolist())) == sorted(map(tuple, combinations.tolist()))
    assert found.counts.tolist() == sorted(counts, reverse=True)
    for combination, count, effect in zip(*found, strict=True):
        rows = (codes == combination).all(1)
        assert rows.sum() == count
        torch.testing.assert_close(effect, effects[rows].mean(0))


def test_huge_codes_do_not_overflow_and_rare_combinations_are_cut():
    codes = torch.arange(1_000)[:, None] * torch.tensor([[2_000_000, 1_999_999, 3, 2_000_000]])
    found = value_effects(codes, torch.arange(1_000.0)[:, None], 300)
    assert len(found.codes) == 300
    assert found.codes[:, 2].tolist() == [3 * int(effect) for effect in found.effects]


def test_effects_of_many_rows_are_those_of_their_parts():
    class Net:
        evaluated = False

        def eval(self):
            self.evaluated = True

        def effects(self, codes, sets, columns):
            parts = [codes[:, [columns[f][0] for f in s]].double().prod(1) for s in sets]
            return torch.stack(parts)[:, :, None]

    net, codes = Net(), torch.arange(2_500 * 3).reshape(-1, 3)
    found = effects_of(net, codes, [(0, 1), (2,)], [(1,), (0,), (2,)])
    assert net.evaluated
    assert torch.equal(found[:, :, 0], torch.stack([codes[:, 1] * codes[:, 0], codes[:, 2]]))


@pytest.mark.parametrize(("n_fields", "n_at_once"), [(1, 1024), (300, 186), (1000, 16)])
def test_the_more_fields_the_fewer_rows_at_once(n_fields, n_at_once):
    sizes = []

    def effects(rows, sets):
        sizes.append(len(rows))
        return torch.zeros(len(sets), len(rows), 1)

    assert in_parts(effects, torch.zeros(2 * n_at_once, n_fields), [(0,)]).shape[1] == 2 * n_at_once
    assert sizes == [n_at_once] * 2


F = 5
SETS = [s for order in (1, 2, 3) for s in combinations(range(F), order)]


class Products:
    """The effect of a set is a weight times the product of the codes of its fields."""

    def __init__(self):
        drawn = torch.rand(len(SETS), generator=generator()) + 0.1
        self.weights = dict(zip(SETS, drawn.tolist(), strict=True))
        self.asked = []

    def __call__(self, codes, sets):
        self.asked.append((len(codes), sets))
        parts = [self.weights[s] * codes[:, list(s)].double().prod(1) for s in sets]
        return torch.stack(parts)[:, :, None]


@pytest.fixture
def signs():
    """Rows on which the strength of a set is its weight, but for chance."""
    return 2 * torch.randint(2, (4_000, F), generator=generator(1)) - 1


@pytest.mark.parametrize("n_best", [1, 4, 20])
def test_the_strongest_of_each_order_come_first(signs, n_best):
    products = Products()
    found = list(strongest_sets(products, signs, F, {2: n_best, 3: 2}))
    for order, n in ((2, n_best), (3, 2)):
        sets = [s for s in SETS if len(s) == order]
        strengths = strengths_of(products(signs, sets)).tolist()
        ranking = [s for _, s in sorted(zip(strengths, sets, strict=True), reverse=True)]
        assert [s for s in found if len(s) == order] == ranking[:n]


def test_many_sets_are_compared_on_few_rows_and_some_at_a_time(signs, monkeypatch):
    monkeypatch.setattr(strengths, "COMPARED_AT_ONCE", 400)
    products = Products()
    list(strongest_sets(products, signs, F, {2: 1}, budget=1_000, fewest_rows=30))
    assert [(n_rows, len(sets)) for n_rows, sets in products.asked] == [
        (100, 4),
        (100, 4),
        (100, 2),
    ]


def test_of_many_fields_those_of_strong_smaller_sets_are_combined(signs):
    products = Products()
    products.weights |= {(0, 1): 9.0, (1, 3): 8.0, (3, 4): 7.0, (0, 3, 4): 5.0}
    found = strongest_sets(products, signs, F, {2: 1, 3: 1}, most_compared=4)  # one field goes
    assert list(found) == [(0, 1), (0, 3, 4)]
    assert products.asked[-1][1] == [(0, 1, 3), (0, 1, 4), (0, 3, 4), (1, 3, 4)]


def test_one_field_has_no_crosses(signs):
    assert list(strongest_sets(Products(), signs, 1, {2: 4, 3: 4})) == []


class Passing:
    takes_passes = True


class Summing:
    takes_passes = False


@pytest.mark.parametrize(
    ("net", "sets", "rows"),
    [
        (Summing, [], 1_000_000),
        (Summing, [(0, 1), (0, 1, 2)], 500_000),
        (Passing, [(0, 1), (0, 1, 2)], 250_000),  # three pairs and a triple
        (Summing, [(0, 1)] * 5_000, 1_000),
    ],
)
def test_the_more_sets_the_fewer_rows(net, sets, rows):
    assert affordable_rows(net, sets) == rows
