"""Strengths are standard deviations of effects, and the bootstrap knows how sure they are."""

import numpy as np
import pytest
import torch

from sparsectr.training.strengths import (
    affordable_rows,
    effects_of,
    in_parts,
    measure_strengths,
    screen_crosses,
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

        def cross_effects(self, codes, crosses):
            parts = [codes[:, list(cross)].double().prod(1) for cross in crosses]
            return torch.stack(parts)[:, :, None]

    net, codes = Net(), torch.arange(2_500 * 3).reshape(-1, 3)
    found = effects_of(net, codes, [(0, 1), (2,)])
    assert net.evaluated
    assert torch.equal(found[:, :, 0], torch.stack([codes[:, 0] * codes[:, 1], codes[:, 2]]))


class Scales:
    """The effect of cross (k,) is scales[k] times the first column of the codes."""

    def __init__(self, n):
        self.scales = torch.rand(n, generator=torch.Generator().manual_seed(0)) + 0.1
        self.most_rows = 0

    def eval(self):
        pass

    def cross_effects(self, codes, crosses):
        self.most_rows = max(self.most_rows, len(codes))
        return torch.stack([self.scales[k] * codes[:, 0] for (k,) in crosses])[:, :, None]


@pytest.mark.parametrize("n_best", [1, 7, 40])
def test_screened_are_the_strongest_in_their_order(n_best):
    net, codes = Scales(40), torch.randn(500, 1, generator=torch.Generator().manual_seed(1))
    crosses = [(k,) for k in range(40)]
    best = net.scales.argsort(descending=True)[:n_best].sort().values
    found = screen_crosses(net, codes, crosses, n_best)
    assert found == [crosses[k] for k in best.tolist()]


def test_screening_asks_for_all_crosses_at_once():
    """What a net computes of single fields is computed once."""
    net, asked = Scales(40), []
    original = net.cross_effects

    def cross_effects(codes, crosses):
        asked.append(len(crosses))
        return original(codes, crosses)

    net.cross_effects = cross_effects
    screen_crosses(net, torch.zeros(100, 1), [(k,) for k in range(40)], 3)
    assert asked == [40]


@pytest.mark.parametrize(("n_fields", "n_at_once"), [(1, 256), (300, 256), (1000, 33)])
def test_the_more_fields_the_fewer_rows_at_once(n_fields, n_at_once):
    assert [len(part) for part in in_parts(torch.zeros(2 * n_at_once, n_fields))] == [n_at_once] * 2


def test_few_crosses_are_not_screened():
    net = Scales(3)
    assert screen_crosses(net, torch.zeros(9, 1), [(2,), (0,)], 2) == [(2,), (0,)]
    assert net.most_rows == 0


@pytest.mark.parametrize(("n", "rows"), [(0, 1_000_000), (50, 20_000), (10**6, 1_000)])
def test_the_more_crosses_the_fewer_rows(n, rows):
    assert affordable_rows(n) == rows
