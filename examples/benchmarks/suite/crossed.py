"""A net whose strongest crosses have become fields."""

from typing import Any, ClassVar, Self

from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin

from sparsectr import DynIntClassifier, FieldEncoder, InteractionFeatures


class CrossedDynInt(ClassifierMixin, BaseEstimator):
    """Fit DynInt, make its strongest pairs fields, and fit DynInt again.

    A net of one embedding per value gives a pair a cross of low rank. As a field of its own the
    pair has an embedding per combination, and may take part in crosses itself: month × day is a
    date, and date × hour is the weather. It is a pipeline of `InteractionFeatures` and the
    classifier, with validation rows carried through.

    Parameters
    ----------
    n_crosses : int
        Number of pairs that become fields.
    embedding_dim, n_layers, embedding_l2, learning_rate, batch_size, encoder, monitor
        Of the second net; the first has its defaults but for encoder and monitor.
    random_state : int or None
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "n_crosses": [1, 2, 3, 6],
        "embedding_dim": [8, 16, 32],
        "n_layers": [1, 2, 3],
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(1e-3, 2e-2),
    }

    def __init__(
        self,
        n_crosses: int = 1,
        embedding_dim: int = 16,
        n_layers: int = 2,
        embedding_l2: float = 1e-3,
        learning_rate: float = 5e-3,
        batch_size: int | str = "auto",
        encoder: FieldEncoder | str = "auto",
        monitor: str = "log_loss",
        random_state: int | None = None,
    ) -> None:
        self.n_crosses = n_crosses
        self.embedding_dim = embedding_dim
        self.n_layers = n_layers
        self.embedding_l2 = embedding_l2
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.encoder = encoder
        self.monitor = monitor
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any, y_val: Any) -> Self:
        """Fit both nets; validation rows stop each of them."""
        settings = self.get_params(deep=False)
        n_crosses = settings.pop("n_crosses")
        shared = {name: settings[name] for name in ("encoder", "monitor", "random_state")}
        finder = DynIntClassifier(**shared).fit(X, y, X_val=X_val, y_val=y_val)
        self.features_ = InteractionFeatures(
            finder, n_interactions=n_crosses, orders=[2], encoder="category", prefit=True
        )
        crossed = self.features_.fit_transform(X, y)
        self.model_ = DynIntClassifier(**settings)
        self.model_.fit(crossed, y, X_val=self.features_.transform(X_val), y_val=y_val)
        self.classes_ = self.model_.classes_
        self.n_iter_ = finder.n_iter_ + self.model_.n_iter_
        self.n_parameters_ = self.model_.n_parameters_
        self.batch_size_ = self.model_.batch_size_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        return self.model_.predict_proba(self.features_.transform(X))
