"""Rows of the benchmarks: their estimators and settings."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
import sklearn
from packaging.version import Version
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from suite.averaged import (
    AllRowsDynInt,
    AllRowsStatisticsDynIntAndTrees,
    AveragedStatisticsDynInt,
)
from suite.cross_statistics import StatisticsDynInt, StatisticsTrees, make_counts
from suite.datasets import SOURCES
from suite.models import CHOSEN, MODELS, find_settings, make_model, validation_cost

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks

WITH_FOLDS = pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.9"), reason="its target encoder takes no folds"
)


def is_installed(name):
    # The nets are imported when they are trained.
    library = MODELS[name].mean_of or name
    return library not in ("lightgbm", "catboost") or importlib.util.find_spec(library) is not None


def trial(dataset, number, log_loss, roc_auc):
    return {
        "dataset": dataset,
        "model": "lr",
        "parameters": {"penalties": [number]},
        "validation": {"log_loss": log_loss, "roc_auc": roc_auc},
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_made_for_every_table(name):
    if not is_installed(name):
        pytest.skip("the library is not installed")
    for dataset in SOURCES:
        clf = make_model(dataset, name, find_settings(dataset, name, "chosen"), seed=3)
        parameters = clf.get_params(deep=False)
        assert parameters["random_state"] == 3
        assert parameters.get("monitor", SOURCES[dataset].monitor) == SOURCES[dataset].monitor
        assert MODELS[name].parameters.items() <= parameters.items()


@pytest.mark.parametrize("name", MODELS)
def test_spaces_name_parameters(name):
    if not is_installed(name):
        pytest.skip("the library is not installed")
    cls = MODELS[name].estimator_class
    assert set(cls.param_distributions) <= set(cls().get_params(deep=False))


def test_rare_values_are_unknown_where_the_paper_says_so():
    for name in ("dynint-pin", "lr"):
        clf = make_model("criteo-dynint", name, {}, seed=0)
        assert getattr(clf, "encoder", clf).min_frequency == 20


def test_chosen_settings_belong_to_families():
    families = {model.family for model in MODELS.values()}
    for dataset, settings in CHOSEN.items():
        assert dataset in SOURCES
        assert set(settings) <= families


def test_defaults_are_no_settings():
    assert find_settings("frappe", "profit-linear", "default") == {}
    assert find_settings("frappe", "profit-linear", "chosen") != {}


def test_tuned_settings_are_the_best_on_validation_rows():
    tuned = [trial("adult", 1, 0.3, 0.9), trial("adult", 2, 0.2, 0.8), trial("frappe", 3, 0.1, 0.8)]
    tuned.append(trial("frappe", 4, 0.2, 0.9))
    assert find_settings("adult", "lr", "tuned", tuned) == {"penalties": [2]}
    assert find_settings("frappe", "lr", "tuned", tuned) == {"penalties": [4]}  # by AUC
    assert validation_cost(tuned[3], "frappe") < validation_cost(tuned[2], "frappe")
    tuned.append(tuned[0] | {"model": "dynint-pin"})
    assert find_settings("adult", "dynint-pin-mean", "tuned", tuned) == {"penalties": [1]}
    with pytest.raises(ValueError, match="must be tuned"):
        find_settings("amazon", "lr", "tuned", tuned)


def test_means_are_those_of_fits_with_other_seeds():
    clicks = make_clicks(600, 3, 4, crosses=[(0, 1)], random_state=0)
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    rows = {"X_val": X_val, "y_val": y_val}
    mean = AveragedStatisticsDynInt(random_state=1).fit(X, y, **rows)
    singles = [StatisticsDynInt(random_state=seed).fit(X, y, **rows) for seed in range(5, 10)]
    expected = np.mean([clf.predict_proba(X_val) for clf in singles], axis=0)
    np.testing.assert_allclose(mean.predict_proba(X_val), expected, rtol=1e-12)
    assert mean.n_iter_ == sum(clf.n_iter_ for clf in singles)


def test_the_mean_of_nets_is_that_of_the_library():
    mean = make_model("flights", "dynint-pin-mean", {}, seed=1)
    assert type(mean) is DynIntClassifier
    assert mean.n_members == 5
    assert MODELS["dynint-pin-mean"].mean_of == "dynint-pin"


def test_fits_on_all_rows_have_validation_rows_of_their_own():
    clicks = make_clicks(600, 3, 4, crosses=[(0, 1)], random_state=0)
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    mean = AllRowsDynInt(max_epochs=2, random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
    X_all, y_all = pd.concat([X, X_val]), np.concatenate([y, y_val])
    singles = [
        DynIntClassifier(max_epochs=2, random_state=seed).fit(X_all, y_all) for seed in range(5)
    ]
    expected = np.mean([clf.predict_proba(X_val) for clf in singles], axis=0)
    np.testing.assert_allclose(mean.predict_proba(X_val), expected, rtol=1e-12)
    assert [clf.early_stopping_ for clf in mean.voting_.estimators_] == [True] * 5


def test_statistics_of_all_crosses_stand_beside_the_fields():
    clicks = make_clicks(600, 3, 4, crosses=[(0, 1)], random_state=0)
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    clf = StatisticsDynInt(max_order=3, random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
    columns = clf.model_.feature_names_in_
    assert [name.split("__")[1] for name in columns] == [
        *("f0", "f1", "f2"),
        *("f0 × f1", "f0 × f2", "f1 × f2", "f0 × f1 × f2"),
    ]
    # The order of the rows is theirs, and no row depends on the others.
    together = clf.predict_proba(X_val)
    np.testing.assert_array_equal(clf.predict_proba(X_val[::-1])[::-1], together)
    clf.fit(clicks.X, clicks.y)  # a tenth of the rows stops it
    assert clf.model_.early_stopping_
    alone = DynIntClassifier(random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
    assert not np.allclose(alone.predict_proba(X_val), together, atol=0.01)


@WITH_FOLDS
def test_trees_see_statistics_of_values_and_crosses():
    clicks = make_clicks(
        4_000, 3, 12, crosses=[(0, 1)], cross_effect=1.5, main_effect=0.0, random_state=0
    )
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    clf = StatisticsTrees(random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
    means, counts, shares = 3 + 3 + 1, 3 + 3, 2 * 3
    assert clf.model_.n_features_in_ == means + counts + shares
    assert 50 < clf.n_iter_ < 3000
    assert clf.n_parameters_["leaves"] <= 4 * clf.n_iter_
    trees = HistGradientBoostingClassifier(max_leaf_nodes=4, early_stopping=True, random_state=0)
    without = make_pipeline(TargetEncoder(cv=KFold(5)), trees).fit(X, y)
    loss, more = (log_loss(y_val, model.predict_proba(X_val)) for model in (clf, without))
    assert loss < more - 0.02


def test_shares_are_those_of_pairs_in_the_rows_of_their_values():
    X = pd.DataFrame({"a": list("xxxxyy"), "b": list("uuvvvv"), "c": list("rsrsrs")})
    made = np.exp(make_counts().fit(X, [0, 1] * 3).transform(X))
    # Rows like the first by one field, or two; one more, as if it came on top of them.
    a, b, ab = 4 + 1, 2 + 1, 2 + 1
    bc, c = 1 + 1, 3 + 1
    np.testing.assert_allclose(made[0, [0, 1, 2, 3, 5]], [a, b, c, ab, bc])
    np.testing.assert_allclose(made[0, [6, 8, 9, 11]], [ab / a, bc / b, ab / b, bc / c])


@WITH_FOLDS
def test_a_mean_of_nets_and_trees_has_five_of_each():
    clicks = make_clicks(600, 3, 4, crosses=[(0, 1)], random_state=0)
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    mean = AllRowsStatisticsDynIntAndTrees(smooth=3.0, random_state=1)
    mean.fit(X, y, X_val=X_val, y_val=y_val)
    members = mean.voting_.estimators_
    assert [type(member) for member in members] == [StatisticsDynInt, StatisticsTrees] * 5
    assert [member.random_state for member in members] == [5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
    assert {member.smooth for member in members} == {3.0}
    expected = np.mean([member.predict_proba(X_val) for member in members], axis=0)
    np.testing.assert_allclose(mean.predict_proba(X_val), expected, rtol=1e-12)
