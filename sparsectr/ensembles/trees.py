"""Boosted trees on raw columns, alone or with statistics of crosses beside them."""

from collections.abc import Collection
from inspect import signature
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from sparsectr.encoding.columns import take_rows
from sparsectr.ensembles.columns import Columns
from sparsectr.ensembles.cross_statistics import CrossStatistics

MOST_TREES = 1500
PATIENCE = 30  # trees without improvement after which training stops
OF_COLUMNS: dict[str, Any] = {"learning_rate": 0.06, "max_bins": 255}
# Statistics are many and say much alike: small trees of a few of them, and coarse bins.
OF_STATISTICS: dict[str, Any] = {
    "learning_rate": 0.08,
    "max_leaf_nodes": 15,
    "max_features": 0.3,
    "l2_regularization": 10.0,
    "max_bins": 64,
}
# scikit-learn 1.6 takes no rows for early stopping: there it sets some of its own apart.
TAKES_VALIDATION = "X_val" in signature(HistGradientBoostingClassifier.fit).parameters


class LabelledTable(NamedTuple):
    """Rows of a table with class numbers and weights."""

    table: Any
    numbers: NDArray[np.int64]
    weights: NDArray[np.float64]

    def take(self, rows: NDArray[np.integer[Any]]) -> "LabelledTable":
        """Return the rows with these numbers (m,)."""
        return LabelledTable(take_rows(self.table, rows), self.numbers[rows], self.weights[rows])


class Trees:
    """Boost trees of scikit-learn on the columns of a table.

    Numbers are numbers; values are categories where they are few, else numbers in the order of
    their frequency.

    Parameters
    ----------
    statistics : CrossStatistics or None
        Makes further columns; None makes none.
    seed : int
        Seed.
    numeric_features : "auto" or list of str or int, default="auto"
        Columns of numbers, as in `CrossStatistics`.
    """

    def __init__(
        self,
        statistics: CrossStatistics | None,
        seed: int,
        numeric_features: str | Collection[str | int] = "auto",
    ) -> None:
        self.statistics = statistics
        self.seed = seed
        self.numeric_features = numeric_features

    def fit(self, train: LabelledTable, held: LabelledTable) -> Self:
        """Fit on training rows; held out rows choose the number of trees."""
        self.columns = Columns(self.numeric_features).fit(train.table)
        columns = [self.columns.raw(train.table)]
        if self.statistics is not None:
            columns.append(self.statistics.fit_transform(train.table, train.numbers, train.weights))
        settings = OF_COLUMNS if self.statistics is None else OF_STATISTICS
        self.trees = HistGradientBoostingClassifier(
            **settings,
            max_iter=MOST_TREES,
            early_stopping=True,
            n_iter_no_change=PATIENCE,
            categorical_features=self.columns.categories(settings["max_bins"]) or None,
            random_state=self.seed,
        )
        # With weights scikit-learn sorts every column once for every bin.
        equal = bool((train.weights == 1).all() and (held.weights == 1).all())
        weights, held_weights = (None, None) if equal else (train.weights, held.weights)
        options: dict[str, Any] = {}
        if TAKES_VALIDATION:
            options = {"X_val": self._columns_of(held.table), "y_val": held.numbers}
            options["sample_weight_val"] = held_weights
        self.trees.fit(np.hstack(columns), train.numbers, sample_weight=weights, **options)
        return self

    def predict_proba(self, table: Any) -> NDArray[np.float64]:
        """Predict the probability of every class, (n_rows, n_classes)."""
        return np.asarray(self.trees.predict_proba(self._columns_of(table)))

    def _columns_of(self, table: Any) -> NDArray[np.float64]:
        raw = self.columns.raw(table)
        return (
            raw if self.statistics is None else np.hstack([raw, self.statistics.transform(table)])
        )
