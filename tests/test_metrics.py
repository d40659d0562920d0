"""Measures against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks
from sparsectr.metrics import (
    calibration_error,
    grouped_roc_auc_score,
    normalized_entropy,
    validation_values,
)

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


# Public measures -------------------------------------------------------------------------


@st.composite
def rows(draw):
    """Labels, probabilities with ties, whole weights with zeros, and groups."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_rows, n_scores = draw(st.integers(2, 80)), draw(st.integers(1, 30))
    y = rng.permutation(np.arange(n_rows) % 2)
    probabilities = rng.integers(n_scores + 1, size=n_rows) / n_scores
    weights = rng.integers(4, size=n_rows)
    weights[[np.argmin(y), np.argmax(y)]] = 1  # a row of each class counts
    return y, probabilities, weights, rng.integers(5, size=n_rows)


@given(rows())
def test_grouped_area_is_the_weighted_mean_of_the_areas_of_the_groups(drawn):
    y, scores, weights, groups = drawn
    areas, sums = [], []
    for group in np.unique(groups):
        of_group = (groups == group) & (weights > 0)
        if len(np.unique(y[of_group])) == 2:
            w = weights[of_group]
            areas.append(roc_auc_score(y[of_group], scores[of_group], sample_weight=w))
            sums.append(w.sum())
    if not areas:
        with pytest.warns(UndefinedMetricWarning, match="no group has rows of both classes"):
            assert math.isnan(
                grouped_roc_auc_score(y, scores, groups=groups, sample_weight=weights)
            )
        return
    found = grouped_roc_auc_score(y, scores, groups=groups, sample_weight=weights)
    assert found == pytest.approx(np.average(areas, weights=sums), rel=1e-9, abs=1e-12)


@given(rows())
def test_grouped_area_of_one_group_is_the_area(drawn):
    y, scores, weights, _ = drawn
    found = grouped_roc_auc_score(y, scores, groups=[None] * len(y), sample_weight=weights)
    assert found == pytest.approx(roc_auc_score(y, scores, sample_weight=weights), abs=1e-12)


@given(rows(), st.sampled_from(["quantile", "uniform"]))
def test_a_weight_counts_rows(drawn, strategy):
    y, p, weights, _ = drawn
    repeated = np.repeat(np.arange(len(y)), weights)
    found = calibration_error(y, p, sample_weight=weights, strategy=strategy)
    expected = calibration_error(y[repeated], p[repeated], strategy=strategy)
    assert found == pytest.approx(expected, abs=1e-12)
    found = normalized_entropy(y, p, sample_weight=weights)
    assert found == pytest.approx(normalized_entropy(y[repeated], p[repeated]), rel=1e-9)


@given(rows())
def test_normalized_entropy_is_a_ratio_of_log_losses(drawn):
    y, p, weights, _ = drawn
    rate = np.full(len(y), np.average(y, weights=weights))
    expected = log_loss(y, p, sample_weight=weights) / log_loss(y, rate, sample_weight=weights)
    assert normalized_entropy(y, p, sample_weight=weights) == pytest.approx(expected, rel=1e-9)


def test_calibration_error_is_that_of_the_curve_of_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=1000)  # no ties: bins of exactly 100 rows
    y = (rng.uniform(size=1000) < p**2).astype(int)
    shares, means = calibration_curve(y, p, n_bins=10, strategy="quantile")
    assert calibration_error(y, p) == pytest.approx(np.abs(shares - means).mean(), rel=0.02)
    shares, means = calibration_curve(y, p, n_bins=10, strategy="uniform")
    sizes = np.histogram(p, 10, (0, 1))[0]
    expected = np.average(np.abs(shares - means), weights=sizes)
    assert calibration_error(y, p, strategy="uniform") == pytest.approx(expected, rel=1e-9)


def test_calibration_error_of_the_truth_and_of_a_shift():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.1, 0.8, size=200_000)
    y = rng.uniform(size=len(p)) < p
    assert calibration_error(y, p) < 0.005
    assert calibration_error(y, p + 0.1) == pytest.approx(0.1, abs=0.005)


def test_labels_may_be_strings_and_their_order_may_be_named():
    y, p = np.array(["no", "yes", "yes", "no"]), np.array([0.1, 0.8, 0.7, 0.6])
    numbers = (y == "yes").astype(int)
    for measure in (calibration_error, normalized_entropy):
        assert measure(y, p) == measure(numbers, p)
        assert measure(y, 1 - p, pos_label="no") == pytest.approx(measure(numbers == 0, 1 - p))
    assert grouped_roc_auc_score(y, p, groups=[1, 1, 1, 1]) == 1.0
    assert grouped_roc_auc_score(y, p, groups=[1, 1, 1, 1], pos_label="no") == 0.0


def test_one_class_is_not_defined():
    with pytest.warns(UndefinedMetricWarning, match="one class only"):
        assert math.isnan(normalized_entropy([1, 1], [0.5, 0.6]))
    assert calibration_error([0, 0], [0.25, 0.25]) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1, 2], [0.1, 0.2, 0.3]), "at most two labels, got 3"),
        (([0, 1], [0.1, 1.3]), "must hold probabilities in"),
        (([0, 1], [0.1, np.nan]), "must be finite"),
        ((["a", "a"], [0.1, 0.2]), "name the positive class in pos_label"),
        (([0, 1, 1], [0.1, 0.2]), "inconsistent numbers of samples"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    for measure in (calibration_error, normalized_entropy):
        with pytest.raises(ValueError, match=message):
            measure(*arguments)


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [1, np.inf]])
def test_weights_that_make_no_mean_are_refused(weights):
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        normalized_entropy([0, 1], [0.1, 0.2], sample_weight=weights)


def test_bins_are_checked():
    with pytest.raises(ValueError, match="n_bins must be an int >= 1, got 0"):
        calibration_error([0, 1], [0.1, 0.2], n_bins=0)
    with pytest.raises(ValueError, match="strategy must be 'quantile' or 'uniform', got 'width'"):
        calibration_error([0, 1], [0.1, 0.2], strategy="width")


# As scorers ------------------------------------------------------------------------------

CLICKS = make_clicks(900, 5, 6, random_state=0)
LABELS = np.where(CLICKS.y == 1, "yes", "no")
CLF = DynIntClassifier(max_epochs=1, embedding_dim=2, random_state=0)


def test_grid_search_by_groups_and_weights():
    groups = np.random.default_rng(0).integers(40, size=900)
    weights = np.random.default_rng(1).uniform(0.5, 2, size=900)
    scorer = make_scorer(grouped_roc_auc_score, response_method="predict_proba")
    entropy = make_scorer(
        normalized_entropy, response_method="predict_proba", greater_is_better=False
    )
    with config_context(enable_metadata_routing=True):
        scoring = {
            "area": scorer.set_score_request(groups=True, sample_weight=True),
            "entropy": entropy.set_score_request(sample_weight=True),
        }
        search = GridSearchCV(
            CLF.set_fit_request(sample_weight=True),
            {"learning_rate": [1e-3, 1e-2]},
            scoring=scoring,
            refit="area",
            cv=GroupKFold(3),
        ).fit(CLICKS.X, LABELS, groups=groups, sample_weight=weights)
    train, test = next(GroupKFold(3).split(CLICKS.X, LABELS, groups))
    fitted = CLF.set_params(learning_rate=1e-3).fit(
        CLICKS.X.iloc[train], LABELS[train], sample_weight=weights[train]
    )
    p = fitted.predict_proba(CLICKS.X.iloc[test])[:, 1]
    w = weights[test]
    expected = grouped_roc_auc_score(LABELS[test], p, groups=groups[test], sample_weight=w)
    assert search.cv_results_["split0_test_area"][0] == pytest.approx(expected, abs=1e-12)
    expected = -normalized_entropy(LABELS[test], p, sample_weight=w)
    assert search.cv_results_["split0_test_entropy"][0] == pytest.approx(expected, abs=1e-12)


def test_calibration_display_shows_a_classifier():
    clf = CLF.fit(CLICKS.X, LABELS)
    display = CalibrationDisplay.from_estimator(clf, CLICKS.X, LABELS, strategy="quantile")
    p = clf.predict_proba(CLICKS.X)[:, 1]
    expected = calibration_curve(LABELS, p, pos_label="yes", n_bins=5, strategy="quantile")
    np.testing.assert_allclose(display.prob_true, expected[0])
    np.testing.assert_allclose(display.prob_pred, expected[1])
