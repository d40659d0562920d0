"""The log loss against its definition in NumPy, and its best shift against other optimizers."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from sparsectr.losses import LOG_LOSS, log_loss
from sparsectr.rows.labelled import Batch


def make_rows(targets, weights):
    return Batch(torch.zeros(len(targets), 1, dtype=torch.int32), targets, weights)


def test_binary_and_two_class_losses_are_minus_log_probability():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(7, 1, generator=generator, dtype=torch.float64)
    weights = torch.rand(7, generator=generator, dtype=torch.float64)
    targets = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    p = 1 / (1 + np.exp(-logits[:, 0].numpy()))
    y = targets.numpy()
    expected = -(weights.numpy() * np.log(np.where(y == 1, p, 1 - p))).mean()
    assert log_loss(logits, make_rows(targets.double(), weights)).item() == pytest.approx(expected)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    assert log_loss(two, make_rows(targets, weights)).item() == pytest.approx(expected)


def test_a_weight_of_two_is_two_rows():
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -0.5]], dtype=torch.float64)
    targets = torch.tensor([2, 0])
    weighted = log_loss(logits, make_rows(targets, torch.tensor([2.0, 1.0], dtype=torch.float64)))
    rows = torch.tensor([0, 0, 1])
    repeated = log_loss(logits[rows], make_rows(targets[rows], torch.ones(3, dtype=torch.float64)))
    assert 2 * weighted.item() == pytest.approx(3 * repeated.item())


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
    shift = LOG_LOSS.best_shift(logits, targets, weights)
    found = mean_loss(logits + shift, targets, weights)
    best = minimize(lambda b: mean_loss(logits + b, targets, weights), np.zeros(n_outputs))
    assert best.fun <= found <= best.fun + 1e-6
    assert found < mean_loss(logits, targets, weights) - 0.1


@pytest.mark.parametrize("start", [-8.0, 0.0, 8.0])
def test_the_weighted_mean_is_the_share_of_the_class(start):
    logits, targets, weights = draw_rows(1)
    shift = LOG_LOSS.best_shift(logits + start, targets, weights)
    mean = weights @ expit(logits + start + shift)[:, 0] / weights.sum()
    # The penalty takes about a thousandth off the shift.
    assert mean == pytest.approx(weights @ targets / weights.sum(), rel=3e-3 * abs(shift[0]))


def test_the_means_of_several_classes_are_their_shares():
    logits, targets, weights = draw_rows(4)
    probabilities = softmax(logits + LOG_LOSS.best_shift(logits, targets, weights), axis=1)
    shares = np.bincount(targets, weights) / weights.sum()
    np.testing.assert_allclose(weights @ probabilities / weights.sum(), shares, rtol=1e-2)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_weights_are_repeated_rows_and_their_scale_does_not_matter(n_outputs):
    logits, targets, _ = draw_rows(n_outputs, 500)
    counts = np.random.default_rng(1).integers(0, 4, 500)
    rows = np.repeat(np.arange(500), counts)
    expected = LOG_LOSS.best_shift(logits[rows], targets[rows], np.ones(len(rows)))
    for weights in (counts, 7.0 * counts):
        shift = LOG_LOSS.best_shift(logits, targets, weights)
        np.testing.assert_allclose(shift, expected, rtol=0, atol=1e-9)


def test_huge_logits_and_absent_classes_keep_the_shift_finite():
    targets = np.array([0, 0, 1, 1, 1])
    saturated = np.array([[-1e3], [1e3], [1e3], [1e3], [1e3]])  # one is wrong, for good
    shift = LOG_LOSS.best_shift(saturated, targets, np.ones(5))
    assert np.isfinite(shift).all()
    np.testing.assert_array_equal(expit(saturated + shift), expit(saturated))
    shift = LOG_LOSS.best_shift(np.zeros((5, 3)), targets, np.ones(5))
    assert np.isfinite(shift).all()
    assert softmax(shift)[2] < 1e-3
    np.testing.assert_array_equal(
        LOG_LOSS.best_shift(np.array([[np.inf], [0.0]]), targets[1:3], np.ones(2)), 0
    )
