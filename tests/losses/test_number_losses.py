"""Losses of numbers: gradients, the best constant, and the best shift, in float64."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import mean_poisson_deviance, mean_squared_error

from sparsectr.losses import POISSON, SQUARED_ERROR
from sparsectr.losses import loss as loss_module
from sparsectr.losses.loss import weighted_mean

LOSSES = [SQUARED_ERROR, POISSON]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)


def draw(seed=0, n=200):
    """Logits (n, 1), counts and weights of mean 1."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(n, 1)))
    targets = torch.from_numpy(rng.poisson(2, n).astype(float))
    weights = rng.exponential(size=n)
    return logits, targets, torch.from_numpy(weights / weights.mean())


def test_losses_are_half_the_squared_error_and_half_the_deviance():
    logits, targets, weights = draw()
    y, w, f = targets.numpy(), weights.numpy(), logits[:, 0].numpy()
    squared = mean_squared_error(y, f, sample_weight=w) / 2
    assert SQUARED_ERROR.mean(logits, targets, weights).item() == pytest.approx(squared)
    # The deviance leaves out what the loss of perfect predictions is.
    perfect = torch.where(targets > 0, targets, 1).log()[:, None]
    floor = (weights * (targets - targets * perfect[:, 0])).mean()
    deviance = mean_poisson_deviance(y, np.exp(f), sample_weight=w) / 2
    assert (POISSON.mean(logits, targets, weights) - floor).item() == pytest.approx(deviance)


@every_loss
def test_residuals_are_the_negative_gradient(loss):
    logits, targets, weights = draw()
    logits.requires_grad_()
    loss.mean(logits, targets, weights).backward()
    expected = -weights[:, None] * loss.residuals(logits, targets) / len(targets)
    torch.testing.assert_close(logits.grad, expected.detach())
    assert torch.autograd.gradcheck(lambda f: loss.mean(f, targets, weights), logits)


@every_loss
def test_the_prior_is_the_best_constant(loss):
    _, targets, weights = draw()
    prior = loss.prior_logits(targets, weights, 1)
    best = minimize_scalar(
        lambda b: float(loss.mean(torch.full((200, 1), b).double(), targets, weights))
    )
    assert prior.tolist() == pytest.approx([best.x], abs=1e-5)
    sizes = weights * loss.residuals(prior.double()[None], targets)[:, 0].abs()
    expected = float(sizes @ sizes / sizes.sum())
    assert loss.gradient_scale(targets, weights, 1) == pytest.approx(expected)


@every_loss
@pytest.mark.parametrize("start", [-300.0, 0.0, 5.0])
def test_no_other_shift_has_a_smaller_loss(loss, start):
    logits, targets, weights = draw()
    shift = loss.best_shift((logits + start).numpy(), targets.numpy(), weights.numpy())
    residuals = loss.residuals(logits + start + torch.from_numpy(shift), targets)
    # The slope by the intercept is zero, and the losses are convex.
    assert abs(float(weights @ residuals[:, 0])) < 1e-9


@every_loss
def test_degenerate_rows(loss):
    zeros, ones = torch.zeros(5), torch.ones(5)
    assert torch.isfinite(loss.prior_logits(zeros, ones, 1)).all()
    assert loss.gradient_scale(zeros, ones, 1) > 0
    for logits in (np.full((5, 1), np.inf), np.full((5, 1), np.nan), np.zeros((5, 1))):
        assert np.isfinite(loss.best_shift(logits, zeros.numpy(), ones.numpy())).all()
    assert loss.shortage(zeros) is None
    assert "at least one sample" in loss.shortage(zeros[:0])
    assert loss.strata(torch.tensor([0.5, 2.0])).tolist() == [0, 0]


@pytest.mark.parametrize("at_once", [1, 7, 200])
def test_a_mean_in_pieces_is_that_of_all(at_once, monkeypatch):
    monkeypatch.setattr(loss_module, "ROWS_AT_ONCE", at_once)
    _, targets, weights = draw()
    expected = np.average(targets, weights=weights)
    found = weighted_mean(targets.float(), weights.float())
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected, rel=1e-6)
