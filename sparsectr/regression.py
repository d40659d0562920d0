"""What all regressors share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from sparsectr.base import BaseInteractionEstimator
from sparsectr.drafts import on_a_draft, on_one_fit, sibling
from sparsectr.encoding.columns import TableLike
from sparsectr.export.row_predictor import RowPredictor
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.parameters import ParameterCheck
from sparsectr.targets.numbers import LOSSES, NumberTarget, as_numbers
from sparsectr.targets.target import Floats, TargetRows, Weights
from sparsectr.targets.weights import check_weights

# What "auto" watches, by loss.
MONITORS = {"squared_error": "squared_error", "poisson": "poisson_deviance"}


class BaseInteractionRegressor(RegressorMixin, BaseInteractionEstimator):
    """Predict numbers.

    A regressor derives from this class and from the one that trains its net:
    ``class DynIntRegressor(BaseInteractionRegressor, BaseDynInt)``. Its constructor takes these
    parameters beside those of `SharedParameters`.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}, default="squared_error"
        What is minimised. "squared_error": half the squared error of the target, standardised.
        "poisson": the negative log-likelihood of counts, of which the logarithm of the mean is
        modelled. For rates, pass count / exposure as y and the exposure as ``sample_weight``.
    monitor : {"auto", "squared_error", "poisson_deviance", "absolute_error"}, default="auto"
        The validation metric that early stopping watches. "auto": the one of the loss; that of the
        other loss is not measured.
    """

    _target_state: ClassVar[tuple[str, ...]] = ("target_mean_", "target_scale_")
    _iterator_name = "iter_predict"
    loss: str
    target_mean_: float
    target_scale_: float

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check = ParameterCheck(self)
        check.choice("loss", list(LOSSES))
        check.choice("monitor", ["auto", MONITORS[self.loss], "absolute_error"])
        if self.monitor == "auto":  # on the draft of a fit
            self.monitor = MONITORS[self.loss]

    def _values_of_net_parameters(self) -> dict[str, Any]:
        # A net that has learnt logarithms cannot go on with the numbers themselves.
        return super()._values_of_net_parameters() | {"loss": self.loss}

    @on_a_draft
    def partial_fit(
        self, X: TableLike, y: ArrayLike | None = None, sample_weight: Weights = None
    ) -> Self:
        """Train one epoch on more rows.

        The vocabularies, and the mean and scale that are taken out of the target, are those of the
        first call; a value that is new later counts as unknown, unless
        ``encoder=FieldEncoder(new_values="grow")`` gives it a code. The optimizer starts afresh in
        every call. The crosses are measured when they are first asked for, or when the estimator is
        copied or pickled. The rows for that are a random sample, of up to 100,000 rows, of all
        calls since the last `fit`; copies and pickles hold what is measured and no rows, so that
        calls on them begin a new sample.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, or other rows that `fit` takes.
        y : array-like of shape (n_rows,), or str
            Numbers, or what `fit` takes for other rows.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in the loss.

        Returns
        -------
        self
            This estimator, fitted.
        """
        self._fit_chunk(X, y, sample_weight)
        return self

    def _settle_target(
        self, y: ArrayLike, sample_weight: Weights, n_rows: int, *, going_on: bool, told: Any = None
    ) -> tuple[NumberTarget, TargetRows]:
        values = as_numbers(y, n_rows=n_rows, count=self.loss == "poisson")
        weights = check_weights(sample_weight, n_rows)
        if not going_on:
            target = NumberTarget.settle(self.loss, values, weights)
            self.target_mean_, self.target_scale_ = target.mean, target.scale
        target = self._fitted_target()
        return target, target.transform(values, weights)

    def _fitted_target(self) -> NumberTarget:
        return NumberTarget(self._fitted_loss(), self.target_mean_, self.target_scale_)

    def _fitted_loss(self) -> str:
        """Return the loss of the fit, which `set_params` may have changed since."""
        return str(getattr(self, "_net_made_with", {}).get("loss", self.loss))

    @on_one_fit
    @with_one_torch_thread()
    def predict(self, X: TableLike) -> Floats:
        """Predict the mean of the target.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order. Unseen values count as unknown.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            In units of the target; above zero with ``loss="poisson"``.
        """
        logits = self._predict_logits(X)
        return self._fitted_target().predict(logits)

    @on_one_fit
    def iter_predict(self, source: object) -> Iterator[Floats]:
        """Predict the target of rows that need not fit into memory.

        Parameters
        ----------
        source : str, path, list of them, pyarrow.dataset.Dataset, Arrow stream or CodeTable
            The rows, with the columns of `fit` and perhaps others; see
            `FieldEncoder.encode_dataset`.

        Returns
        -------
        iterator of ndarray of shape (n_some_rows,), float64
            What `predict` returns for some rows after the other.
        """
        return self._iterate(source, self.predict)

    def _predicted_columns(self, table: Any) -> dict[str, NDArray[Any]]:
        return {"prediction": self.predict(table)}

    @on_one_fit
    def compile_predictor(self) -> RowPredictor:
        """Return a function of one row, for services that have no table.

        Called with a dict or a tuple of values it returns the prediction, a float, in
        microseconds, and counts the unknown values of every field. It keeps the fit of now, and can
        be pickled.

        Returns
        -------
        RowPredictor
            See `sparsectr.export.row_predictor.RowPredictor`.
        """
        check_is_fitted(self)
        return RowPredictor(sibling(self, dict(vars(self))), self._fitted_target().predict_row)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags
