"""Statistics of crosses that are drawn at random, and LightGBM on them, as TabPrep has it."""

from itertools import combinations
from math import comb
from typing import Any, Self

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, early_stopping
from sklearn.base import BaseEstimator, ClassifierMixin

from sparsectr.ensembles.cross_statistics import CrossStatistics
from suite.peers.trees import N_THREADS, PATIENCE, take_stop_rows


class RandomCrosses(ClassifierMixin, BaseEstimator):
    """Boost small trees on target statistics of crosses of two or three columns at random.

    A rebuilding of the idea, and not of the code, of AutoGluon's TabPrep.

    Parameters
    ----------
    n_crosses : int
        Number of crosses; fewer where there are no more.
    num_leaves : int
        Leaves of a tree.
    random_state : int or None
        Seed.
    """

    def __init__(
        self, n_crosses: int = 500, num_leaves: int = 7, random_state: int | None = None
    ) -> None:
        self.n_crosses = n_crosses
        self.num_leaves = num_leaves
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit on nine tenths of the rows, stop on the others."""
        X, X_val, y, y_val = take_stop_rows(X, y, self.random_state)
        names = X.columns.tolist()
        crosses = draw_crosses(names, self.n_crosses, np.random.default_rng(self.random_state))
        self.statistics_ = CrossStatistics(
            crosses, n_pairs=0, n_triples=0, random_state=self.random_state
        )
        self.numbers_ = X.select_dtypes("number").columns.tolist()
        made = np.hstack([self.statistics_.fit_transform(X, y), X[self.numbers_].to_numpy(float)])
        self.model_ = LGBMClassifier(
            n_estimators=2000,
            num_leaves=self.num_leaves,
            n_jobs=N_THREADS,
            random_state=self.random_state,
            verbose=-1,
        )
        self.model_.fit(
            made,
            y,
            eval_set=[(self._columns_of(X_val), y_val)],
            callbacks=[early_stopping(PATIENCE, verbose=False)],
        )
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self._columns_of(X))

    def _columns_of(self, X: pd.DataFrame) -> Any:
        return np.hstack([self.statistics_.transform(X), X[self.numbers_].to_numpy(float)])


def draw_crosses(
    names: list[str], n_crosses: int, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """Draw different sets of two or three names, or list them all where they are few."""
    n_names = len(names)
    if comb(n_names, 2) + comb(n_names, 3) <= n_crosses:
        return [cross for order in (2, 3) for cross in combinations(names, order)]
    drawn: dict[tuple[str, ...], None] = {}
    while len(drawn) < n_crosses:
        fields = rng.choice(n_names, size=rng.integers(2, 4), replace=False)
        drawn[tuple(names[j] for j in sorted(fields))] = None
    return list(drawn)
