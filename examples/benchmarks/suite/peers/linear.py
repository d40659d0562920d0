"""Logistic regression on one-hot columns."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sparsectr.encoding.field_encoder import FieldEncoder
from suite.peers.trees import take_stop_rows


class OneHotLogistic(ClassifierMixin, BaseEstimator):
    """Fit a logistic regression for every penalty, and keep the best on validation rows.

    Numbers are cut into bins as for our estimators.

    Parameters
    ----------
    penalties : sequence of float
        Inverse strengths of the L2 penalty, ``C`` of scikit-learn.
    min_frequency : int
        Rarer values share one column.
    random_state : int or None
        Seed of the rows that choose the penalty, if none are passed.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "penalties": [(float(C),) for C in np.geomspace(1e-2, 1e1, 13)],
        "min_frequency": [1, 2, 5],
    }

    def __init__(
        self,
        penalties: Sequence[float] = (0.03, 0.1, 0.3, 1.0, 3.0),
        min_frequency: int = 1,
        random_state: int | None = None,
    ) -> None:
        self.penalties = penalties
        self.min_frequency = min_frequency
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit on the training rows, choose on the validation rows or on a tenth of its own."""
        if X_val is None:
            X, X_val, y, y_val = take_stop_rows(X, y, self.random_state)
        models = [self._make_pipeline(C).fit(X, y) for C in self.penalties]
        losses = [log_loss(y_val, model.predict_proba(X_val)) for model in models]
        self.model_ = models[int(np.argmin(losses))]
        self.classes_ = self.model_.classes_
        self.n_iter_ = int(self.model_[-1].n_iter_[0])
        self.n_parameters_ = {"coefficients": self.model_[-1].coef_.size + 1}
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(X)

    def _make_pipeline(self, C: float) -> Pipeline:
        return make_pipeline(
            FieldEncoder(min_frequency=self.min_frequency),
            OneHotEncoder(handle_unknown="ignore"),
            LogisticRegression(C=C, max_iter=1000, tol=1e-3),
        )
