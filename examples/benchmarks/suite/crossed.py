"""A net whose strongest crosses have become fields, and what it then lacks a statistic."""

from typing import Any, ClassVar, Self

import pandas as pd
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    ListedInteractions,
    screen_interactions,
)


class CrossedDynInt(ClassifierMixin, BaseEstimator):
    """Fit DynInt, make its strongest pairs fields, and fit DynInt again; then what it still lacks.

    A net of one embedding per value gives a pair a cross of low rank. As a field of its own the
    pair has an embedding per combination, and may take part in crosses itself: month × day is a
    date, and date × hour is the weather. Pairs of these fields that the second net has not
    learnt, by `screen_interactions`, become statistics of the target, and a third net is
    fitted. These are steps of `InteractionFeatures`, with validation rows carried through.

    Parameters
    ----------
    n_crosses : int
        Number of pairs that become fields.
    n_screened : int
        Most pairs that become statistics; 0 ends with the second net.
    crossed_min_frequency : int
        Rarer values and combinations are unknown in the second net: with 2, a combination of
        which every row has its own is not learnt by heart.
    embedding_dim, n_layers, embedding_l2, learning_rate, batch_size, encoder, monitor
        Of the second net; the first has its defaults but for encoder and monitor.
    random_state : int or None
    """

    param_distributions: ClassVar[dict[str, Any]] = {
        "n_crosses": [1, 2, 3, 6],
        "n_screened": [0, 1, 2],
        "crossed_min_frequency": [1, 2],
        "embedding_dim": [8, 16, 32],
        "n_layers": [1, 2, 3],
        "embedding_l2": loguniform(1e-5, 1e-1),
        "learning_rate": loguniform(1e-3, 2e-2),
    }

    def __init__(
        self,
        n_crosses: int = 1,
        n_screened: int = 0,
        crossed_min_frequency: int = 1,
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
        self.n_screened = n_screened
        self.crossed_min_frequency = crossed_min_frequency
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
        n_crosses, n_screened = settings.pop("n_crosses"), settings.pop("n_screened")
        crossed_min_frequency = settings.pop("crossed_min_frequency")
        shared = {name: settings[name] for name in ("encoder", "monitor", "random_state")}
        finder = DynIntClassifier(**shared).fit(X, y, X_val=X_val, y_val=y_val)
        self.features_ = InteractionFeatures(
            finder, n_interactions=n_crosses, orders=[2], encoder="category", prefit=True
        )
        crossed, crossed_val = self.features_.fit_transform(X, y), self.features_.transform(X_val)
        encoder = FieldEncoder() if self.encoder == "auto" else clone(self.encoder)
        frequent = max(crossed_min_frequency, encoder.min_frequency)
        settings["encoder"] = encoder.set_params(min_frequency=frequent)
        self.model_ = DynIntClassifier(**settings)
        self.model_.fit(crossed, y, X_val=crossed_val, y_val=y_val)
        n_epochs, self.statistics_ = finder.n_iter_ + self.model_.n_iter_, None
        lacking = screen_interactions(self.model_, crossed, y).query("significant")
        lacking = lacking["fields"][:n_screened]
        if len(lacking):
            self.statistics_ = InteractionFeatures(
                ListedInteractions(lacking),
                keep_original=False,
                random_state=self.random_state,
            )
            crossed = self._add(crossed, self.statistics_.fit_transform(crossed, y))
            crossed_val = self._add(crossed_val, self.statistics_.transform(crossed_val))
            self.model_ = DynIntClassifier(**settings)
            self.model_.fit(crossed, y, X_val=crossed_val, y_val=y_val)
            n_epochs += self.model_.n_iter_
        self.classes_ = self.model_.classes_
        self.n_iter_ = n_epochs
        self.n_parameters_ = self.model_.n_parameters_
        self.batch_size_ = self.model_.batch_size_
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of every class."""
        crossed = self.features_.transform(X)
        if self.statistics_ is not None:
            crossed = self._add(crossed, self.statistics_.transform(crossed))
        return self.model_.predict_proba(crossed)

    def _add(self, crossed: pd.DataFrame, statistics: Any) -> pd.DataFrame:
        names = [f"mean by {name}" for name in self.statistics_.get_feature_names_out()]
        return crossed.assign(**dict(zip(names, statistics.T, strict=True)))
