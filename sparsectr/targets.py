"""Labels and weights, from what users pass to what training needs. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

Array = npt.NDArray[Any]


def as_labels(y: Any) -> Array:
    """Return labels as a 1-d array without missing values.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Class labels of any dtype.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If the labels are continuous, of several types, missing or infinite, or have more than
        one column.
    """
    labels = column_or_1d(y, warn=True)
    labels = check_array(labels, ensure_2d=False, dtype=None, input_name="y")
    if labels.dtype == object:
        types = {type(label) for label in labels}
        if len(types) > 1:
            names = sorted(kind.__name__ for kind in types)
            raise ValueError(f"y must hold labels of one type, got {', '.join(names)}.")
        if str not in types:  # scikit-learn knows no objects but strings
            labels = np.array(labels.tolist())
    check_classification_targets(labels)
    return np.asarray(labels)


def find_classes(labels: Array) -> Array:
    """Return the sorted distinct labels; ValueError if there is only one."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"y must hold at least two classes, got 1 class: {classes[0]!r}. "
            "Check how the labels were made."
        )
    return classes


def check_same_classes(labels: Array, classes: Array) -> None:
    """Raise ValueError unless labels are the given classes, in any order."""
    if not np.array_equal(np.unique(labels), classes):
        raise ValueError(
            f"classes must be those of the first call, {classes.tolist()}, got {labels.tolist()}."
        )


def label_numbers(labels: Array, classes: Array) -> npt.NDArray[np.int64]:
    """Return the position of every label in the sorted classes; ValueError for a new label."""
    numbers = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    strangers = classes[numbers] != labels
    if strangers.any():
        found = np.unique(labels[strangers])[:5].tolist()
        raise ValueError(f"y must hold only the classes {classes.tolist()}, got {found}.")
    return numbers.astype(np.int64)


def check_weights(sample_weight: Any, n_rows: int) -> npt.NDArray[np.float64]:
    """Return one non-negative finite weight per row, ones for None.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero, or if their number is wrong.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight.shape must be ({n_rows},), one weight per row, got {weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "sample_weight must be finite and not negative, got values from "
            f"{weights.min()} to {weights.max()}."
        )
    if not weights.any():
        raise ValueError("sample_weight must not be zero for every row.")
    return weights


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
    factors = compute_class_weight(class_weight, classes=classes, y=classes).astype(np.float64)
    if not (np.isfinite(factors) & (factors >= 0)).all():
        raise ValueError(f"class_weight must be finite and not negative, got {class_weight!r}.")
    return np.asarray(factors)


def balance(
    weights: npt.NDArray[np.float64], factors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Multiply row weights by the factors of their classes; scale them to mean 1.

    Rows of weight zero count as absent in the mean too.
    """
    weights = weights * factors
    if not weights.any():
        raise ValueError("sample_weight times class_weight must not be zero for every row.")
    return weights / weights[weights > 0].mean()


def split_rows(
    numbers: npt.NDArray[np.int64], fraction: float, random_state: np.random.RandomState
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split row numbers into training and validation, with equal class shares where possible.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows,)
        Class number of every row.
    fraction : float
        Share of the rows for validation, in (0, 1).
    random_state : numpy.random.RandomState
        Source of the split.

    Returns
    -------
    train_rows, validation_rows : ndarray of int64
        Sorted row numbers.
    """
    n_validation = int(np.ceil(fraction * len(numbers)))
    counts = np.bincount(numbers)
    # The only row of a class is for training; the others are shared out.
    lone = counts[numbers] < 2
    if lone.any() and n_validation < (~lone).sum():
        rows = np.flatnonzero(~lone)
    else:
        rows = np.arange(len(numbers))
    n_classes = len(np.unique(numbers[rows]))
    fewest = min(n_validation, len(rows) - n_validation)
    stratify = counts[numbers[rows]].min() >= 2 and fewest >= n_classes
    train_rows, validation_rows = train_test_split(
        rows,
        test_size=n_validation,
        stratify=numbers[rows] if stratify else None,
        random_state=random_state,
    )
    rest = np.setdiff1d(np.arange(len(numbers)), rows)
    return np.sort(np.concatenate([train_rows, rest])), np.sort(validation_rows)
