"""Sampled negatives: log-odds are those of a fit without a rate, plus its logarithm."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from public import CLASSIFIERS
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import log_loss

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks

CLICKS = make_clicks(900, 5, 6, random_state=0)
X, Y = CLICKS.X, np.where(CLICKS.y == 1, "yes", "no")
RATE = 0.1
QUICK = {"max_epochs": 2, "embedding_dim": 4, "random_state": 0}


def quick(cls, **settings):
    searched = {"search_epochs": 1} if "search_epochs" in cls().get_params() else {}
    return cls(**QUICK, **searched, **settings)


def log_odds(clf):
    return logit(clf.predict_proba(X)[:, 1])


def assert_shifted(sampled, plain):
    np.testing.assert_allclose(log_odds(sampled), log_odds(plain) + math.log(RATE), atol=1e-5)


@pytest.fixture(scope="module", params=CLASSIFIERS, ids=lambda cls: cls.__name__)
def pair(request):
    plain = quick(request.param, n_members=1 + (request.param is DynIntClassifier))
    sampled = clone(plain).set_params(negative_sampling_rate=RATE)
    return sampled.fit(X, Y), plain.fit(X, Y)


def test_log_odds_are_shifted(pair):
    assert_shifted(*pair)


def test_crosses_and_history_are_those_of_training(pair):
    sampled, plain = pair
    tables = sampled.interaction_table(), plain.interaction_table()
    pd.testing.assert_frame_equal(*tables, atol=1e-6)  # differences of float32 logits
    assert sampled.history_ == plain.history_
    pd.testing.assert_frame_equal(sampled.explain(X[:5]), plain.explain(X[:5]), atol=1e-5)


def test_one_row_and_files_are_shifted(pair):
    sampled, plain = pair
    row = tuple(X.iloc[0])
    found, expected = (clf.compile_predictor()(row)[1] for clf in pair)
    assert logit(found) == pytest.approx(logit(expected) + math.log(RATE), abs=1e-5)
    assert_shifted(pickle.loads(pickle.dumps(sampled)), plain)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_training_that_goes_on_takes_the_shift_away(cls):
    plain = quick(cls)
    sampled = clone(plain).set_params(negative_sampling_rate=RATE)
    for rows in (slice(300), slice(300, 600)):
        for clf in (sampled, plain):
            clf.partial_fit(X[rows], Y[rows], classes=["no", "yes"])
        assert_shifted(sampled, plain)
    sampled = pickle.loads(pickle.dumps(sampled))
    for clf in (sampled, plain):
        clf.partial_fit(X[600:], Y[600:])
    assert_shifted(sampled, plain)


def test_a_warm_start_may_change_the_rate():
    plain = quick(DynIntClassifier, warm_start=True).fit(X, Y)
    sampled = clone(plain).set_params(negative_sampling_rate=0.5).fit(X, Y)
    sampled.set_params(negative_sampling_rate=RATE).fit(X, Y)
    assert_shifted(sampled, plain.fit(X, Y))


def test_probabilities_of_the_full_stream():
    clicks = make_clicks(24_000, 5, 10, base_rate=0.03, random_state=0)
    rng = np.random.default_rng(0)
    train, test = slice(12_000), slice(12_000, None)
    X_train, y_train = clicks.X[train], clicks.y[train]
    kept = (y_train == 1) | (rng.random(12_000) < RATE)
    losses = {}
    for rate in (1, RATE):
        clf = DynIntClassifier(max_epochs=3, negative_sampling_rate=rate, random_state=0)
        p = clf.fit(X_train[kept], y_train[kept]).predict_proba(clicks.X[test])[:, 1]
        losses[rate] = log_loss(clicks.y[test], p)
    assert losses[RATE] < 0.6 * losses[1]
    assert p.mean() == pytest.approx(clicks.y[test].mean(), rel=0.2)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, np.nan, "half"])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(ValueError, match="negative_sampling_rate must be a number > 0 and <= 1"):
        DynIntClassifier(negative_sampling_rate=rate).fit(X, Y)


def test_more_than_two_classes_are_refused():
    labels = np.arange(len(X)) % 3
    with pytest.raises(ValueError, match=r"negative_sampling_rate must be 1 for 3 classes, got"):
        DynIntClassifier(negative_sampling_rate=RATE).fit(X, labels)
