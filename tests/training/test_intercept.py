"""The intercept ends where the loss of the training rows has its minimum."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from torch import nn

from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.training import intercept
from sparsectr.training.intercept import best_shift, fit_intercept


def draw_rows(n_outputs, n=3_000, seed=0):
    """Logits, targets from other logits, and weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, n_outputs))
    true = logits + rng.normal(-2, 1, (n, n_outputs)) + 3 * np.arange(n_outputs)
    both = np.c_[np.zeros(n), true] if n_outputs == 1 else true
    chances = softmax(both, axis=1).cumsum(axis=1)
    targets = (rng.random((n, 1)) > chances).sum(axis=1).clip(max=both.shape[1] - 1)
    return logits, targets, rng.exponential(size=n)


def mean_loss(logits, targets, weights):
    both = np.c_[np.zeros(len(logits)), logits] if logits.shape[1] == 1 else logits
    losses = -log_softmax(both, axis=1)[np.arange(len(targets)), targets]
    return weights @ losses / weights.sum()


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_no_other_shift_has_a_smaller_loss(n_outputs):
    logits, targets, weights = draw_rows(n_outputs)
    shift = best_shift(logits, targets, weights)
    found = mean_loss(logits + shift, targets, weights)
    best = minimize(lambda b: mean_loss(logits + b, targets, weights), np.zeros(n_outputs))
    assert best.fun <= found <= best.fun + 1e-6
    assert found < mean_loss(logits, targets, weights) - 0.1


@pytest.mark.parametrize("start", [-8.0, 0.0, 8.0])
def test_the_weighted_mean_is_the_share_of_the_class(start):
    logits, targets, weights = draw_rows(1)
    shift = best_shift(logits + start, targets, weights)
    mean = weights @ expit(logits + start + shift)[:, 0] / weights.sum()
    # The penalty takes about a thousandth off the shift.
    assert mean == pytest.approx(weights @ targets / weights.sum(), rel=3e-3 * abs(shift[0]))


def test_the_means_of_several_classes_are_their_shares():
    logits, targets, weights = draw_rows(4)
    probabilities = softmax(logits + best_shift(logits, targets, weights), axis=1)
    shares = np.bincount(targets, weights) / weights.sum()
    np.testing.assert_allclose(weights @ probabilities / weights.sum(), shares, rtol=1e-2)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_weights_are_repeated_rows_and_their_scale_does_not_matter(n_outputs):
    logits, targets, _ = draw_rows(n_outputs, 500)
    counts = np.random.default_rng(1).integers(0, 4, 500)
    rows = np.repeat(np.arange(500), counts)
    expected = best_shift(logits[rows], targets[rows], np.ones(len(rows)))
    for weights in (counts, 7.0 * counts):
        shift = best_shift(logits, targets, weights)
        np.testing.assert_allclose(shift, expected, rtol=0, atol=1e-9)


def test_huge_logits_and_absent_classes_keep_the_shift_finite():
    targets = np.array([0, 0, 1, 1, 1])
    saturated = np.array([[-1e3], [1e3], [1e3], [1e3], [1e3]])  # one is wrong, for good
    shift = best_shift(saturated, targets, np.ones(5))
    assert np.isfinite(shift).all()
    np.testing.assert_array_equal(expit(saturated + shift), expit(saturated))
    shift = best_shift(np.zeros((5, 3)), targets, np.ones(5))
    assert np.isfinite(shift).all()
    assert softmax(shift)[2] < 1e-3
    np.testing.assert_array_equal(
        best_shift(np.array([[np.inf], [0.0]]), targets[1:3], np.ones(2)), 0
    )


class Table(nn.Module):
    """One logit per code, and an intercept."""

    def __init__(self, n_codes):
        super().__init__()
        self.logits = nn.Parameter(torch.linspace(-3, 1, n_codes))
        self.intercept = nn.Parameter(torch.zeros(1))

    def forward(self, codes):
        return self.logits[codes.long()] + self.intercept


def test_too_many_rows_are_drawn_by_class(monkeypatch):
    monkeypatch.setattr(intercept, "INTERCEPT_ROWS", 4_000)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 9, (40_000, 1))
    targets = rng.random(40_000) < 0.01
    weights = rng.exponential(size=40_000)
    rows = LabelledRows(
        MemoryRows(torch.tensor(codes, dtype=torch.int32)),
        torch.tensor(targets, dtype=torch.float32),
        torch.tensor(weights / weights.mean(), dtype=torch.float32),
    )
    net = Table(9)
    seen = []
    net.register_forward_pre_hook(lambda _, codes: seen.append(len(codes[0])))
    fit_intercept(net, rows, torch.Generator().manual_seed(0))
    assert sum(seen) <= 4_000  # all 400 of the rare class, 2,000 of the other one
    means = expit(net(torch.tensor(codes)).detach().numpy())[:, 0]
    assert weights @ means == pytest.approx(weights @ targets, rel=0.05)
