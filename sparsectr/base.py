"""The estimator contract of all methods, once."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sparsectr.callbacks import CallbackSupportMixin, EpochReporter, with_callbacks
from sparsectr.drafts import on_a_draft, on_one_fit
from sparsectr.encoding.columns import as_table
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import check_encoder, encode_training_rows
from sparsectr.explanation import ExplanationMixin
from sparsectr.kernels.fused import timed_compilation
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.metrics import validation_values
from sparsectr.parameters import ParameterCheck, reported_as
from sparsectr.persistence import find_device, usable_device
from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.targets import (
    as_labels,
    balance,
    check_weights,
    class_factors,
    label_numbers,
    settle_classes,
    split_rows,
)
from sparsectr.training.intercept import fit_intercept
from sparsectr.training.loop import EpochRecord, Schedule
from sparsectr.training.memory import within_memory
from sparsectr.training.prediction import is_saturated, predict_logits, to_probabilities
from sparsectr.training.task import TrainingTask

# Fewer rows than this leave too few for validation: "auto" then trains all epochs.
EARLY_STOPPING_ROWS = 500


class BaseInteractionClassifier(
    ExplanationMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator, metaclass=ABCMeta
):
    """Fit, predict, store and report a net that crosses categorical fields.

    A method is a subclass with a net class and two hooks: `_train_net` and `_list_crosses`.
    Everything that scikit-learn expects happens here.

    Parameters
    ----------
    embedding_dim : int, default=16
        Length D of an embedding.
    embedding_l2 : float, default=1e-3
        Weight of ``|e|^2 / 2``, summed over all values, beside the mean log loss.
    learning_rate : float, default=1e-3
        Step size of the optimizers.
    weight_decay : float, default=1e-6
        L2 penalty per step of the optimizers.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": the power of two that gives about 400 steps per epoch, from 32 to
        4,096.
    max_epochs : int, default=30
        Maximum number of passes over the training rows.
    early_stopping : bool or "auto", default="auto"
        Whether training stops when the validation metric stops improving; the weights of the best
        epoch are restored. "auto": if there are at least 500 rows, or validation rows are passed to
        `fit`.
    monitor : {"log_loss", "roc_auc"}, default="log_loss"
        The validation metric that early stopping watches.
    validation_fraction : float, default=0.1
        Share of the rows set apart for early stopping, if no ``X_val`` is passed to `fit`.
    n_iter_no_change : int, default=4
        Number of epochs in a row without improvement before training stops. From the second of them
        on, each lowers the learning rate to a tenth, and the next epoch starts from the weights of
        the best one.
    n_interactions : int, default=50
        Maximum number of crosses in ``selected_interactions_``.
    class_weight : dict, "balanced" or None, default=None
        Factor of every class in the loss; "balanced": the inverse of the summed weight of its rows.
    encoder : FieldEncoder, FrozenEstimator or "auto", default="auto"
        Turns columns into codes; "auto" is ``FieldEncoder()``. A given encoder is cloned and fitted
        anew, a fitted one too; ``FrozenEstimator(fitted)`` keeps its vocabularies.
    warm_start : bool, default=False
        Whether `fit` goes on from the fitted net, with the same vocabularies. Parameters that shape
        the net must not have changed.
    device : str, default="auto"
        Where to train: "cpu", "cuda", ...; "auto" takes a GPU if there is one.
    random_state : int, RandomState or None, default=None
        Source of all random numbers: validation split, initial weights, order of the rows.
    verbose : int, default=0
        Whether to print one line per epoch (1) or nothing (0).

    """

    _net_parameters: ClassVar[tuple[str, ...]] = ("embedding_dim",)
    # Those of embedding_dim and embedding_l2 that may be "auto".
    _automatic: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        embedding_dim: int | str = 16,
        embedding_l2: float | str = 1e-3,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-6,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool | str = "auto",
        monitor: str = "log_loss",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 4,
        n_interactions: int = 50,
        class_weight: dict[Any, float] | str | None = None,
        encoder: FieldEncoder | str = "auto",
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.embedding_dim: Any = embedding_dim
        self.embedding_l2: Any = embedding_l2
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.monitor = monitor
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_interactions = n_interactions
        self.class_weight = class_weight
        self.encoder = encoder
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # What a method adds ---------------------------------------------------------------

    @abstractmethod
    def _train_net(self, task: TrainingTask, net: Any) -> tuple[nn.Module, list[EpochRecord]]:
        """Train the net of this method.

        Parameters
        ----------
        task : TrainingTask
            Encoded rows, schedule, seeds and the loop.
        net : nn.Module or None
            A copy of the fitted net to go on from (warm start, partial fit), or None.

        Returns
        -------
        net : nn.Module
            Of class `_net_class`, with an attribute ``arguments`` that rebuilds it.
        history : list of dict
            One record per epoch, over all phases.
        """

    def _check_parameters(self) -> None:
        """Check the constructor parameters; subclasses add theirs."""
        check, automatic = ParameterCheck(self), self._automatic
        check.integer("embedding_dim", 1, or_auto="embedding_dim" in automatic)
        check.real("embedding_l2", 0, or_auto="embedding_l2" in automatic)
        check.real("learning_rate", 0, open_low=True)
        check.real("weight_decay", 0)
        check.integer("batch_size", 1, or_auto=True)
        check.integer("max_epochs", 1)
        check.choice("early_stopping", ["auto", True, False])
        check.choice("monitor", ["log_loss", "roc_auc"])
        check.real("validation_fraction", 0, 1, open_low=True, open_high=True)
        check.integer("n_iter_no_change", 1)
        check.integer("n_interactions", 0)
        check.choice("warm_start", [True, False])
        if not isinstance(self.verbose, bool):
            check.integer("verbose", 0)
        check.seed("random_state")
        check_encoder(self.encoder)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of the encoder as ``encoder__min_frequency``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self
            This estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        nested = [name for name in params if name.startswith("encoder__")]
        encoder = params.get("encoder", self.encoder)
        if nested and isinstance(encoder, str):
            raise ValueError(
                f"{nested[0]} needs an encoder to set it on, got encoder={encoder!r}; pass "
                "encoder=FieldEncoder(...)."
            )
        super().set_params(**params)
        return self

    # Training -------------------------------------------------------------------------

    @on_a_draft
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn the vocabularies and the net from labelled rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, any types; see `FieldEncoder`.
        y : array-like of shape (n_rows,)
            Class labels of any type, at least two classes.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in the loss and in the validation values.
        X_val, y_val, sample_weight_val : optional
            Rows for early stopping, instead of a random share of X.

        Returns
        -------
        self
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data do not fit; the message says what must hold.
        """
        context = None
        if hasattr(self, "_init_callback_context"):  # scikit-learn 1.9
            context = self._init_callback_context(max_subtasks=self._most_epochs())
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._check_parameters()
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        validation = (X_val, y_val, sample_weight_val)
        reporter = EpochReporter(self, self._snapshot, context, X, y)
        self._learn(X, y, sample_weight, validation, reporter=reporter, going_on=going_on)
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    @on_a_draft
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on more rows.

        The vocabularies are those of the first call; a value that is new later counts as
        unknown. The optimizer starts afresh in every call. The crosses are measured when they are
        first asked for, or when the estimator is copied or pickled. The rows for that are a random
        sample, of up to 100,000 rows, of all calls since the last `fit`; copies and pickles hold
        what is measured and no rows, so that calls on them begin a new sample.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field.
        y : array-like of shape (n_rows,)
            Class labels.
        classes : array-like of shape (n_classes,), optional
            All classes that will ever come. Needed in the first call.
        sample_weight : array-like of shape (n_rows,), optional
            Weight of every row in the loss.

        Returns
        -------
        self
            This estimator, fitted.
        """
        self._check_parameters()
        going_on = self.__sklearn_is_fitted__()
        if classes is None and not going_on:
            raise ValueError(
                "classes must be passed on the first call to partial_fit, got None; pass all that "
                "will ever come."
            )
        reporter = EpochReporter(self, self._snapshot)
        self._learn(
            X,
            y,
            sample_weight,
            reporter=reporter,
            going_on=going_on,
            classes=classes,
            one_epoch=True,
        )
        return self

    # Whoever calls may have switched gradients off: torch.no_grad, torch.inference_mode.
    @torch.inference_mode(False)
    @torch.enable_grad()
    @with_one_torch_thread(False)
    def _learn(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
        *,
        reporter: EpochReporter,
        going_on: bool,
        classes: Any = None,
        one_epoch: bool = False,
    ) -> None:
        """Check and encode the rows, then train."""
        if going_on:
            self._check_same_net()
        else:
            self._forget()
        table = self._check_table(X, y, reset=not going_on)
        labels = as_labels(y, n_rows=table.shape[0])
        weights = check_weights(sample_weight, len(labels))
        self.classes_ = settle_classes(labels, classes, self.classes_ if going_on else None)
        numbers = label_numbers(labels, self.classes_)
        factors = class_factors(self.class_weight, self.classes_, numbers, weights)
        self.device_ = str(find_device(self.device))
        with timed_compilation(reporter.report_compilation) if self.verbose else nullcontext():
            self._train(
                self._label(
                    self._encode(table, fit=not going_on, warn=False), numbers, weights, factors
                ),
                self._encode_validation(*validation, factors),
                reporter,
                going_on,
                one_epoch,
            )

    def _train(
        self,
        train: LabelledRows,
        validation: LabelledRows | None,
        reporter: EpochReporter,
        going_on: bool,
        one_epoch: bool,
    ) -> None:
        """Hand the encoded rows to the method and keep what comes back."""
        # None: a source of our own, not NumPy's global one.
        seed = self.random_state
        rng = np.random.RandomState() if seed is None else check_random_state(seed)
        stopping = not one_epoch and self._stops_early(len(train), validation is not None)
        if stopping and validation is None:
            parts = split_rows(train.class_numbers(), self.validation_fraction, rng)
            train, validation = (
                train.select(torch.from_numpy(rows).to(train.device)) for rows in parts
            )
        # A callback's copy of a fit that was running has no history.
        past: list[EpochRecord] = getattr(self, "history_", []) if going_on else []
        schedule = self._make_schedule(len(train), stopping, validation, one_epoch)
        task = TrainingTask(
            train=train,
            validation=validation,
            vocabulary_sizes=tuple(self.encoder_.vocabulary_sizes_.tolist()),
            n_outputs=1 if len(self.classes_) == 2 else len(self.classes_),
            schedule=schedule,
            evaluate=None if validation is None else lambda net: self._evaluate(net, validation),
            reporter=reporter,
            # The past counts, so that going on does not repeat the order of the rows.
            seeds=np.random.SeedSequence([*rng.randint(2**31, size=4).tolist(), len(past)]),
        )
        made = None if going_on else self.embedding_dim
        with within_memory(task.vocabulary_sizes, made, task.device), schedule.threads():
            net, history = self._train_net(task, self._build_net(copy=True) if going_on else None)
        task.keep_counts(net)
        if not one_epoch:  # the share of a class in one chunk is not that of the stream
            fit_intercept(net, train, task.new_generator())
        self.history_: list[EpochRecord] = past + history
        before = vars(self).get("epoch_seconds_", np.full(len(past), np.nan))
        self.epoch_seconds_ = np.concatenate([before, reporter.seconds])
        self.n_iter_ = len(self.history_)
        self.batch_size_ = schedule.batch_size
        self.early_stopping_ = stopping
        self.n_parameters_ = {
            part: sum(parameter.numel() for parameter in child.parameters())
            for part, child in net.named_children()
        }
        self._store_net(net)
        if is_saturated(net, train):
            warnings.warn(
                "all probabilities of training rows are 0 or 1: training has left all bounds. "
                f"Lower learning_rate (now {self.learning_rate:g}) or raise embedding_l2.",
                ConvergenceWarning,
                stacklevel=2,
            )
        if one_epoch:
            # Chunks come one after another, and nobody looks between them.
            seed = task.new_generator().initial_seed()
            self._measure_later(net, train, task.new_generator(), seed)
        else:
            self._measure_now(net, train, task.new_generator())

    def _check_same_net(self) -> None:
        """Check that the parameters still ask for the net that is fitted."""
        for name, now in self._values_of_net_parameters().items():
            then = self._net_made_with[name]
            if now != then:
                raise ValueError(
                    f"{name} must stay {then!r} while training goes on with the fitted net, "
                    f"got {now!r}. For a new net, set warm_start=False and call fit, or clone "
                    "the estimator."
                )

    def _snapshot(self, net: nn.Module) -> dict[str, Any]:
        """Return the fitted attributes with which a copy of this estimator can predict."""
        names = ("encoder_", "classes_", "device_", "n_features_in_", "feature_names_in_")
        known = {name: value for name, value in vars(self).items() if name in names}
        # A copy: a callback may keep it, and training goes on.
        return known | deepcopy(self._net_snapshot(net))

    def _evaluate(self, net: nn.Module, rows: LabelledRows) -> dict[str, float]:
        """Measure a net on the validation rows."""
        logits = [predict_logits(net, piece.codes) for piece in rows.pieces(PIECE_ROWS)]
        return validation_values(
            rows.class_numbers(),
            to_probabilities(np.concatenate(logits)),
            rows.weights.cpu().numpy(),
        )

    # What "auto" means ----------------------------------------------------------------

    def _stops_early(self, n_rows: int, validation_given: bool) -> bool:
        if self.early_stopping == "auto":
            return validation_given or n_rows >= EARLY_STOPPING_ROWS
        return bool(self.early_stopping)

    def _make_schedule(
        self, n_rows: int, stopping: bool, validation: LabelledRows | None, one_epoch: bool
    ) -> Schedule:
        batch_size = self.batch_size
        if batch_size == "auto":
            # About 400 steps per epoch, where crosses were found soonest per second of training.
            batch_size = 2 ** int(np.clip(np.round(np.log2(n_rows / 400)), 5, 12))
        monitor = self.monitor
        if validation is not None and len(validation.targets.unique()) < len(self.classes_):
            monitor = "log_loss"  # the area under the curve needs every class
        return Schedule(
            batch_size=int(batch_size),
            max_epochs=1 if one_epoch else self.max_epochs,
            patience=self.n_iter_no_change if stopping else None,
            monitor=monitor,
        )

    def _most_epochs(self) -> int | None:
        """Return the largest number of epochs over all phases, None if it is not known."""
        return self.max_epochs if isinstance(self.max_epochs, int) else None

    # From what users pass to tensors --------------------------------------------------

    def _check_table(self, X: Any, y: Any = "no_validation", *, reset: bool) -> Any:
        """Check names and number of columns; return the table."""
        table = as_table(X)
        validate_data(self, table, y, reset=reset, skip_check_array=True)
        return table

    def _encode(self, X: Any, *, fit: bool = False, warn: bool = True) -> Tensor:
        """Turn checked columns into codes (n, F) on the device."""
        if fit:
            self.encoder_, codes = encode_training_rows(self.encoder, X)
        else:
            codes = self.encoder_._encode(X, warn=warn)
        return torch.from_numpy(codes).to(usable_device(self.device_))

    def _encode_validation(
        self, X: Any, y: Any, sample_weight: Any, factors: npt.NDArray[np.float64]
    ) -> LabelledRows | None:
        """Encode the validation rows that the user has passed."""
        if X is None and y is None and sample_weight is None:
            return None
        given = {"X_val": X, "y_val": y, "sample_weight_val": sample_weight}
        if X is None or y is None:
            came = [name for name, value in given.items() if value is not None]
            raise ValueError(f"X_val and y_val must be passed together, got only {came}.")
        with reported_as("X_val"):
            table = self._check_table(X, reset=False)
            codes = self._encode(table, warn=False)
        labels = as_labels(y, name="y_val", n_rows=table.shape[0])
        weights = check_weights(sample_weight, len(labels), name="sample_weight_val")
        numbers = label_numbers(labels, self.classes_, "y_val")
        return self._label(codes, numbers, weights, factors, "sample_weight_val")

    def _label(
        self,
        codes: Tensor,
        numbers: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float64],
        factors: npt.NDArray[np.float64],
        weights_name: str = "sample_weight",
    ) -> LabelledRows:
        """Put codes, class numbers and weights together, without rows of weight zero."""
        weights = balance(weights, factors[numbers], weights_name)
        dtype = torch.float32 if len(self.classes_) == 2 else torch.int64
        rows = LabelledRows(
            MemoryRows(codes),
            torch.from_numpy(numbers).to(codes.device, dtype),
            torch.from_numpy(weights).to(codes.device, torch.float32),
        )
        return rows if weights.all() else rows.select(rows.weights.nonzero()[:, 0])

    # Prediction -----------------------------------------------------------------------

    @on_one_fit
    @with_one_torch_thread()
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
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
        check_is_fitted(self)
        table = self._check_table(X, reset=False)
        return to_probabilities(predict_logits(self._fitted_net(), self._encode(table)))

    @on_one_fit
    def predict(self, X: Any) -> npt.NDArray[Any]:
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags
