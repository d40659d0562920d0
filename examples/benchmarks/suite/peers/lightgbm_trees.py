"""LightGBM with its own handling of categories."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, early_stopping
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import OrdinalEncoder

from suite.peers.trees import N_THREADS, PATIENCE, find_categories, take_stop_rows


class LightGBMPeer(ClassifierMixin, BaseEstimator):
    """Boost trees on category codes and numbers; validation rows choose the number of trees.

    Parameters
    ----------
    learning_rate, num_leaves, min_child_samples, reg_lambda, cat_smooth, cat_l2 : float or int
        As in LightGBM, with its defaults but for the learning rate.
    n_estimators : int
        Most trees.
    integer_categories : bool
        Whether integers are categories, and not numbers.
    random_state : int or None
        Seed.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "learning_rate": loguniform(1e-2, 2e-1),
        "num_leaves": [7, 15, 31, 63, 127],
        "min_child_samples": [5, 20, 50, 100],
        "reg_lambda": loguniform(1e-3, 1e2),
        "cat_smooth": loguniform(1, 1e3),
        "cat_l2": loguniform(1, 1e3),
    }

    def __init__(
        self,
        learning_rate: float = 0.05,
        num_leaves: int = 31,
        min_child_samples: int = 20,
        reg_lambda: float = 0.0,
        cat_smooth: float = 10.0,
        cat_l2: float = 10.0,
        n_estimators: int = 2000,
        integer_categories: bool = True,
        random_state: int | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.reg_lambda = reg_lambda
        self.cat_smooth = cat_smooth
        self.cat_l2 = cat_l2
        self.n_estimators = n_estimators
        self.integer_categories = integer_categories
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit on the training rows, stop on the validation rows or on a tenth of its own."""
        if X_val is None:
            X, X_val, y, y_val = take_stop_rows(X, y, self.random_state)
        settings = self.get_params()
        self.categories_ = find_categories(X, settings.pop("integer_categories"))
        # Unseen values become missing ones, which LightGBM knows.
        self.encoder_ = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        self.encoder_.fit(X[self.categories_].astype(str))
        self.model_ = LGBMClassifier(**settings, n_jobs=N_THREADS, verbose=-1)
        self.model_.fit(
            self._encode(X),
            y,
            eval_set=[(self._encode(X_val), y_val)],
            eval_metric="binary_logloss",
            categorical_feature=self.categories_,
            callbacks=[early_stopping(PATIENCE, verbose=False)],
        )
        self.classes_ = self.model_.classes_
        self.n_iter_ = self.model_.best_iteration_
        trees = self.model_.booster_.dump_model(num_iteration=self.n_iter_)["tree_info"]
        self.n_parameters_ = {"leaves": sum(tree["num_leaves"] for tree in trees)}
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self._encode(X))

    def _encode(self, X: pd.DataFrame) -> pd.DataFrame:
        codes = self.encoder_.transform(X[self.categories_].astype(str))
        columns = pd.DataFrame(codes, X.index, self.categories_)
        return pd.concat([columns, X.drop(columns=self.categories_)], axis=1)
