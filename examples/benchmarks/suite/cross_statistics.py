"""A net on the fields and on statistics of all their crosses."""

from typing import Any, ClassVar, Self

from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_union
from sklearn.preprocessing import TargetEncoder

from sparsectr import DynIntClassifier, FieldEncoder, InteractionFeatures, ListedInteractions


class StatisticsDynInt(ClassifierMixin, BaseEstimator):
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
        max_order, smooth, n_folds = (
            settings.pop(name) for name in ("max_order", "smooth", "n_folds")
        )
        statistics = InteractionFeatures(
            ListedInteractions(max_order=max_order),
            n_interactions=None,
            encoder=TargetEncoder(smooth=smooth, target_type="continuous"),
            keep_original=False,
            cv=n_folds,
            random_state=self.random_state,
        )
        self.features_ = make_union("passthrough", statistics).set_output(transform="pandas")
        table = self.features_.fit_transform(X, y)
        table_val = None if X_val is None else self.features_.transform(X_val)
        self.model_ = DynIntClassifier(**settings)
        self.model_.fit(table, y, X_val=table_val, y_val=y_val)
        self.classes_ = self.model_.classes_
        self.n_iter_ = self.model_.n_iter_
        self.n_parameters_ = self.model_.n_parameters_
        self.batch_size_ = self.model_.batch_size_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self.features_.transform(X))
