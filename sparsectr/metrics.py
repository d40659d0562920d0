"""Measures of probabilities. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, roc_auc_score


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
    classes = np.arange(probabilities.shape[1])
    values = {
        "validation_log_loss": log_loss(
            numbers, probabilities, sample_weight=weights, labels=classes
        )
    }
    if len(np.unique(numbers[weights > 0])) == len(classes):
        scores = probabilities[:, 1] if len(classes) == 2 else probabilities
        values["validation_roc_auc"] = roc_auc_score(
            numbers, scores, sample_weight=weights, multi_class="ovr"
        )
    return {name: float(value) for name, value in values.items()}
