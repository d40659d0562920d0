"""Validation values against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from sparsectr.metrics import validation_values

NUMBERS = np.array([0, 1, 1, 0, 1])
SCORES = np.array([0.2, 0.7, 0.4, 0.6, 0.6])
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
PROBABILITIES = np.column_stack([1 - SCORES, SCORES])


def test_log_loss_is_the_weighted_mean_of_minus_log_probability():
    losses = -np.log(PROBABILITIES[np.arange(5), NUMBERS])
    expected = WEIGHTS @ losses / WEIGHTS.sum()
    values = validation_values(NUMBERS, PROBABILITIES, WEIGHTS)
    assert values["validation_log_loss"] == pytest.approx(expected, rel=1e-12)


def test_roc_auc_is_the_weighted_share_of_ordered_pairs():
    wins = total = 0.0
    for i in np.flatnonzero(NUMBERS == 1):
        for j in np.flatnonzero(NUMBERS == 0):
            pair = WEIGHTS[i] * WEIGHTS[j]
            total += pair
            wins += pair * ((SCORES[i] > SCORES[j]) + 0.5 * (SCORES[i] == SCORES[j]))
    values = validation_values(NUMBERS, PROBABILITIES, WEIGHTS)
    assert values["validation_roc_auc"] == pytest.approx(wins / total, rel=1e-12)


@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(1, 20))
def test_values_of_two_classes_are_those_of_scikit_learn(seed, n_rows, n_scores):
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(np.arange(n_rows) % 2)
    scores = rng.integers(n_scores, size=n_rows) / n_scores  # zero, and many ties
    probabilities = np.column_stack([1 - scores, scores])
    weights = rng.integers(4, size=n_rows).astype(np.float32)
    weights[[np.argmin(numbers), np.argmax(numbers)]] = 1  # a row of each class counts
    values = validation_values(numbers, probabilities, weights)
    loss = log_loss(numbers, probabilities, sample_weight=weights, labels=[0, 1])
    area = roc_auc_score(numbers, scores, sample_weight=weights)
    assert values["validation_log_loss"] == pytest.approx(loss, rel=1e-12)
    assert values["validation_roc_auc"] == pytest.approx(area, rel=1e-12, abs=1e-12)


def test_a_class_without_weight_leaves_no_area_under_the_curve():
    values = validation_values(NUMBERS, PROBABILITIES, WEIGHTS * NUMBERS)
    assert set(values) == {"validation_log_loss"}


def test_more_than_two_classes():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    values = validation_values(np.array([0, 1, 2]), probabilities, np.ones(3))
    assert values["validation_roc_auc"] == 1.0
    assert values["validation_log_loss"] == pytest.approx(-math.log(0.8))
    assert all(type(value) is float for value in values.values())


def test_not_a_number_is_reported_as_such():
    values = validation_values(NUMBERS, PROBABILITIES * np.nan, WEIGHTS)
    assert math.isnan(values.pop("validation_log_loss"))
    assert not values
