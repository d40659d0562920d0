"""CatBoost with its own handling of categories."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin

from suite.peers.trees import N_THREADS, PATIENCE, find_categories, take_stop_rows


class CatBoostPeer(ClassifierMixin, BaseEstimator):
    """Boost trees with CatBoost's ordered target statistics of categories and their crosses.

    Parameters
    ----------
    learning_rate, depth, l2_leaf_reg, random_strength, one_hot_max_size : float, int or None
        As in CatBoost; None is its default.
    iterations : int
        Most trees; validation rows choose their number.
    integer_categories : bool
        Whether integers are categories, and not numbers.
    random_state : int or None
        Seed.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "learning_rate": loguniform(2e-2, 2e-1),
        "depth": [4, 5, 6, 7, 8],
        "l2_leaf_reg": loguniform(1, 1e2),
        "random_strength": loguniform(1e-1, 1e1),
        "one_hot_max_size": [2, 10, 25],
    }

    def __init__(
        self,
        learning_rate: float | None = None,
        depth: int | None = None,
        l2_leaf_reg: float | None = None,
        random_strength: float | None = None,
        one_hot_max_size: int | None = None,
        iterations: int = 2000,
        integer_categories: bool = True,
        random_state: int | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.random_strength = random_strength
        self.one_hot_max_size = one_hot_max_size
        self.iterations = iterations
        self.integer_categories = integer_categories
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit on the training rows, stop on the validation rows or on a tenth of its own."""
        if X_val is None:
            X, X_val, y, y_val = take_stop_rows(X, y, self.random_state)
        settings = self.get_params()
        self.categories_ = find_categories(X, settings.pop("integer_categories"))
        self.model_ = CatBoostClassifier(
            **settings,
            cat_features=self.categories_,
            thread_count=N_THREADS,
            early_stopping_rounds=PATIENCE,
            allow_writing_files=False,
            verbose=False,
        )
        self.model_.fit(self._encode(X), y, eval_set=(self._encode(X_val), y_val))
        self.classes_ = self.model_.classes_
        self.n_iter_ = self.model_.tree_count_
        self.n_parameters_ = {"leaves": int(np.sum(self.model_.get_tree_leaf_counts()))}
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self._encode(X))

    def _encode(self, X: pd.DataFrame) -> pd.DataFrame:
        # Missing values are a category of their own, which CatBoost wants to be named.
        return X.assign(**{name: X[name].astype(str).fillna("") for name in self.categories_})
