"""The space of settings that every classifier and every regressor ships."""

import numpy as np
import pytest
from public import CLASSIFIERS, REGRESSORS
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    ParameterSampler,
    RandomizedSearchCV,
)

from sparsectr.datasets import make_clicks

every_classifier = pytest.mark.parametrize("cls", CLASSIFIERS)
every_estimator = pytest.mark.parametrize("cls", CLASSIFIERS + REGRESSORS)


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(240, n_fields=3, cardinality=4, crosses=[(0, 1)], random_state=0)


@every_estimator
def test_space_names_parameters_and_leaves_the_resource_out(cls):
    assert set(cls.param_distributions) < set(cls().get_params())
    assert "max_epochs" not in cls.param_distributions


@every_estimator
def test_values_are_lists_or_log_uniform(cls):
    for name, values in cls.param_distributions.items():
        if hasattr(values, "rvs"):
            low, high = values.support()
            assert 0 < low < high
            assert values.dist.name == loguniform(1, 2).dist.name, name
        else:
            assert len(values) > 1


@every_estimator
def test_defaults_lie_in_the_space(cls):
    defaults = cls().get_params()
    for name, values in cls.param_distributions.items():
        default = defaults[name]
        if default == "auto":
            continue
        if hasattr(values, "rvs"):
            assert values.support()[0] <= default <= values.support()[1]
        else:
            assert default in values


@every_estimator
def test_every_draw_passes_the_checks(cls):
    for parameters in ParameterSampler(cls.param_distributions, 200, random_state=0):
        cls(**parameters)._check_parameters()


@every_classifier
def test_extreme_draws_can_be_fitted(cls, clicks):
    def corner(pick):
        return {
            name: values.support()[pick] if hasattr(values, "rvs") else values[pick]
            for name, values in cls.param_distributions.items()
        }

    for pick in (0, -1):
        parameters = corner(pick) | {"max_epochs": 1, "random_state": 0}
        probabilities = cls(**parameters).fit(clicks.X, clicks.y).predict_proba(clicks.X)
        assert np.isfinite(probabilities).all()


@every_classifier
def test_random_search_uses_the_space(cls, clicks):
    search = RandomizedSearchCV(
        cls(max_epochs=1, random_state=0), cls.param_distributions, n_iter=2, cv=2, random_state=0
    )
    search.fit(clicks.X, clicks.y)
    assert set(search.best_params_) == set(cls.param_distributions)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@every_classifier
def test_successive_halving_spends_epochs(cls, clicks):
    search = HalvingRandomSearchCV(
        cls(random_state=0),
        cls.param_distributions,
        resource="max_epochs",
        n_candidates=2,
        factor=2,
        min_resources=1,
        max_resources=2,
        cv=2,
        random_state=0,
    )
    search.fit(clicks.X, clicks.y)
    assert search.n_resources_ == [1, 2]
    assert search.best_estimator_.max_epochs == 2
