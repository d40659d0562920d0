"""A net, and boosted trees, on the fields and on statistics of all their crosses."""

from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, TargetEncoder

from sparsectr import DynIntClassifier, FieldEncoder, InteractionFeatures, ListedInteractions
from suite.peers.trees import PATIENCE


def make_statistics(
    max_order: int, smooth: float, n_folds: int, random_state: int | None
) -> InteractionFeatures:
    """Make the columns of all crosses: the mean label of every combination."""
    return InteractionFeatures(
        ListedInteractions(max_order=max_order),
        n_interactions=None,
        encoder=TargetEncoder(smooth=smooth, target_type="continuous"),
        keep_original=False,
        cv=n_folds,
        random_state=random_state,
    )


def make_counts() -> Pipeline:
    """Make the columns of how often values and pairs occur, and how usual a pair is."""
    counts = InteractionFeatures(ListedInteractions(), n_interactions=None, encoder="count")
    return make_pipeline(counts, FunctionTransformer(add_shares))


def add_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms of counts, and of the shares of pairs in the rows of their values.

    Parameters
    ----------
    counts : ndarray of shape (n_rows, F + F * (F - 1) / 2)
        Of the values of F fields, and of their pairs in the order of `combinations`; the row
        itself is not counted.

    Returns
    -------
    ndarray of shape (n_rows, F + 3 * F * (F - 1) / 2)
    """
    n_fields = int(np.sqrt(2 * counts.shape[1]))
    of_values, of_pairs = np.split(np.log1p(counts), [n_fields], axis=1)
    firsts, seconds = np.transpose(list(combinations(range(n_fields), 2)))
    shares = (of_pairs - of_values[:, fields] for fields in (firsts, seconds))
    return np.hstack([of_values, of_pairs, *shares])


class _OnStatistics(ClassifierMixin, BaseEstimator):
    """Fit a classifier on columns that are made of the labels, too."""

    def _fit_on(self, features: Any, model: Any, X: Any, y: Any, X_val: Any, y_val: Any) -> None:
        table = features.fit_transform(X, y)
        table_val = None if X_val is None else features.transform(X_val)
        self.features_, self.model_ = features, model.fit(table, y, X_val=table_val, y_val=y_val)
        self.classes_ = self.model_.classes_
        self.n_iter_ = self.model_.n_iter_

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self.features_.transform(X))


class StatisticsDynInt(_OnStatistics):
    """Give DynInt the fields, and the mean label of every combination of two or more of them.

    Rare combinations have too few rows for embeddings of their own; a shrunk mean, taken out of
    fold and cut into bins, is one number for each, and what it is worth is learnt from all of them
    together. Fit for tables of few fields: all crosses become columns.

    Parameters
    ----------
    max_order : int
        Most fields in a cross.
    smooth : float
        Rows of the mean label of all that each mean is shrunk by.
    n_folds : int
        Of the statistics of training rows.
    embedding_dim, n_layers, embedding_l2, learning_rate, batch_size, encoder, monitor
        Of the net.
    random_state : int or None
        Also of the folds.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "max_order": [2, 3],
        "smooth": loguniform(1, 30),
        "n_folds": [5, 10, 20],
        "embedding_dim": [8, 16, 32],
        "n_layers": [1, 2],
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(1e-3, 2e-2),
    }

    def __init__(
        self,
        max_order: int = 2,
        smooth: float = 5.0,
        n_folds: int = 5,
        embedding_dim: int = 16,
        n_layers: int = 1,
        embedding_l2: float = 1e-3,
        learning_rate: float = 5e-3,
        batch_size: int | str = "auto",
        encoder: FieldEncoder | str = "auto",
        monitor: str = "log_loss",
        random_state: int | None = None,
    ) -> None:
        self.max_order = max_order
        self.smooth = smooth
        self.n_folds = n_folds
        self.embedding_dim = embedding_dim
        self.n_layers = n_layers
        self.embedding_l2 = embedding_l2
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.encoder = encoder
        self.monitor = monitor
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Make the statistics and fit the net; validation rows, or a tenth of its own, stop it."""
        settings = self.get_params(deep=False)
        statistics = make_statistics(
            *(settings.pop(name) for name in ("max_order", "smooth", "n_folds")),
            self.random_state,
        )
        features = make_union("passthrough", statistics).set_output(transform="pandas")
        self._fit_on(features, DynIntClassifier(**settings), X, y, X_val, y_val)
        self.n_parameters_ = self.model_.n_parameters_
        self.batch_size_ = self.model_.batch_size_
        return self


class StatisticsTrees(_OnStatistics):
    """Boost trees of few leaves on statistics of all values and of all their combinations.

    Mean labels say what a combination is worth, counts how much that is to be trusted, and shares
    how usual it is for its values.

    Parameters
    ----------
    max_order, smooth, n_folds
        As in `StatisticsDynInt`.
    learning_rate, max_leaf_nodes, min_samples_leaf, l2_regularization, max_features, max_iter
        As in scikit-learn's `HistGradientBoostingClassifier`; validation rows choose the number
        of trees.
    random_state : int or None
        Seed.
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "max_order": [2, 3],
        "smooth": loguniform(1, 30),
        "n_folds": [5, 10, 20],
        "learning_rate": loguniform(1e-2, 1e-1),
        "max_leaf_nodes": [2, 3, 4, 6, 8],
        "min_samples_leaf": [5, 20, 60],
        "l2_regularization": loguniform(1, 1e2),
        "max_features": [0.1, 0.2, 1.0],
    }

    def __init__(
        self,
        max_order: int = 3,
        smooth: float = 9.0,
        n_folds: int = 10,
        learning_rate: float = 0.03,
        max_leaf_nodes: int = 4,
        min_samples_leaf: int = 20,
        l2_regularization: float = 30.0,
        max_features: float = 0.2,
        max_iter: int = 3000,
        random_state: int | None = None,
    ) -> None:
        self.max_order = max_order
        self.smooth = smooth
        self.n_folds = n_folds
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Make the statistics and fit the trees; validation rows, or a tenth of its own, stop."""
        settings = self.get_params(deep=False)
        max_order, smooth, n_folds = (
            settings.pop(name) for name in ("max_order", "smooth", "n_folds")
        )
        folds = KFold(n_folds, shuffle=True, random_state=self.random_state)
        of_values = TargetEncoder(smooth=smooth, target_type="continuous", cv=folds)
        of_crosses = make_statistics(max_order, smooth, n_folds, self.random_state)
        trees = HistGradientBoostingClassifier(
            **settings, early_stopping=True, n_iter_no_change=PATIENCE
        )
        features = make_union(of_values, of_crosses, make_counts())
        self._fit_on(features, trees, X, y, X_val, y_val)
        leaves = [tree.get_n_leaf_nodes() for step in self.model_._predictors for tree in step]
        self.n_parameters_ = {"leaves": int(np.sum(leaves))}
        return self
