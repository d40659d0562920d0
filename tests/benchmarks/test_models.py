"""Rows of the benchmarks: their estimators and settings."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split
from suite.datasets import SOURCES
from suite.models import CHOSEN, MODELS, find_settings, make_model, validation_cost

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks


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


def test_the_mean_of_nets_is_that_of_the_library():
    mean = make_model("flights", "dynint-pin-mean", {}, seed=1)
    assert type(mean) is DynIntClassifier
    assert mean.n_members == 5
    assert MODELS["dynint-pin-mean"].mean_of == "dynint-pin"


def test_fits_on_all_rows_have_validation_rows_of_their_own():
    pytest.importorskip("catboost")
    clicks = make_clicks(600, 3, 4, crosses=[(0, 1)], random_state=0)
    X, X_val, y, y_val = train_test_split(clicks.X, clicks.y, random_state=0)
    mean = make_model("flights", "catboost-all-rows", {"iterations": 20}, seed=1)
    mean.fit(X, y, X_val=X_val, y_val=y_val)
    X_all, y_all = pd.concat([X, X_val]), np.concatenate([y, y_val])
    singles = [
        make_model("flights", "catboost", {"iterations": 20}, seed=seed).fit(X_all, y_all)
        for seed in range(5, 10)
    ]
    expected = np.mean([clf.predict_proba(X_val) for clf in singles], axis=0)
    np.testing.assert_allclose(mean.predict_proba(X_val), expected, rtol=1e-12)
    assert mean.n_iter_ == sum(clf.n_iter_ for clf in singles)
    assert sum(mean.n_parameters_.values()) == sum(
        sum(clf.n_parameters_.values()) for clf in singles
    )
