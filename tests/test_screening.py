"""Crosses that a classifier has not learnt."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

import sparsectr.screening
from sparsectr import DynIntClassifier, screen_interactions
from sparsectr.datasets import make_clicks

CROSSES = [(0, 2), (1, 4)]


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(20_000, 6, 30, crosses=CROSSES, random_state=0)


def additive(clicks):
    clf = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.1))
    return clf.fit(clicks.X, clicks.y)


def test_finds_what_an_additive_model_lacks(clicks):
    found = screen_interactions(additive(clicks), clicks.X, clicks.y)
    names = {tuple(f"f{field}" for field in cross) for cross in CROSSES}
    assert set(found["fields"][:2]) == names
    assert found["significant"].tolist() == [True] * 2 + [False] * 13
    assert found["score"].is_monotonic_decreasing


def test_finds_nothing_where_there_is_nothing(clicks):
    rng = np.random.default_rng(0)
    clf = DummyClassifier(strategy="prior").fit(clicks.X, clicks.y)
    found = screen_interactions(clf, clicks.X, rng.permutation(clicks.y))
    assert not found["significant"].any()


def test_a_net_that_has_learnt_a_cross_leaves_little_of_it(clicks):
    clf = DynIntClassifier(random_state=0).fit(clicks.X, clicks.y)
    before, after = (
        screen_interactions(model, clicks.X, clicks.y).set_index("fields")["score"]
        for model in (additive(clicks), clf)
    )
    assert after["f0", "f2"] < before["f0", "f2"] / 3


@pytest.mark.parametrize("unit", [1.0, 1e120])
def test_finds_what_a_regressor_lacks(clicks, unit):
    rng = np.random.default_rng(0)
    y = unit * (clicks.log_odds + rng.normal(size=len(clicks.y)) * (1 + 2 * (clicks.X["f3"] < "m")))
    reg = make_pipeline(OneHotEncoder(), Ridge()).fit(clicks.X, y)
    found = screen_interactions(reg, clicks.X, y)
    names = {tuple(f"f{field}" for field in cross) for cross in CROSSES}
    assert set(found["fields"][found["significant"]]) == names
    knowing = DummyRegressor(strategy="mean").fit(clicks.X, y)
    assert (screen_interactions(knowing, clicks.X, 0 * y + y[0])["score"] == 0).all()


def test_takes_arrays_and_several_classes():
    rng = np.random.default_rng(0)
    X = rng.integers(5, size=(3_000, 3)).astype(str)
    y = np.array(["a", "b", "c"])[(X[:, 0].astype(int) * X[:, 1].astype(int)) % 3]
    clf = DummyClassifier(strategy="prior").fit(X, y)
    found = screen_interactions(clf, X, y)
    assert found["fields"][0] == ("x0", "x1")
    assert screen_interactions(clf, X, y, order=3)["order"].tolist() == [3]


@pytest.fixture(scope="module")
def days():
    """Visits to sites by day."""
    rng = np.random.default_rng(0)
    first = dt.date(2024, 1, 1)
    slot = rng.integers(0, 6, 3000)
    columns = {
        "site": rng.choice(list("abcdef"), 3000).tolist(),
        "day": [first + dt.timedelta(days=int(k)) for k in slot],
        "price": rng.integers(1, 4, 3000).tolist(),
    }
    y = rng.random(3000) < np.where(np.isin(columns["site"], list("abc")) ^ (slot < 3), 0.6, 0.4)
    return columns, y.astype(int)


CONTAINERS = {
    "list of rows": lambda columns: list(zip(*columns.values(), strict=True)),
    "polars": pl.DataFrame,
    "Arrow": pa.table,
    "Arrow batch": lambda columns: pa.RecordBatch.from_pydict(columns),
    "object array": lambda columns: pd.DataFrame(columns).to_numpy(),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("n_rows", [3000, 2000])
@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_are_taken_as_a_prediction_takes_them(days, container, n_rows, monkeypatch):
    columns, y = days
    frame = pd.DataFrame(columns)
    clf = DynIntClassifier(max_epochs=1, random_state=0).fit(frame, y)
    monkeypatch.setattr(sparsectr.screening, "affordable_rows", lambda *args: n_rows)
    expected = screen_interactions(clf, frame, y)
    assert (expected["score"] != 0).all()
    X = CONTAINERS[container](columns)
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(frame))
    pd.testing.assert_frame_equal(screen_interactions(clf, X, y), expected)


def test_columns_that_hardly_vary_are_not_significant():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "drug1": np.where(rng.random(20_000) < 0.003, "Steady", "No"),
            "drug2": np.where(rng.random(20_000) < 0.0002, "Steady", "No"),
            "a": rng.integers(0, 5, 20_000).astype(str),
            "b": rng.integers(0, 5, 20_000).astype(str),
        }
    )
    assert not ((X["drug1"] == "Steady") & (X["drug2"] == "Steady")).any()
    noise = (rng.random(20_000) < 0.46).astype(int)
    clf = DynIntClassifier(max_epochs=2, random_state=0).fit(X, noise)
    assert not screen_interactions(clf, X, noise)["significant"].any()
    together = (X["a"] == "1") != (X["b"] == "1")
    y = (rng.random(20_000) < np.where(together, 0.35, 0.5)).astype(int)
    clf = LogisticRegression(C=0.1)
    clf = make_pipeline(OneHotEncoder(), clf).fit(X, y)
    found = screen_interactions(clf, X, y)
    assert found["fields"][0] == ("a", "b")
    assert found["significant"].tolist() == [True] + [False] * 5
    assert (found["score"][found["fields"].map(lambda fields: "drug2" in fields)] == 0).all()


def test_refuses_what_it_cannot_do(clicks):
    with pytest.raises(NotFittedError):
        screen_interactions(DynIntClassifier(), clicks.X, clicks.y)
    clf = DummyClassifier(strategy="prior").fit(clicks.X, clicks.y)
    for wrong in (5, DummyClassifier, DummyRegressor, TargetEncoder().fit(clicks.X, clicks.y)):
        with pytest.raises(TypeError, match="estimator must be a fitted classifier with predict"):
            screen_interactions(wrong, clicks.X, clicks.y)
    with pytest.raises(ValueError, match="order must be"):
        screen_interactions(clf, clicks.X, clicks.y, order=7)
    with pytest.raises(ValueError, match="y must hold only the classes"):
        screen_interactions(clf, clicks.X, clicks.y + 5)
    wide = np.zeros((3, 250), dtype=int)
    clf = DummyClassifier(strategy="prior").fit(wide, [0, 1, 1])
    with pytest.raises(ValueError, match=r"at most 1,000,000 sets, got 2,573,000"):
        screen_interactions(clf, wide, [0, 1, 1], order=3)
