"""What all classifiers share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sparsectr.base import BaseInteractionEstimator
from sparsectr.drafts import on_a_draft, on_one_fit, sibling
from sparsectr.encoding.columns import TableLike
from sparsectr.export.row_predictor import RowPredictor
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.parameters import ParameterCheck
from sparsectr.targets.classes import ClassTarget
from sparsectr.targets.labels import as_labels, label_numbers, settle_classes
from sparsectr.targets.target import Array, TargetRows, Weights
from sparsectr.targets.weights import check_weights, class_factors
from sparsectr.training.prediction import row_probabilities, to_probabilities


class BaseInteractionClassifier(ClassifierMixin, BaseInteractionEstimator):
    """Predict classes.

    A classifier derives from this class, and from the one that trains its net where that is
    another: ``class DynIntClassifier(BaseInteractionClassifier, BaseDynInt)``. Its constructor
    takes these parameters beside those of `SharedParameters`.

    Parameters
    ----------
    monitor : {"log_loss", "roc_auc"}, default="log_loss"
        The validation metric that early stopping watches.
    class_weight : dict, "balanced" or None, default=None
        Factor of every class in the loss; "balanced": the inverse of the summed weight of its rows.
    negative_sampling_rate : float, default=1.0
        Share of the negative rows, those of ``classes_[0]``, that was kept when the training rows
        were sampled. Predictions are of the full stream: the logarithm of the rate is added to the
        log-odds after the last epoch. Two classes only.
    """

    _target_state: ClassVar[tuple[str, ...]] = ("classes_",)
    _iterator_name = "iter_predict_proba"
    classes_: Array
    class_weight: dict[Any, float] | str | None
    negative_sampling_rate: float

    def _check_parameters(self) -> None:
        super()._check_parameters()
        ParameterCheck(self).choice("monitor", ["log_loss", "roc_auc"])
        ParameterCheck(self).real("negative_sampling_rate", 0, 1, open_low=True)

    @on_a_draft
    def partial_fit(
        self,
        X: TableLike,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: Weights = None,
    ) -> Self:
        """Train one epoch on more rows.

        The vocabularies are those of the first call; a value that is new later counts as
        unknown, unless ``encoder=FieldEncoder(new_values="grow")`` gives it a code. The optimizer
        starts afresh in every call. The crosses are measured when they are
        first asked for, or when the estimator is copied or pickled. The rows for that are a random
        sample, of up to 100,000 rows, of all calls since the last `fit`; copies and pickles hold
        what is measured and no rows, so that calls on them begin a new sample.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, or other rows that `fit` takes.
        y : array-like of shape (n_rows,), or str
            Class labels, or what `fit` takes for other rows.
        classes : array-like of shape (n_classes,), optional
            All classes that will ever come. Needed in the first call.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in the loss.

        Returns
        -------
        self
            This estimator, fitted.
        """
        if classes is None and not self.__sklearn_is_fitted__():
            raise ValueError(
                "classes must be passed on the first call to partial_fit, got None; pass all that "
                "will ever come."
            )
        self._fit_chunk(X, y, sample_weight, told=classes)
        return self

    def _settle_target(
        self, y: ArrayLike, sample_weight: Weights, n_rows: int, *, going_on: bool, told: Any = None
    ) -> tuple[ClassTarget, TargetRows]:
        labels = as_labels(y, n_rows=n_rows)
        weights = check_weights(sample_weight, n_rows)
        self.classes_ = settle_classes(labels, told, self.classes_ if going_on else None)
        if self.negative_sampling_rate != 1 and len(self.classes_) > 2:
            raise ValueError(
                f"negative_sampling_rate must be 1 for {len(self.classes_)} classes, got "
                f"{self.negative_sampling_rate:g}: it is the rate of the negative one of two; pass "
                "the inverse of a class's rate as class_weight instead."
            )
        numbers = label_numbers(labels, self.classes_)
        factors = class_factors(self.class_weight, self.classes_, numbers, weights)
        target = ClassTarget(self.classes_, factors)
        return target, target.label(numbers, weights)

    def _logit_shift(self) -> float:
        # Of p / (1 - p), the denominator was sampled.
        return math.log(self.negative_sampling_rate)

    def _fitted_target(self) -> ClassTarget:
        return ClassTarget(self.classes_)

    @on_one_fit
    @with_one_torch_thread()
    def predict_proba(self, X: TableLike) -> NDArray[np.float64]:
        """Predict the probability of every class.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order. Unseen values count as unknown.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
            Columns follow ``classes_``; every row sums to 1.
        """
        return to_probabilities(self._predict_logits(X))

    @on_one_fit
    def iter_predict_proba(self, source: object) -> Iterator[NDArray[np.float64]]:
        """Predict the probabilities of rows that need not fit into memory.

        Parameters
        ----------
        source : str, path, list of them, pyarrow.dataset.Dataset, Arrow stream or CodeTable
            The rows, with the columns of `fit` and perhaps others; see
            `FieldEncoder.encode_dataset`.

        Returns
        -------
        iterator of ndarray of shape (n_some_rows, n_classes), float64
            What `predict_proba` returns for some rows after the other.
        """
        return self._iterate(source, self.predict_proba)

    def _predicted_columns(self, table: Any) -> dict[str, NDArray[Any]]:
        names = [f"proba_{label}" for label in self.classes_.tolist()]
        return dict(zip(names, self.predict_proba(table).T, strict=True))

    @on_one_fit
    def predict(self, X: TableLike) -> NDArray[Any]:
        """Predict the most probable class of every row.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            The columns of `fit`, in the same order.

        Returns
        -------
        ndarray of shape (n_rows,)
            Values of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    @on_one_fit
    def compile_predictor(self) -> RowPredictor:
        """Return a function of one row, for services that have no table.

        Called with a dict or a tuple of values it returns the probabilities of the classes, shape
        (n_classes,), in microseconds, and counts the unknown values of every field. It keeps the
        fit of now, and can be pickled.

        Returns
        -------
        RowPredictor
            See `sparsectr.export.row_predictor.RowPredictor`.
        """
        check_is_fitted(self)
        return RowPredictor(sibling(self, dict(vars(self))), row_probabilities)
