"""Measures of predictions on validation rows. No torch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import xlogy
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_consistent_length, column_or_1d

__all__ = ["calibration_error", "grouped_roc_auc_score", "normalized_entropy"]

Rows = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def grouped_roc_auc_score(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    *,
    groups: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Measure the order of the rows within each group, such as the impressions of a user.

    The area under the ROC curve of every group, averaged by the summed weights of the groups.
    Groups with rows of one class only have no area and are left out.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, at most two distinct ones.
    y_score : array-like of shape (n_rows,)
        Probability, or any score, of the positive class.
    groups : array-like of shape (n_rows,)
        Group of every row, values of any type; missing values are one group.
    sample_weight : array-like of shape (n_rows,), default=None
        Weight of every row; None counts each once.
    pos_label : int, float, bool or str, default=None
        The positive class. None: the greater of the two labels.

    Returns
    -------
    float
        In [0, 1]; NaN, with an `UndefinedMetricWarning`, if no group has both classes.

    Raises
    ------
    ValueError
        If there are more than two labels, or weights or scores are not finite.

    Notes
    -----
    "GAUC" of Zhu et al., "Optimized cost per click in Taobao display advertising", 2017, and of
    Zhou et al., "Deep interest network for click-through rate prediction", 2018, eq. 7, which weigh
    a group by its impressions.

    Examples
    --------
    >>> from sparsectr.metrics import grouped_roc_auc_score
    >>> y, scores = [0, 1, 0, 1], [0.1, 0.2, 0.8, 0.9]
    >>> grouped_roc_auc_score(y, scores, groups=["ann", "ann", "bob", "bob"])
    1.0
    """
    positive, scores, weights = _check_rows(y_true, y_score, sample_weight, pos_label)
    numbers = pd.factorize(column_or_1d(groups), use_na_sentinel=False)[0]
    check_consistent_length(scores, numbers)
    areas, sums = _areas(numbers, positive, scores, weights)
    if not sums.any():
        return _undefined("grouped_roc_auc_score", "no group has rows of both classes")
    return float(np.average(areas, weights=sums))


def normalized_entropy(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    pos_label: object = None,
) -> float:
    """Compare the log loss with that of the base rate.

    The mean log loss divided by the entropy of the share of positive rows: 0 is perfect, and 1 is
    as good as predicting the base rate for every row. Tables of different base rates can be
    compared by it.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, at most two distinct ones.
    y_prob : array-like of shape (n_rows,)
        Probability of the positive class.
    sample_weight : array-like of shape (n_rows,), default=None
        Weight of every row; None counts each once.
    pos_label : int, float, bool or str, default=None
        The positive class. None: the greater of the two labels.

    Returns
    -------
    float
        At least 0; NaN, with an `UndefinedMetricWarning`, if the rows have one class only.

    Raises
    ------
    ValueError
        If there are more than two labels, or probabilities outside [0, 1].

    Notes
    -----
    He et al., "Practical lessons from predicting clicks on ads at Facebook", 2014, eq. 1.

    Examples
    --------
    >>> from sparsectr.metrics import normalized_entropy
    >>> normalized_entropy([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25])
    1.0
    """
    positive, probabilities, weights = _check_rows(
        y_true, y_prob, sample_weight, pos_label, are_probabilities=True
    )
    rate = np.average(positive, weights=weights)
    if rate in (0, 1):
        return _undefined("normalized_entropy", "the rows have one class only")
    of_true = np.where(positive, probabilities, 1 - probabilities)
    loss = -np.average(np.log(np.maximum(of_true, np.finfo(np.float64).eps)), weights=weights)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return float(loss / entropy)


def calibration_error(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    n_bins: int = 10,
    strategy: str = "quantile",
    pos_label: object = None,
) -> float:
    """Measure how far predicted probabilities are from observed shares.

    Rows are put into bins by their probability. The error is the mean, by the weights of the bins,
    of ``|mean probability - share of positive rows|``. A row of weight 2 counts as two rows.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Labels, at most two distinct ones.
    y_prob : array-like of shape (n_rows,)
        Probability of the positive class.
    sample_weight : array-like of shape (n_rows,), default=None
        Weight of every row; None counts each once.
    n_bins : int, default=10
        Number of bins.
    strategy : str, default="quantile"
        "quantile": bins of about equal weight, equal probabilities in one bin; "uniform": bins of
        equal width. Where clicks are rare, nearly all rows are in the first bins of equal width.
    pos_label : int, float, bool or str, default=None
        The positive class. None: the greater of the two labels.

    Returns
    -------
    float
        In [0, 1]; 0 is perfect.

    Raises
    ------
    ValueError
        If there are more than two labels, probabilities outside [0, 1], or no such strategy.

    Notes
    -----
    "ECE" of Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015,
    with weights, and of the positive class as in `sklearn.calibration.calibration_curve`.

    Examples
    --------
    >>> from sparsectr.metrics import calibration_error
    >>> round(calibration_error([0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5]), 3)
    0.25
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise ValueError(f"n_bins must be an int >= 1, got {n_bins!r}.")
    positive, probabilities, weights = _check_rows(
        y_true, y_prob, sample_weight, pos_label, are_probabilities=True
    )
    if strategy == "uniform":
        places = probabilities
    elif strategy == "quantile":
        # Where the middle row of equal probabilities stands: in (0, 1).
        _, inverse = np.unique(probabilities, return_inverse=True)
        sums = np.bincount(inverse, weights=weights)
        places = ((np.cumsum(sums) - sums / 2) / sums.sum())[inverse]
    else:
        raise ValueError(f"strategy must be 'quantile' or 'uniform', got {strategy!r}.")
    bins = np.minimum((places * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(bins, weights=weights * (probabilities - positive), minlength=n_bins)
    return float(np.abs(gaps).sum() / weights.sum())


def _check_rows(
    y_true: npt.ArrayLike,
    y_score: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    pos_label: object,
    *,
    are_probabilities: bool = False,
) -> Rows:
    """Return which rows are positive, their scores and their weights, each of shape (n_rows,)."""
    labels = column_or_1d(y_true)
    scores = column_or_1d(y_score, dtype=np.float64)
    weights = np.ones(len(labels)) if sample_weight is None else sample_weight
    weights = column_or_1d(weights, dtype=np.float64)
    check_consistent_length(labels, scores, weights)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be finite, not negative, and not zero for every row.")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite, got NaN or infinity; leave such rows out.")
    if are_probabilities and len(scores) and (scores.min() < 0 or scores.max() > 1):
        raise ValueError(
            f"y_prob must hold probabilities in [0, 1], got {scores.min():g} to {scores.max():g}; "
            "pass the column of the positive class of predict_proba."
        )
    return labels == _positive_label(labels, pos_label), scores, weights


def _positive_label(labels: npt.NDArray[np.generic], pos_label: object) -> Any:
    found = np.unique(labels)
    if len(found) > 2:
        raise ValueError(
            f"y_true must hold at most two labels, got {len(found)}; measure one class against "
            "the others."
        )
    if pos_label is not None:
        return pos_label
    if len(found) == 2:
        return found[1]
    # One label alone is known to be positive or not only where it is a number.
    if len(found) and found[0] not in (0, 1, -1):
        raise ValueError(f"y_true holds {found[0]!r} only; name the positive class in pos_label.")
    return 1


def _areas(
    numbers: npt.NDArray[np.int64],
    positive: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the area under the curve of every group with both classes, and its weight."""
    order = np.lexsort((scores, numbers))
    group, ascending = numbers[order], scores[order]
    of_positive = np.where(positive, weights, 0.0)[order]
    of_negative = np.where(positive, 0.0, weights)[order]
    is_last = np.append((ascending[1:] != ascending[:-1]) | (group[1:] != group[:-1]), True)
    # From here on one entry per distinct score of a group, then one per group.
    ties = np.cumsum(is_last) - is_last
    group = group[is_last]
    positives = np.bincount(ties, weights=of_positive)
    negatives = np.bincount(ties, weights=of_negative)
    totals = np.bincount(group, weights=negatives)
    before = np.cumsum(negatives) - negatives - (np.cumsum(totals) - totals)[group]
    wins = np.bincount(group, weights=positives * (before + negatives / 2))
    all_positives = np.bincount(group, weights=positives)
    both = (all_positives > 0) & (totals > 0)
    areas = wins[both] / (all_positives[both] * totals[both])
    sums: npt.NDArray[np.float64] = np.add(all_positives, totals, dtype=np.float64)
    return areas, sums[both]


def _undefined(name: str, reason: str) -> float:
    warnings.warn(f"{name} is not defined: {reason}.", UndefinedMetricWarning, stacklevel=3)
    return float("nan")


def validation_values(
    numbers: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    weights: npt.NDArray[np.floating],
) -> dict[str, float]:
    """Measure predicted probabilities against the true classes.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows,)
        Class number of every row.
    probabilities : ndarray of shape (n_rows, n_classes)
        Predicted probabilities.
    weights : ndarray of shape (n_rows,)
        Weight of every row.

    Returns
    -------
    dict of str to float
        ``validation_log_loss`` (nats) and, if the rows have every class,
        ``validation_roc_auc`` (one against the rest, averaged, for more than two classes).
        A log loss of NaN, and nothing else, if a probability is not a number.
    """
    if np.isnan(probabilities).any():
        return {"validation_log_loss": float("nan")}
    n_classes = probabilities.shape[1]
    tiny = np.finfo(np.float64).eps
    of_true = np.clip(probabilities[np.arange(len(numbers)), numbers], tiny, 1)
    values = {"validation_log_loss": -np.average(np.log(of_true), weights=weights)}
    if len(np.unique(numbers[weights > 0])) == n_classes:
        values["validation_roc_auc"] = (
            _roc_auc(numbers == 1, probabilities[:, 1], weights)
            if n_classes == 2
            else roc_auc_score(numbers, probabilities, sample_weight=weights, multi_class="ovr")
        )
    return {name: float(value) for name, value in values.items()}


def number_values(
    true: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    weights: npt.NDArray[Any],
    *,
    counts: bool = False,
) -> dict[str, float]:
    """Measure predicted numbers against the true ones.

    Parameters
    ----------
    true, predicted : ndarray of shape (n_rows,)
        Numbers; of counts, predicted ones are above zero.
    weights : ndarray of shape (n_rows,)
        Weight of every row.
    counts : bool, default=False
        Whether the numbers are counts or rates.

    Returns
    -------
    dict of str to float
        ``validation_squared_error``, of counts ``validation_poisson_deviance`` instead, and
        ``validation_absolute_error``; means over rows.
    """
    absolute = float(np.average(np.abs(true - predicted), weights=weights))
    if counts:
        losses = 2 * (xlogy(true, true / predicted) - true + predicted)
    else:
        losses = np.square(true - predicted)
    name = "poisson_deviance" if counts else "squared_error"
    return {
        f"validation_{name}": float(np.average(losses, weights=weights)),
        "validation_absolute_error": absolute,
    }


def _roc_auc(
    positive: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    weights: npt.NDArray[np.floating],
) -> float:
    """Return the weighted share of pairs of unlike rows that are in order; ties count half.

    As `sklearn.metrics.roc_auc_score`, in a quarter of its time for some thousand rows: it is
    asked for after every epoch, and those of a small table are short.
    """
    order = np.argsort(scores)
    ascending, of_positive = scores[order], np.where(positive, weights, 0.0)[order]
    # The last row of every distinct score.
    last = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], True))
    positives = np.cumsum(of_positive)[last]
    negatives = np.cumsum(weights[order] - of_positive)[last]
    # Rows of a score win against all negatives below it, and half of those beside them.
    beaten = np.append(0.0, negatives[:-1]) + negatives
    wins = np.diff(positives, prepend=0.0) @ beaten / 2
    return float(wins / (positives[-1] * negatives[-1]))
