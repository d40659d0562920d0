"""Means over several fits of one model, which differ in their seeds."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator
from sklearn.ensemble import VotingClassifier

from sparsectr import DynIntClassifier
from suite.cross_statistics import StatisticsDynInt, StatisticsTrees
from suite.crossed import CrossedDynInt

N_FITS = 5


class _Averaged(BaseEstimator):
    """Fit five times and average the probabilities: scikit-learn's `VotingClassifier`."""

    single: ClassVar[type[BaseEstimator]]

    def fit(self, X: Any, y: Any, *, X_val: Any, y_val: Any) -> Self:
        """Fit all; validation rows stop each of them."""
        settings = self.get_params(deep=False)
        first = N_FITS * settings.pop("random_state")  # no two means share a fit
        fits = [
            fit for seed in range(first, first + N_FITS) for fit in self._make_fits(settings, seed)
        ]
        self.voting_ = VotingClassifier(fits, voting="soft")
        self._fit_all(X, y, X_val, y_val)
        members = self.voting_.estimators_
        self.classes_ = self.voting_.classes_
        self.n_iter_ = sum(clf.n_iter_ for clf in members)
        self.n_parameters_ = {"all": sum(sum(clf.n_parameters_.values()) for clf in members)}
        self.batch_size_ = getattr(members[0], "batch_size_", None)  # trees have none
        return self

    def _make_fits(self, settings: dict[str, Any], seed: int) -> list[tuple[str, BaseEstimator]]:
        """Make what is fitted with one seed, each with a name."""
        return [(f"seed {seed}", self.single(**settings, random_state=seed))]

    def _fit_all(self, X: Any, y: Any, X_val: Any, y_val: Any) -> None:
        with sklearn.config_context(enable_metadata_routing=True):
            for _, clf in self.voting_.estimators:
                clf.set_fit_request(X_val=True, y_val=True)
            self.voting_.fit(X, y, X_val=X_val, y_val=y_val)

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.voting_.predict_proba(X)


class AveragedOnAllRows(_Averaged):
    """Fit five times on training and validation rows together.

    Every fit is stopped by a tenth of its own: on average, no row is lost to validation.
    """

    def _fit_all(self, X: Any, y: Any, X_val: Any, y_val: Any) -> None:
        X = pd.concat([X, X_val], ignore_index=True)
        self.voting_.fit(X, np.concatenate([y, y_val]))


class AveragedCrossedDynInt(_Averaged, CrossedDynInt):
    """The mean of five fits of `CrossedDynInt`."""

    single = CrossedDynInt


class AveragedStatisticsDynInt(_Averaged, StatisticsDynInt):
    """The mean of five fits of `StatisticsDynInt`."""

    single = StatisticsDynInt


class AllRowsDynInt(AveragedOnAllRows, DynIntClassifier):
    """The mean of five fits of `DynIntClassifier` on all rows."""

    single = DynIntClassifier


class AllRowsStatisticsDynInt(AveragedOnAllRows, StatisticsDynInt):
    """The mean of five fits of `StatisticsDynInt` on all rows."""

    single = StatisticsDynInt


class AllRowsStatisticsTrees(AveragedOnAllRows, StatisticsTrees):
    """The mean of five fits of `StatisticsTrees` on all rows."""

    single = StatisticsTrees


class AllRowsStatisticsDynIntAndTrees(AllRowsStatisticsDynInt):
    """The mean of five fits each of `StatisticsDynInt` and of `StatisticsTrees` on all rows."""

    def _make_fits(self, settings: dict[str, Any], seed: int) -> list[tuple[str, BaseEstimator]]:
        of_statistics = {name: settings[name] for name in ("max_order", "smooth", "n_folds")}
        trees = StatisticsTrees(**of_statistics, random_state=seed)
        return [*super()._make_fits(settings, seed), (f"trees, seed {seed}", trees)]
