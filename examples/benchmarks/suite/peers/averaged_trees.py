"""Means of several fits of boosted trees, which differ in their seeds."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier

from suite.peers.catboost_trees import CatBoostPeer
from suite.peers.lightgbm_trees import LightGBMPeer

N_FITS = 5


class AllRowsCatBoost(CatBoostPeer):
    """Average the probabilities of five fits on training and validation rows together.

    Every fit is stopped by a tenth of its own: on average, no row is lost to validation.
    """

    def fit(self, X: Any, y: Any, *, X_val: Any, y_val: Any) -> Self:
        """Fit scikit-learn's `VotingClassifier` on the rows of both parts."""
        settings = self.get_params(deep=False)
        first = N_FITS * settings.pop("random_state")  # no two means share a fit
        fits = [
            (f"seed {seed}", CatBoostPeer(**settings, random_state=seed))
            for seed in range(first, first + N_FITS)
        ]
        self.voting_ = VotingClassifier(fits, voting="soft")
        self.voting_.fit(pd.concat([X, X_val], ignore_index=True), np.concatenate([y, y_val]))
        members = self.voting_.estimators_
        self.classes_ = self.voting_.classes_
        self.n_iter_ = sum(clf.n_iter_ for clf in members)
        self.n_parameters_ = {"all": sum(sum(clf.n_parameters_.values()) for clf in members)}
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.voting_.predict_proba(X)


class FiveCatBoosts(ClassifierMixin, BaseEstimator):
    """Average the probabilities of five default fits, each stopped by another tenth of the rows.

    Parameters
    ----------
    random_state : int
        No two of them share a fit.
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def _make_member(self, seed: int) -> Any:
        return CatBoostPeer(iterations=1000, integer_categories=False, random_state=seed)

    def fit(self, X: Any, y: Any) -> Self:
        """Fit scikit-learn's `VotingClassifier`."""
        first = N_FITS * self.random_state
        fits = [(f"seed {seed}", self._make_member(seed)) for seed in range(first, first + N_FITS)]
        self.voting_ = VotingClassifier(fits, voting="soft").fit(X, y)
        self.classes_ = self.voting_.classes_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.voting_.predict_proba(X)


class FiveLightGBMs(FiveCatBoosts):
    """As `FiveCatBoosts`, of LightGBM."""

    def _make_member(self, seed: int) -> Any:
        return LightGBMPeer(learning_rate=0.1, integer_categories=False, random_state=seed)
