"""Blend the log-odds of several models."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]

# How many rows' worth of loss it costs to move a weight by one from equal weights.
PRIOR_ROWS = 2.0
LEAST_PROBABILITY = 1e-7


class Stack(NamedTuple):
    """Weights of models, and an intercept.

    Attributes
    ----------
    weights : ndarray of shape (n_models,)
        None is negative.
    intercept : ndarray of shape (n_classes,)
        Sums to 0.
    """

    weights: Floats
    intercept: Floats

    def apply(self, log_odds: Floats) -> Floats:
        """Blend log-odds (n_models, n_rows, n_classes) into log-odds (n_rows, n_classes)."""
        return np.tensordot(self.weights, log_odds, 1) + self.intercept


def to_log_odds(probabilities: Floats) -> Floats:
    """Return the log of each probability, less the mean of that over the classes.

    Parameters
    ----------
    probabilities : ndarray of shape (..., n_classes)

    Returns
    -------
    ndarray of shape (..., n_classes)
        What `scipy.special.softmax` turns into the probabilities again. Of two classes, half of
        the usual log-odds with either sign.
    """
    logs = np.log(np.clip(probabilities, LEAST_PROBABILITY, 1))
    return logs - logs.mean(axis=-1, keepdims=True)


def fit_stack(log_odds: Floats, numbers: NDArray[np.int64], weights: Floats) -> Stack:
    """Find the weights and the intercept of the least log loss.

    Parameters
    ----------
    log_odds : ndarray of shape (n_models, n_rows, n_classes)
        Of every model, on rows that it was not trained on.
    numbers : ndarray of int, shape (n_rows,)
        Class number of every row.
    weights : ndarray of shape (n_rows,)
        Weights of the rows.

    Returns
    -------
    Stack
        Weights are drawn towards equal ones by a penalty that counts as a few rows.

    Notes
    -----
    Stacked regressions with weights that are not negative: Breiman (1996); here on log-odds.
    """
    n_models, n_rows, n_classes = log_odds.shape
    equal = np.full(n_models, 1 / n_models)
    penalty, shares = PRIOR_ROWS / n_rows, weights / weights.sum()
    rows = np.arange(n_rows)

    def loss(values: Floats) -> tuple[float, Floats]:
        stack = Stack(values[:n_models], values[n_models:])
        blended = stack.apply(log_odds)
        away = values[:n_models] - equal
        total = -shares @ log_softmax(blended, axis=1)[rows, numbers]
        error = softmax(blended, axis=1)
        error[rows, numbers] -= 1
        error *= shares[:, None]
        slopes = np.tensordot(log_odds, error, 2) + 2 * penalty * away
        # The intercept alone would not be bounded where a class is never seen.
        total += penalty * (away @ away + stack.intercept @ stack.intercept)
        down = error.sum(axis=0) + 2 * penalty * stack.intercept
        return float(total), np.concatenate([slopes, down])

    bounds = [(0, None)] * n_models + [(None, None)] * n_classes
    start = np.concatenate([equal, np.zeros(n_classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    intercept = found[n_models:]
    return Stack(found[:n_models], intercept - intercept.mean())


def blended_loss(blended: Floats, numbers: NDArray[np.int64], weights: Floats) -> float:
    """Return the mean log loss of log-odds, blended (n_rows, n_classes).

    The rows have class numbers (n_rows,) and weights (n_rows,).
    """
    losses = -log_softmax(blended, axis=1)[np.arange(len(numbers)), numbers]
    return float(np.average(losses, weights=weights))
