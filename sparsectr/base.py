"""The estimator contract of all methods, once."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import nn

from sparsectr.callbacks import CallbackSupportMixin, EpochReporter, begin_fit, with_callbacks
from sparsectr.checkpoints import open_checkpoint
from sparsectr.drafts import on_a_draft
from sparsectr.early_stopping import (
    Split,
    choose_split,
    make_schedule,
    measure_net,
    set_apart,
    stops_early,
    warn_of_fault,
)
from sparsectr.encoding.bags import gather_bags
from sparsectr.encoding.code_cache import CodeCache
from sparsectr.encoding.columns import TableLike
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.file_prediction import FilePredictionMixin
from sparsectr.kernels.fused import timed_compilation
from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.memory_estimates import MemoryEstimateMixin
from sparsectr.nn.growth import grow_net
from sparsectr.nn.mean import count_parameters, join_members, members_of
from sparsectr.persistence import find_device
from sparsectr.process_groups import in_turns, with_other_processes
from sparsectr.reports import InteractionReports
from sparsectr.rows.labelled import LabelledRows, label_rows
from sparsectr.same_fit import require_same_fit, require_same_split
from sparsectr.shared_parameters import SharedParameters
from sparsectr.targets.target import Target, TargetRows, Weights
from sparsectr.training.exchange import current_exchange
from sparsectr.training.intercept import shift_intercept
from sparsectr.training.loop import Schedule
from sparsectr.training.memory import within_memory
from sparsectr.training.progress import EpochRecord
from sparsectr.training.shrinkage import settle_effects
from sparsectr.training.task import TrainingTask


class BaseInteractionEstimator(
    InteractionReports,
    FilePredictionMixin,
    MemoryEstimateMixin,
    CallbackSupportMixin,
    CategoricalInputMixin,
    SharedParameters,
    metaclass=ABCMeta,
):
    """Fit, store and report a net that crosses categorical fields.

    A method is a subclass with a net class and two hooks: `_train_net` and `_list_crosses`. What is
    predicted is the business of another subclass, such as
    `sparsectr.classification.BaseInteractionClassifier`: it names the target in two hooks,
    `_settle_target` and `_fitted_target`, and predicts. Everything else that scikit-learn expects
    happens here. See `SharedParameters` for the parameters.
    """

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

    # What a kind of target adds -------------------------------------------------------

    @abstractmethod
    def _settle_target(
        self, y: ArrayLike, sample_weight: Weights, n_rows: int, *, going_on: bool, told: Any = None
    ) -> tuple[Target, TargetRows]:
        """Learn what is predicted, and read the targets of the training rows.

        Parameters
        ----------
        y : array-like of shape (n_rows,)
            Targets, as passed to `fit`.
        sample_weight : array-like of shape (n_rows,) or None
            Weights, as passed to `fit`.
        n_rows : int
            Number of rows of X.
        going_on : bool
            Whether the target must stay what it is.
        told : object, optional
            What `partial_fit` was told of the target, such as all classes.
        """

    # Training -------------------------------------------------------------------------

    @on_a_draft
    @with_callbacks
    @with_other_processes
    def fit(
        self,
        X: TableLike,
        y: ArrayLike | None = None,
        sample_weight: Weights = None,
        *,
        X_val: TableLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: Weights = None,
        validation_groups: ArrayLike | None = None,
    ) -> Self:
        """Learn the vocabularies and the net from rows with a target.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            One column per field, any types; see `FieldEncoder`. Rows that need not fit into memory:
            a `CodeTable`; or a path, a pattern, a list of paths, a pyarrow.dataset.Dataset or an
            Arrow stream, see `FieldEncoder.encode_dataset`.
        y : array-like of shape (n_rows,), or str
            What is to be predicted. Of a classifier: class labels of any type, at least two
            classes. The name of a column where X is a path, a dataset or a stream; None takes the
            targets of a `CodeTable`.
        sample_weight : array-like of shape (n_rows,) or str, optional
            Weight of every row in the loss and in the validation values; a name as ``y``. None
            takes the weights of a `CodeTable`, if it has some.
        X_val, y_val, sample_weight_val : optional, of shapes (n_val, n_fields) and (n_val,)
            Rows for early stopping, instead of a share of X.
        validation_groups : array-like of shape (n_rows,), optional
            Groups of the rows, such as users or sessions. Those of one group are either all trained
            on or all set apart for early stopping.

        Returns
        -------
        self
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data do not fit; the message says what must hold.
        """
        # Before parameters are checked: callbacks hear the end only of what has begun.
        context = begin_fit(self, self._most_epochs(), X, y)
        self._check_parameters()
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        validation = (X_val, y_val, sample_weight_val)
        reporter = EpochReporter(self, self._snapshot, context, X, y)
        self._learn(
            reporter, X, y, sample_weight, validation, groups=validation_groups, going_on=going_on
        )
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    @with_other_processes
    def _fit_chunk(
        self, X: TableLike, y: ArrayLike | None, weights: Weights, told: object = None
    ) -> None:
        """Train one epoch on more rows; ``told`` is for `_settle_target`."""
        self._check_parameters()
        reporter, going_on = EpochReporter(self, self._snapshot), self.__sklearn_is_fitted__()
        self._learn(reporter, X, y, weights, going_on=going_on, one_epoch=True, told=told)

    # The caller may have switched gradients off: torch.no_grad, torch.inference_mode.
    @torch.inference_mode(False)
    @torch.enable_grad()
    @with_one_torch_thread(False)
    def _learn(
        self,
        reporter: EpochReporter,
        X: TableLike,
        y: Any,
        sample_weight: Weights,
        validation: tuple[Any, Any, Any] = (None, None, None),
        *,
        going_on: bool,
        groups: ArrayLike | None = None,
        one_epoch: bool = False,
        told: object = None,
    ) -> None:
        """Check and encode the rows, then train."""
        if going_on:
            self._check_same_net()
        else:
            self._forget()
        grow = going_on and one_epoch and self._grows()
        compiling = timed_compilation(reporter.report_compilation)
        with (
            compiling if self.verbose else nullcontext(),
            CodeCache(self.cache_dir, reporter.report_rows) as cache,
        ):
            reporter.silent = current_exchange().rank > 0
            is_shared = self.cache_dir is not None
            with in_turns(is_shared):
                given = X, y, sample_weight
                X, y, weights = self._open_rows(given, cache, fit=not going_on, grow=grow)
            table = self._check_table(X, y, reset=not going_on)
            target, rows = self._settle_target(
                y, weights, table.shape[0], going_on=going_on, told=told
            )
            self.device_ = str(find_device(self.device))
            source = self._row_source(table, fit=not going_on, grow=grow)
            train = label_rows(source, *rows, target.loss)
            del rows  # weights as float64
            with in_turns(is_shared):
                validated = self._encode_validation(validation, cache, target)
            self._train(
                target,
                train,
                validated,
                reporter,
                split=choose_split(self, target, table, groups),
                going_on=going_on,
                one_epoch=one_epoch,
            )

    def _train(
        self,
        target: Target,
        rows: LabelledRows,
        validation: LabelledRows | None,
        reporter: EpochReporter,
        *,
        split: Split,
        going_on: bool,
        one_epoch: bool,
    ) -> None:
        """Train every member on the encoded rows, and keep the mean of their nets."""
        # None: a source of our own, not NumPy's global one.
        seed = self.random_state
        rng = np.random.RandomState() if seed is None else check_random_state(seed)
        require_same_fit(self, rows, validation)
        rng = current_exchange().from_first(rng)
        # A callback's copy of a fit that was running has no history.
        past: list[EpochRecord] = getattr(self, "history_", []) if going_on else []
        old: list[Any] = [None] * self.n_members
        if going_on:
            sizes = self.encoder_.vocabulary_sizes_.tolist()
            old = [grow_net(net, sizes) for net in members_of(self._build_net(copy=True))]
            for net in old:
                shift_intercept(net, -self._shift)
        nets, tasks, history = [], [], list(past)
        for number, net in enumerate(old):
            reporter.member = number if len(old) > 1 else None
            net, task, records = self._train_member(
                target, rows, validation, rng, reporter, split, net, len(past), one_epoch
            )
            nets.append(net)
            tasks.append(task)
            history += [reporter.name_member() | record for record in records]
            if number == 0:  # what a method tells about its net is told about the first one
                of_first = dict(vars(self))
        self.__dict__.update(of_first)
        net, task = join_members(nets), tasks[0]
        before = vars(self).get("epoch_seconds_", np.full(len(past), np.nan))
        self.epoch_seconds_ = np.concatenate([before, reporter.seconds])
        self._keep(net, history, task.schedule)
        warn_of_fault(self, target, net, task.train)
        # Of most fits, and between two chunks of a stream, nobody asks for crosses.
        self._measure(net, task.train, task.new_generator, in_stream=one_epoch)

    def _train_member(
        self,
        target: Target,
        rows: LabelledRows,
        validation: LabelledRows | None,
        rng: np.random.RandomState,
        reporter: EpochReporter,
        split: Split,
        net: nn.Module | None,
        n_past: int,
        one_epoch: bool,
    ) -> tuple[nn.Module, TrainingTask, list[EpochRecord]]:
        """Set validation rows apart and hand the others to the method."""
        stopping = not one_epoch and stops_early(self, len(rows), validation)
        if stopping and validation is None:
            rows, validation = set_apart(rows, split, rng)
            require_same_split(validation)
        evaluate = None if validation is None else lambda net: measure_net(target, net, validation)
        task = TrainingTask(
            train=rows,
            validation=validation,
            vocabulary_sizes=tuple(self.encoder_.vocabulary_sizes_.tolist()),
            n_outputs=target.n_outputs,
            schedule=make_schedule(
                self, target, rows.target_values(), validation, stopping, one_epoch
            ),
            evaluate=evaluate,
            reporter=reporter,
            # The past counts, so that going on does not repeat the order of the rows.
            seeds=np.random.SeedSequence([*rng.randint(2**31, size=4).tolist(), n_past]),
        )
        task, net = task.widened(net)
        checkpoint = None if one_epoch else open_checkpoint(self, task, net, reporter.member or 0)
        task = replace(task, checkpoint=checkpoint)
        self._require_memory(task, is_made=net is not None)
        with within_memory(), task.schedule.threads():
            net, history = self._train_net(task, net)
        task.keep_counts(net)
        if not one_epoch:  # the mean target of one chunk is not that of the stream
            settle_effects(net, task)
        if checkpoint is not None:
            checkpoint.close()
        task, net = task.narrowed(net)
        return net, task, history

    def _keep(self, net: nn.Module, history: list[EpochRecord], schedule: Schedule) -> None:
        """Make a trained net the fitted one."""
        self.history_: list[EpochRecord] = history
        self.n_iter_ = len(history)
        self.world_size_ = current_exchange().n_processes
        self.batch_size_ = schedule.batch_size
        self.early_stopping_ = schedule.patience is not None
        bags = gather_bags(self.encoder_._columns())
        n_sets = 0 if bags is None else len(bags.rows)
        self.n_parameters_: dict[str, int] = count_parameters(net, n_sets)
        for member in members_of(net):
            shift_intercept(member, self._logit_shift())
        self._shift = self._logit_shift()
        self._store_net(net)

    def _logit_shift(self) -> float:
        """Return what is added to the logits of a net that is trained."""
        return 0.0

    def _most_epochs(self) -> int | None:
        """Return the largest number of epochs of a member, all phases; None if not known."""
        return self.max_epochs if isinstance(self.max_epochs, int) else None
