"""Weights of rows and of classes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsectr.parameters import check_real, describe
from sparsectr.targets.columns import as_column, as_floats, check_shape, count_missing

Array = npt.NDArray[np.generic]

# Weights whose largest lies between this and its inverse are taken as they are.
LEAST = 1e-100


def check_weights(
    sample_weight: npt.ArrayLike | None, n_rows: int, *, name: str = "sample_weight"
) -> npt.NDArray[np.float64]:
    """Return one non-negative finite weight per row, ones for None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,), number or None
        Numbers of any kind: integers, floats, booleans, Decimals. One number is for all rows.
    n_rows : int
        Number of rows.
    name : str, default="sample_weight"
        What the caller calls them, for errors.

    Returns
    -------
    ndarray of shape (n_rows,)
        The weights; in other units if their products could leave the range of float64, as only
        their proportions matter. Those of None, or of one number, cannot be written to: they are
        one number in memory, as files have many rows.

    Raises
    ------
    ValueError
        If a weight is no number, missing, masked, negative or not finite, if all are zero, or if
        their number is wrong.
    """
    if sample_weight is None:
        return np.broadcast_to(np.float64(1.0), n_rows)
    if isinstance(sample_weight, Number):
        one = check_weights(np.array([sample_weight]), 1, name=name)
        return np.broadcast_to(one[0], n_rows)
    column = as_column(sample_weight, name, "weight")
    column = np.full(n_rows, column) if column.ndim == 0 else column
    check_shape(column, name, "weight", n_rows)
    if missing := count_missing(column):
        raise ValueError(
            f"{name} must have a weight in every row, got {missing} missing (None, NaN, NaT or NA);"
            " 0 leaves a row out."
        )
    weights = as_floats(column, name)
    if not np.isfinite(weights).all() or (weights < 0).any():
        wrong = weights[~np.isfinite(weights) | (weights < 0)]
        raise ValueError(
            f"{name} must hold finite numbers that are not negative, got {len(wrong):,} others "
            f"such as {describe(wrong[0])}; 0 leaves a row out."
        )
    if not weights.any():
        raise ValueError(f"{name} must not be zero for every row, got only zeros.")
    return _within_range(weights)


def _within_range(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Change the unit of positive numbers whose sums or products could overflow or vanish."""
    largest = values.max()
    return values if LEAST < largest < 1 / LEAST else values / largest


def class_factors(
    class_weight: Any,
    classes: Array,
    numbers: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return what the weights of the rows of every class are multiplied by.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Factor by class (1 for classes that are not named); "balanced": the inverse of the
        summed weights of the class, so that a row of weight 2 counts as two rows.
    classes : ndarray of shape (n_classes,)
        Sorted classes.
    numbers : ndarray of shape (n_rows,)
        Class number of every row.
    weights : ndarray of shape (n_rows,)
        Weight of every row.

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If class_weight names an unknown class, is negative or is something else.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        sums = np.bincount(numbers, weights, minlength=len(classes))
        return np.divide(sums.sum() / len(classes), sums, out=np.ones(len(classes)), where=sums > 0)
    if class_weight is None:
        return np.ones(len(classes))
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "class_weight must be None, 'balanced' or a dict of classes to factors, got "
            f"{describe(class_weight)}."
        )
    labels = classes.tolist()
    strangers = [label for label in class_weight if label not in labels]
    # A dict that names every class may name more: a part of the rows may lack some.
    if strangers and not all(label in class_weight for label in labels):
        raise ValueError(
            f"class_weight must name classes of y, {describe(labels)}, got {describe(strangers)}."
        )
    factors = [
        check_real(f"class_weight[{label!r}]", class_weight.get(label, 1), 0) for label in labels
    ]
    if not any(factors):
        raise ValueError("class_weight must not be zero for every class, got only zeros.")
    return _within_range(np.array(factors, dtype=np.float64))


def balance(
    weights: npt.NDArray[np.float64],
    factors: npt.NDArray[np.float64] | None = None,
    name: str = "sample_weight",
) -> npt.NDArray[np.float64]:
    """Multiply weights (n_rows,) by factors (n_rows,) of the classes; scale them to mean 1.

    Rows with zero weight are ignored when the mean is taken. No factors: all are 1.
    """
    if factors is not None:
        weights = weights * factors
    if not weights.any():
        raise ValueError(
            f"{name} times class_weight must not be zero for every row, got only zeros."
        )
    # Without copies where none are needed: files have many rows.
    if is_one_number(weights):
        return np.broadcast_to(np.float64(1.0), weights.shape)
    return weights / (weights if weights.all() else weights[weights > 0]).mean()


def is_one_number(weights: npt.NDArray[np.float64]) -> bool:
    """Tell whether weights (n_rows,) are a single number in memory."""
    return weights.strides == (0,)
