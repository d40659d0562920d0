"""scikit-learn's boosted trees on histograms, with categories as categories."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from suite.peers.trees import PATIENCE, find_categories

MOST_CATEGORIES = 254  # of a column; the rarer ones become one


class HistPeer(ClassifierMixin, BaseEstimator):
    """Boost trees with scikit-learn's defaults, but for the number of trees.

    Parameters
    ----------
    max_iter : int
        Most trees; a tenth of the rows chooses their number.
    integer_categories : bool
        Whether integers are categories, and not numbers.
    random_state : int or None
        Seed.
    """

    def __init__(
        self,
        max_iter: int = 2000,
        integer_categories: bool = True,
        random_state: int | None = None,
    ) -> None:
        self.max_iter = max_iter
        self.integer_categories = integer_categories
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit on nine tenths of the rows, stop on the others."""
        categories = find_categories(X, self.integer_categories)
        encoder = OrdinalEncoder(
            max_categories=MOST_CATEGORIES,
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
        )
        columns = make_column_transformer((encoder, categories), remainder="passthrough")
        trees = HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            early_stopping=True,
            n_iter_no_change=PATIENCE,
            categorical_features=list(range(len(categories))),
            random_state=self.random_state,
        )
        self.model_ = make_pipeline(columns, trees).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(X)
