"""Measures of probabilities. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score


def validation_values(
    numbers: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    weights: npt.NDArray[Any],
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


def _roc_auc(
    positive: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], weights: npt.NDArray[Any]
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
