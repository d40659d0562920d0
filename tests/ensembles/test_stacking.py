"""The blend of log-odds."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from sparsectr.ensembles.stacking import Stack, blended_loss, fit_stack, to_log_odds


def both(logits):
    """Return centred log-odds of two classes."""
    return np.stack([-logits, logits], axis=-1) / 2


def draw(rng, logits):
    return (rng.random(len(logits)) < expit(logits)).astype(np.int64)


def test_log_odds_and_probabilities():
    probabilities = np.random.default_rng(0).dirichlet([1, 2, 3], 20)
    log_odds = to_log_odds(probabilities)
    np.testing.assert_allclose(softmax(log_odds, axis=1), probabilities)
    np.testing.assert_allclose(log_odds.sum(axis=1), 0, atol=1e-12)
    assert np.isfinite(to_log_odds(np.array([[0.0, 1.0]]))).all()
    np.testing.assert_allclose(to_log_odds(expit(both(np.array([1.3])))), both(np.array([0.65])))


def test_true_weights_are_found():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, 200_000))
    numbers = draw(rng, 1.2 * parts[0] + 0.4 * parts[1] - 0.5)
    stack = fit_stack(both(parts), numbers, np.ones(len(numbers)))
    np.testing.assert_allclose(stack.weights, [1.2, 0.4, 0], atol=0.03)
    np.testing.assert_allclose(stack.intercept, [0.25, -0.25], atol=0.02)


def test_no_weight_is_negative():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 5_000))
    numbers = draw(rng, parts[0] - parts[1])
    stack = fit_stack(both(parts), numbers, np.ones(5_000))
    assert stack.weights[1] == 0
    assert stack.weights[0] > 0.5


def test_a_row_of_weight_two_is_two_rows():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 300))
    numbers, weights = draw(rng, parts.sum(axis=0)), rng.integers(1, 3, 300)
    twice = np.repeat(np.arange(300), weights)
    first = fit_stack(both(parts), numbers, weights.astype(float))
    second = fit_stack(both(parts)[:, twice], numbers[twice], np.ones(len(twice)))
    # But for the penalty, which counts lines.
    np.testing.assert_allclose(first.weights, second.weights, atol=0.05)


def test_few_rows_leave_equal_weights():
    parts = both(np.array([[3.0], [-2.0], [0.1]]))
    stack = fit_stack(parts, np.array([1]), np.ones(1))
    np.testing.assert_allclose(stack.weights, 1 / 3, atol=0.25)


def test_three_classes():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 50_000, 3))
    parts -= parts.mean(axis=2, keepdims=True)
    truth = Stack(np.array([0.5, 1.0]), np.array([0.3, 0.1, -0.4]))
    shares = softmax(truth.apply(parts), axis=1).cumsum(axis=1)
    numbers = (rng.random((50_000, 1)) > shares).sum(axis=1)
    stack = fit_stack(parts, numbers, np.ones(50_000))
    np.testing.assert_allclose(stack.weights, truth.weights, atol=0.03)
    np.testing.assert_allclose(stack.intercept, truth.intercept, atol=0.03)


def test_loss_of_a_blend():
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(size=50), rng.random(50)
    numbers = draw(rng, logits)
    expected = log_loss(numbers, expit(logits), sample_weight=weights)
    assert blended_loss(both(logits), numbers, weights) == pytest.approx(expected)
