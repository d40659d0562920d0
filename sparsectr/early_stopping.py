"""How long a fit trains, which rows stop it, and how good a net is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.parameters import field_position
from sparsectr.encoding.ranks import rank_times
from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows
from sparsectr.shared_parameters import SharedParameters
from sparsectr.targets.holdout import split_groups, split_last
from sparsectr.targets.labels import as_labels
from sparsectr.targets.target import Array, Target
from sparsectr.training.exchange import current_exchange
from sparsectr.training.loop import FEWEST_STEPS, Schedule
from sparsectr.training.pooling import widen
from sparsectr.training.prediction import first_logits, predict_logits

# Rows and a source of random numbers to row numbers: those to train on, and the others.
Split = Callable[[LabelledRows, np.random.RandomState], tuple[Array, Array]]
# With so many steps per epoch crosses were found soonest per second of training.
STEPS_PER_EPOCH = 400
SMALLEST_BATCH, LARGEST_BATCH = 32, 4096
# What batches grow to within a fit. Larger ones take hardly less time per row, and learn less.
LARGEST_GROWN = 512
# Fewer rows than this leave too few for validation: "auto" then trains all epochs.
EARLY_STOPPING_ROWS = 500


def stops_early(parameters: SharedParameters, n_rows: int, validation: LabelledRows | None) -> bool:
    """Tell whether a fit of so many rows stops early, with the validation rows that are given."""
    if parameters.early_stopping == "auto":
        return validation is not None or n_rows >= EARLY_STOPPING_ROWS
    return bool(parameters.early_stopping)


def make_schedule(
    parameters: SharedParameters,
    target: Target,
    values: Array,
    validation: LabelledRows | None,
    stopping: bool,
    one_epoch: bool,
) -> Schedule:
    """Return the schedule of a fit, with what "auto" stands for.

    Parameters
    ----------
    parameters : SharedParameters
        An estimator.
    target : Target
        Says which metric can be watched, and how rare a class is.
    values : ndarray of shape (n_rows,)
        Targets of the training rows.
    validation : LabelledRows or None
        Validation rows.
    stopping : bool
        Whether the validation rows stop training.
    one_epoch : bool
        Whether one epoch is all, as in `partial_fit`.
    """
    batch_size, largest = parameters.batch_size, None
    if isinstance(batch_size, str):
        batch_size = _choose_batch_size(len(values), target.rarer_share(values))
        largest = LARGEST_GROWN
    monitor = parameters.monitor
    if validation is not None:
        monitor = target.choose_monitor(monitor, validation.target_values())
    return Schedule(
        batch_size=int(batch_size),
        max_epochs=1 if one_epoch else parameters.max_epochs,
        patience=parameters.n_iter_no_change if stopping else None,
        monitor=monitor,
        largest_batch=largest,
    )


def _choose_batch_size(n_rows: int, rarer_share: float) -> int:
    """Return the rows of a step: a power of two.

    Most steps without a row of a class would move nothing but the intercept.
    """
    n_wanted = max(n_rows / STEPS_PER_EPOCH, min(1 / rarer_share, n_rows / FEWEST_STEPS))
    return int(np.clip(2.0 ** np.round(np.log2(n_wanted)), SMALLEST_BATCH, LARGEST_BATCH))


def choose_split(
    parameters: SharedParameters, target: Target, table: Any, groups: ArrayLike | None
) -> Split:
    """Return what splits rows of a table into training and validation.

    Parameters
    ----------
    parameters : SharedParameters
        An estimator that knows the names of its columns.
    target : Target
        Splits at random, where neither groups nor time are asked for.
    table : DataFrame or ndarray of shape (n_rows, n_fields)
        The rows of `fit`.
    groups : array-like of shape (n_rows,) or None
        Groups whose rows stay together.

    Raises
    ------
    ValueError
        If groups are given where the last rows are to be set apart, or there is no such column of
        times.
    """
    fraction = parameters.validation_fraction
    if groups is not None:
        if parameters.validation == "last":
            raise ValueError(
                "validation_groups must be None where validation='last' sets the last rows "
                "apart; pass X_val and y_val for groups of the last rows."
            )
        labels = as_labels(groups, name="validation_groups", n_rows=table.shape[0])
        numbers = np.unique(labels, return_inverse=True)[1]
        return lambda rows, rng: split_groups(_entries(numbers, rows), fraction, rng)
    if parameters.validation == "last":
        column = parameters.time_column
        if column is not None:
            if isinstance(table, CodeTable):
                raise ValueError(
                    "time_column must be None where X is a file or a code table, which hold codes "
                    f"and no times, got {column!r}; pass X_val, or rows in the order of time."
                )
            names = [f"x{j}" for j in range(parameters.n_features_in_)]
            names = list(getattr(parameters, "feature_names_in_", names))
            column = field_position(column, names, "time_column")
        ranks = rank_times(table, column)
        return lambda rows, rng: split_last(_entries(ranks, rows), fraction)
    return lambda rows, rng: target.split(rows.target_values(), fraction, rng)


def set_apart(
    rows: LabelledRows, split: Split, rng: np.random.RandomState
) -> tuple[LabelledRows, LabelledRows]:
    """Return the rows to train on, and those that stop training."""
    train, validation = (
        rows.select(torch.from_numpy(some).to(rows.device)) for some in split(rows, rng)
    )
    return train, validation


def measure_net(target: Target, net: nn.Module, rows: LabelledRows) -> dict[str, float]:
    """Measure a net on validation rows; see `Target.measure`.

    Of several processes that train together, each predicts its part of the rows.
    """
    exchange, own, net = current_exchange(), rows, widen(net, rows.bags)
    if exchange.n_processes > 1:
        numbers = torch.arange(len(rows), dtype=torch.int64, device=rows.device)
        own = rows.select(numbers.tensor_split(exchange.n_processes)[exchange.rank])
    parts = exchange.gather([predict_logits(net, piece.codes) for piece in own.pieces(PIECE_ROWS)])
    logits = np.concatenate([logits for part in parts for logits in part])
    return target.measure(rows.target_values(), logits, rows.weights.cpu().numpy())


def _entries(of_all: NDArray[np.int64], rows: LabelledRows) -> NDArray[np.int64]:
    """Return the entries of rows, of an array with one for every row of their source."""
    return of_all if rows.numbers is None else of_all[rows.numbers.cpu().numpy()]


def warn_of_fault(
    parameters: SharedParameters, target: Target, net: nn.Module, rows: LabelledRows
) -> None:
    """Warn if the predictions of training rows show that a fit has left all bounds."""
    if fault := target.find_fault(first_logits(net, rows)):
        warnings.warn(
            f"{fault}: training has left all bounds. Lower learning_rate (now "
            f"{parameters.learning_rate:g}) or raise embedding_l2.",
            ConvergenceWarning,
            stacklevel=3,
        )
