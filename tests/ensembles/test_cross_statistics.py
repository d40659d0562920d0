"""Target means and counts of values and crosses."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sparsectr import CrossStatistics
from sparsectr.datasets import make_clicks


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(2_000, 4, 9, crosses=[(0, 1)], random_state=0)


def column(statistics, made, name):
    return made[:, statistics.get_feature_names_out().tolist().index(name)]


def test_new_rows_get_the_means_and_counts_of_training_rows(clicks):
    statistics = CrossStatistics(smooth=3.0).fit(clicks.X, clicks.y)
    made = statistics.transform(clicks.X)
    prior = clicks.y.mean()
    groups = pd.Series(clicks.y).groupby([clicks.X["f0"], clicks.X["f1"]])
    counts = groups.transform("count")
    np.testing.assert_array_equal(column(statistics, made, "count of f0 × f1"), counts)
    means = (groups.transform("sum") + 3 * prior) / (counts + 3)
    np.testing.assert_allclose(column(statistics, made, "mean of f0 × f1"), means)


def test_a_training_row_does_not_count_itself(clicks):
    statistics = CrossStatistics(random_state=0)
    made = statistics.fit_transform(clicks.X, clicks.y)
    later = statistics.transform(clicks.X)
    for name in statistics.get_feature_names_out():
        if name.startswith("count"):
            own = column(statistics, made, name)
            np.testing.assert_array_equal(own, column(statistics, later, name) - 1)
    other = clicks.y.copy()
    other[7] = 1 - other[7]
    # With the same folds, a row's own label does not change its statistics.
    twice = CrossStatistics(random_state=0, cv=2_000).fit_transform(clicks.X, clicks.y)
    changed = CrossStatistics(random_state=0, cv=2_000).fit_transform(clicks.X, other)
    np.testing.assert_allclose(twice[7], changed[7])
    assert (twice != changed).any()


def test_combinations_never_seen(clicks):
    statistics = CrossStatistics().fit(clicks.X, clicks.y)
    made = statistics.transform(clicks.X[:3].assign(f0="new"))
    np.testing.assert_allclose(column(statistics, made, "mean of f0 × f2"), clicks.y.mean())
    assert not column(statistics, made, "count of f0 × f2").any()


def test_given_crosses_have_statistics_in_any_case(clicks):
    statistics = CrossStatistics([("f3", "f1")], n_pairs=0, n_triples=0).fit(clicks.X, clicks.y)
    assert [cross.fields for cross in statistics.interactions_] == [("f1", "f3")]
    assert "count of f1 × f3" in statistics.get_feature_names_out()


def test_numbers_are_binned_unless_their_values_tell_more():
    rng = np.random.default_rng(0)
    quantity, ids = rng.integers(0, 500, 6_000), rng.integers(0, 100, 6_000)
    logits = (quantity - 250) / 100 + rng.normal(0, 2, 100)[ids]
    y = rng.random(6_000) < 1 / (1 + np.exp(-logits))
    X = pd.DataFrame({"quantity": quantity, "id": ids, "few": rng.integers(0, 3, 6_000)})
    statistics = CrossStatistics(n_triples=0).fit(X, y)
    names = statistics.get_feature_names_out().tolist()
    assert "mean of id" in names
    assert "mean of quantity" not in names  # trees have the number
    assert "mean of few" not in names  # trees have its values
    assert "mean of quantity × id" in names
    made = statistics.transform(X)
    assert len(np.unique(column(statistics, made, "count of quantity × few"))) <= 72


def test_weights_are_rows(clicks):
    weights = np.random.default_rng(0).integers(1, 4, 2_000)
    rows = np.repeat(np.arange(2_000), weights)
    first = CrossStatistics().fit(clicks.X, clicks.y, weights)
    second = CrossStatistics().fit(clicks.X.iloc[rows], clicks.y[rows])
    np.testing.assert_allclose(first.transform(clicks.X), second.transform(clicks.X))


def test_three_classes(clicks):
    labels = np.where(clicks.X["f0"] == clicks.X["f0"].iloc[0], "c", np.array(["a", "b"])[clicks.y])
    statistics = CrossStatistics(n_pairs=1, n_triples=0, random_state=0)
    made = statistics.fit_transform(clicks.X, labels)
    names = statistics.get_feature_names_out()
    assert made.shape == (2_000, len(names))
    sums = sum(column(statistics, made, f"mean of f0, {label}") for label in "abc")
    np.testing.assert_allclose(sums, 1)


def test_trees_on_statistics_find_a_planted_cross():
    clicks = make_clicks(2_000, 4, 9, crosses=[(0, 1)], cross_effect=2.0, random_state=0)
    trees = HistGradientBoostingClassifier(max_iter=30, random_state=0)
    pipe = make_pipeline(CrossStatistics(random_state=0), trees).fit(
        clicks.X[:1_500], clicks.y[:1_500]
    )
    scores = pipe.predict_proba(clicks.X[1_500:])[:, 1]
    assert roc_auc_score(clicks.y[1_500:], scores) > 0.6


def test_copies_and_pickles(clicks):
    statistics = CrossStatistics(random_state=0).fit(clicks.X, clicks.y)
    made = statistics.transform(clicks.X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(statistics)).transform(clicks.X), made)
    again = clone(statistics).fit(clicks.X, clicks.y)
    np.testing.assert_array_equal(again.transform(clicks.X), made)
    framed = clone(statistics).set_output(transform="pandas").fit_transform(clicks.X, clicks.y)
    assert framed.columns.tolist() == statistics.get_feature_names_out().tolist()


def test_named_numbers_are_numbers_and_all_others_categories(clicks):
    X = pd.DataFrame({"id": np.tile(np.arange(100), 20), "age": np.repeat(np.arange(100), 20)})
    y = clicks.y[:2_000]
    statistics = CrossStatistics(n_pairs=0, n_triples=0, numeric_features=["age"]).fit(X, y)
    means = statistics.transform(X)[:, 0]
    expected = (np.bincount(X["id"], y) + 5 * y.mean()) / 25
    np.testing.assert_allclose(means, expected[X["id"]])
    with pytest.raises(ValueError, match="numeric_features must be 'auto' or a list of fields"):
        CrossStatistics(numeric_features="age").fit(X, y)
    with pytest.raises(ValueError, match="must hold numbers"):
        CrossStatistics(numeric_features=["f0"]).fit(clicks.X, clicks.y)


def test_nearly_unique_numbers_are_nothing_to_warn_of(clicks):
    rng = np.random.default_rng(0)
    X = clicks.X.assign(price=rng.random(len(clicks.y)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CrossStatistics(n_pairs=1, n_triples=0).fit(X, clicks.y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_pairs": -1}, "n_pairs must be an int >= 0, got -1"),
        ({"smooth": 0}, "smooth must be a number > 0, got 0"),
        ({"cv": 1}, "cv must be an int >= 2, got 1"),
        ({"interactions": [("f0", "f9")]}, "X must have the columns"),
    ],
)
def test_parameters_are_checked(clicks, parameters, message):
    with pytest.raises(ValueError, match=message):
        CrossStatistics(**parameters).fit(clicks.X, clicks.y)
