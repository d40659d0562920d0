"""Wrappers of other libraries."""

import importlib.util

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from suite.entrants import ENTRANTS
from suite.models import MODELS
from suite.peers.linear import OneHotLogistic
from suite.peers.trees import find_categories

from sparsectr.datasets import make_clicks
from sparsectr.encoding.field_encoder import FieldEncoder

PACKAGES = {"deepctr": "deepctr_torch", "fuxictr": "fuxictr", "lightgbm": "lightgbm"}
PACKAGES |= {"catboost": "catboost"}
NETS = [name for name, model in MODELS.items() if model.path.endswith(":NetPeer")]


def make(name, **parameters):
    package = PACKAGES.get(name.split("-")[0])
    if package and not importlib.util.find_spec(package):
        pytest.skip(f"{package} is not installed")
    row = MODELS[name]
    return row.estimator_class(random_state=0, **row.parameters | parameters)


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(3_000, n_fields=4, cardinality=6, crosses=[(0, 1)], random_state=0)


def fit(clf, clicks):
    X, y = clicks.X, clicks.y
    return clf.fit(X[:2_000], y[:2_000], X_val=X[2_000:2_500], y_val=y[2_000:2_500])


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("name", ["lr", "lightgbm", "catboost", *NETS])
def test_peer_learns_and_repeats(name, clicks):
    fast = {"max_epochs": 4, "learning_rate": 1e-2} if name in NETS else {}
    clf = fit(make(name, **fast), clicks)
    X, y = clicks.X[2_500:], clicks.y[2_500:]
    probabilities = clf.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    constant = np.full(len(y), np.mean(clicks.y[:2_000]))
    assert log_loss(y, probabilities) < log_loss(y, constant)
    assert sum(clf.n_parameters_.values()) > 0
    assert clf.n_iter_ >= 1
    again = fit(clone(clf), clicks).predict_proba(X)
    np.testing.assert_allclose(again, probabilities, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
def test_net_leaves_the_global_random_state_alone(name, clicks):
    clf = make(name, max_epochs=1, dropout=0.2)
    before = torch.get_rng_state()
    fit(clf, clicks)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
def test_penalty_reaches_every_embedding_table(name, clicks):
    net = fit(make(name, max_epochs=1, embedding_dim=6), clicks)._fitted_net()
    tables = net.embedding_tables()
    n_values = FieldEncoder().fit(clicks.X[:2_000]).vocabulary_sizes_.sum()
    widths = sorted({table.shape[1] for table in tables})
    assert widths in ([6], [1, 6])
    assert sum(len(table) for table in tables if table.shape[1] == 6) == n_values


@pytest.mark.filterwarnings("ignore")
def test_nothing_follows_the_training_of_a_net(clicks, monkeypatch):
    X = clicks.X[2_500:]
    usual = fit(make("deepctr-wdl", max_epochs=2), clicks).predict_proba(X)
    monkeypatch.setattr("sparsectr.base.settle_effects", lambda net, task: None)
    trained = fit(make("deepctr-wdl", max_epochs=2), clicks).predict_proba(X)
    np.testing.assert_array_equal(usual, trained)


def test_logistic_regression_keeps_the_best_penalty(clicks):
    penalties = (1e-6, 1.0)
    clf = fit(OneHotLogistic(penalties), clicks)
    X_val, y_val = clicks.X[2_000:2_500], clicks.y[2_000:2_500]
    losses = [
        log_loss(y_val, fit(OneHotLogistic((C,)), clicks).predict_proba(X_val)) for C in penalties
    ]
    assert log_loss(y_val, clf.predict_proba(X_val)) == pytest.approx(min(losses))
    assert losses[0] != pytest.approx(losses[1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["catboost", "lightgbm", "hgb"])
def test_integers_may_be_numbers(name, clicks):
    entrant = ENTRANTS[name]
    pytest.importorskip({"hgb": "sklearn"}.get(name, name))
    X = clicks.X[:1_000].assign(number=np.arange(1_000), text="a")
    clf = entrant.make(0).fit(X, clicks.y[:1_000])
    assert clf.predict_proba(X).shape == (1_000, 2)
    assert find_categories(X, integers=True)[-2:] == ["number", "text"]
    assert "number" not in find_categories(X, integers=False)


def test_random_crosses_are_different_sets_of_columns():
    pytest.importorskip("lightgbm")
    draw_crosses = importlib.import_module("suite.peers.random_crosses").draw_crosses
    names = list("abcdefghijklmno")
    drawn = draw_crosses(names, 60, np.random.default_rng(0))
    assert len({frozenset(cross) for cross in drawn}) == 60
    assert {len(cross) for cross in drawn} == {2, 3}
    assert draw_crosses(names[:3], 60, np.random.default_rng(0)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("a", "b", "c"),
    ]


@pytest.mark.filterwarnings("ignore")
def test_trees_on_random_crosses_find_a_planted_one(clicks):
    X, y = clicks.X, clicks.y
    pytest.importorskip("lightgbm")
    clf = ENTRANTS["random-crosses"].make(0).fit(X[:2_000], y[:2_000])
    constant = np.full(len(y[2_500:]), np.mean(y[:2_000]))
    assert log_loss(y[2_500:], clf.predict_proba(X[2_500:])) < log_loss(y[2_500:], constant)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["catboost", "lightgbm"])
def test_a_mean_is_that_of_five_fits_of_its_own(name, clicks):
    pytest.importorskip("catboost")
    pytest.importorskip("lightgbm")
    X, y = clicks.X[:600], clicks.y[:600]
    mean = ENTRANTS[f"{name}-mean"].make(1).fit(X, y).predict_proba(X)
    single = [ENTRANTS[name].make(seed).fit(X, y).predict_proba(X) for seed in range(5, 10)]
    np.testing.assert_allclose(mean, np.mean(single, axis=0), rtol=1e-12)
