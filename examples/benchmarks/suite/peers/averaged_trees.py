"""The mean of several fits of CatBoost, which differ in their seeds."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier

from suite.peers.catboost_trees import CatBoostPeer

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
