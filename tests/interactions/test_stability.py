"""How often crosses are found is counted over fits on parts of the rows."""

from collections import Counter

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    Interaction,
    ProfitClassifier,
    interaction_stability,
)
from sparsectr.datasets import make_clicks


class Scripted(ClassifierMixin, BaseEstimator):
    """Finds crosses by the number of the first row, without looking at anything else."""

    selected_interactions_: list[Interaction]

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.selected_interactions_ = [
            Interaction(("a", "b"), 2, 1.0 + X[0, 0]),
            Interaction(("b", "c") if X[0, 0] else ("a", "b", "c"), 3 - int(X[0, 0]), 0.5),
            Interaction(("c", "d"), 2, 0.1),
        ]
        return self


X = np.arange(12.0)[:, None]
Y = np.arange(12) % 2
SPLITS = [(np.arange(1, 12), [0]), (np.arange(11), [11]), (np.arange(1, 11), [0, 11])]


def test_frequencies_and_strengths_are_those_of_the_fits():
    table = interaction_stability(Scripted(), X > 0, Y, cv=SPLITS, n_interactions=2)
    expected = pd.DataFrame(
        {
            "fields": [("a", "b"), ("b", "c"), ("a", "b", "c")],
            "order": [2, 2, 3],
            "frequency": [1, 2 / 3, 1 / 3],
            "mean_strength": [5 / 3, 0.5, 0.5],
            "strength_std": [np.std([2, 1, 2]), 0, 0],
        }
    )
    pd.testing.assert_frame_equal(table, expected)


def test_fits_of_a_real_classifier_find_the_planted_cross():
    clicks = make_clicks(1_500, 4, 6, crosses=[(1, 3)], cross_effect=1.5, random_state=0)
    clf = ProfitClassifier(n_crosses=2, search_epochs=2, max_epochs=3, random_state=0)
    cv = StratifiedKFold(3)
    table = interaction_stability(clf, clicks.X, clicks.y, cv=cv)
    assert not hasattr(clf, "selected_interactions_")
    assert table["fields"][0] == ("f1", "f3")
    found, strengths = Counter(), []
    for train, _ in cv.split(clicks.X, clicks.y):
        clf.fit(clicks.X.iloc[train], clicks.y[train])
        found.update(cross.fields for cross in clf.selected_interactions_)
        strengths.append(clf.selected_interactions_[0].strength)
    frequencies = dict(zip(table["fields"], table["frequency"], strict=True))
    assert frequencies == {fields: count / 3 for fields, count in found.items()}
    assert table["mean_strength"][0] == pytest.approx(np.mean(strengths))


class Blind(Scripted):
    """Finds nothing."""

    def fit(self, X, y):
        super().fit(X, y).selected_interactions_ = []
        return self


def test_fits_of_a_regressor_say_what_strengths_are_in():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 5, (1_200, 3)).astype(str), columns=list("abc"))
    y = 3.0 * (X["a"] == X["c"]) + 0.5 * rng.normal(size=1_200)
    reg = DynIntRegressor(max_epochs=8, random_state=0)
    table = interaction_stability(reg, X, y, cv=3)
    assert table["fields"][0] == ("a", "c")
    assert table["frequency"][0] == 1
    assert table.attrs == {"score": "units of the target"}
    with pytest.raises(ValueError, match="y must have a number in every row, got 1 missing"):
        interaction_stability(reg, X, y.where(y.index > 0))


def test_no_crosses_at_all():
    table = interaction_stability(Blind(), X, Y, cv=2)
    assert len(table) == 0
    assert table.columns.tolist() == [
        "fields", "order", "frequency", "mean_strength", "strength_std"
    ]  # fmt: skip


def test_no_crosses_cannot_be_asked_for():
    with pytest.raises(ValueError, match="n_interactions must be an int >= 1"):
        interaction_stability(Scripted(), X, Y, n_interactions=0)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_part_that_cannot_be_learnt_is_named(n_jobs):
    labels = np.repeat([0, 1], [8, 4])
    with pytest.raises(ValueError, match=r"part 3 of 3 \(.*two classes.*\)\. Pass a cv"):
        # Parts without the last rows have a single class.
        interaction_stability(
            DynIntClassifier(max_epochs=1, random_state=0),
            X,
            labels,
            cv=KFold(3),
            n_jobs=n_jobs,
        )


class Refusing(Scripted):
    """Cannot be fitted."""

    def __init__(self, error=ValueError):
        self.error = error

    def fit(self, X, y):
        raise self.error("no room.")


@pytest.mark.parametrize("kind", [ValueError, TypeError, MemoryError])
def test_the_kind_of_an_error_stays(kind):
    with pytest.raises(kind, match=r"part 1 of 2 \(no room\)") as found:
        interaction_stability(Refusing(kind), X, Y, cv=2)
    assert type(found.value) is kind


def test_every_container_gives_the_same_table():
    clicks = make_clicks(300, 3, 4, crosses=[(0, 2)], random_state=0)
    clf = ProfitClassifier(search_epochs=1, max_epochs=1, random_state=0)
    arrow = pa.Table.from_pandas(clicks.X, preserve_index=False)
    expected = interaction_stability(clf, clicks.X, clicks.y, cv=2)
    for same in (arrow, arrow.to_batches()[0], nw.from_native(arrow), pl.DataFrame(arrow)):
        found = interaction_stability(clf, same, clicks.y, cv=2)
        pd.testing.assert_frame_equal(found, expected)


def test_what_cannot_be_compared():
    X = pd.DataFrame({"a": list("xy") * 10, "b": list("xxyy") * 5})
    y, clf = np.arange(20) % 2, DynIntClassifier()
    for wrong in (None, DynIntClassifier, LogisticRegression()):
        with pytest.raises(TypeError, match="estimator must be one that lists crosses"):
            interaction_stability(wrong, X, y)
    for cv in (1, "five"):
        with pytest.raises(ValueError, match=r"cv must be an int >= 2, got"):
            interaction_stability(clf, X, y, cv=cv)
    with pytest.raises(ValueError, match="y must have a label in every row, got 10 missing"):
        interaction_stability(clf, X, np.where(y, np.nan, 0.0))
