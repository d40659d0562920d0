"""Labels and weights, from what users pass to what training needs. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Number, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import column_or_1d

from sparsectr.parameters import check_real, describe

Array = npt.NDArray[Any]

# What labels may be.
LABELS = "strings, integers of 64 bits, whole floats, booleans or timestamps"
# Weights whose largest lies between this and its inverse are taken as they are.
LEAST = 1e-100
# So few rows may all have a class of their own.
FEW_LABELS = 20


def as_labels(y: Any, *, name: str = "y", n_rows: int | None = None) -> Array:
    """Return labels as a 1-d array without missing values.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Class labels: strings, integers, whole floats, booleans or dates, of one type.
    name : str, default="y"
        What the caller calls them, for errors.
    n_rows : int, optional
        Number of labels that there must be.

    Returns
    -------
    ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If the labels are continuous, of several types, missing, masked or infinite, or do not
        form one column of this length.
    """
    labels = _as_column(y, name, "label")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = column_or_1d(labels, warn=True)
    _check_shape(labels, name, "label", n_rows)
    if missing := _count_missing(labels):
        raise ValueError(
            f"{name} must have a label in every row, got {missing} missing (None, NaN, NaT or NA); "
            "leave these rows out."
        )
    return _in_plain_dtype(labels, name)


def _in_plain_dtype(labels: Array, name: str) -> Array:
    """Turn objects into the dtype of what they are, and check that this can name classes."""
    if labels.dtype.kind in "OT":
        labels = _from_objects(labels.astype(object), name)
    kind = labels.dtype.kind
    if kind == "c":  # begins as scikit-learn's estimator checks want it
        raise ValueError(f"Complex data not supported: {name} must hold real labels, got complex.")
    if kind not in "OUbiufMm":
        raise ValueError(
            f"{name} must hold {LABELS}, got {labels.dtype.type.__name__.rstrip('_')}; turn them "
            "into strings."
        )
    if kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"{name} must hold finite labels, got infinity.")
    if kind == "f" and (fractions := labels[labels != np.floor(labels)]).size:
        # The words in brackets are those that scikit-learn's estimator checks look for.
        raise ValueError(
            f"{name} must hold class labels, got numbers such as {describe(fractions[0])} (Unknown "
            "label type: continuous); a classifier predicts classes: cut the numbers into a few, "
            "or take a regressor."
        )
    return labels


def _from_objects(labels: Array, name: str) -> Array:
    """Return an array of Python objects, all of one type, in a dtype of that type."""
    if any(issubclass(kind, np.generic) for kind in set(map(type, labels))):
        items = (label.item() if isinstance(label, np.generic) else label for label in labels)
        labels = np.fromiter(items, dtype=object, count=len(labels))
    types = set(map(type, labels))
    if len(types) > 1:
        names = sorted(kind.__name__ for kind in types)
        raise ValueError(
            f"{name} must hold labels of one type, got {', '.join(names)}; turn all into strings."
        )
    (kind,) = types
    if issubclass(kind, str):
        return labels
    if issubclass(kind, pd.Timestamp | bool | int | float):
        plain = np.asarray(pd.Series(labels.tolist()))
        if plain.dtype != object:
            return plain
    raise ValueError(
        f"{name} must hold {LABELS}, got {kind.__name__} such as {describe(labels[0])}; turn them "
        "into strings."
    )


def _as_column(values: Any, name: str, noun: str) -> Array:
    """Turn what a user passes for a column of labels or weights into an array of any shape."""
    listed = isinstance(values, Sequence) and not isinstance(values, str | bytes)
    if sp.issparse(values) or not (listed or hasattr(values, "__array__")):
        raise ValueError(
            f"{name} must be an array, list or Series of one {noun} per row, got "
            f"{describe(values)}."
        )
    if isinstance(values, np.ma.MaskedArray) and (masked := int(np.sum(values.mask))):
        raise ValueError(
            f"{name} must have a {noun} in every row, got {masked} masked; leave these rows out."
        )
    try:
        return np.asarray(values)
    except Exception as error:  # whatever comes of ragged lists, or of tensors with gradients
        raise ValueError(
            f"{name} must be one column of {noun}s that NumPy can read, got {describe(values)}."
        ) from error


def _check_shape(column: Array, name: str, noun: str, n_rows: int | None) -> None:
    if column.ndim != 1:
        raise ValueError(
            f"{name} must have one {noun} per row, got an array of shape {column.shape}."
        )
    if n_rows is not None and len(column) != n_rows:
        raise ValueError(
            f"{name} must have one {noun} per row, got {len(column):,} for {n_rows:,} rows."
        )


def _count_missing(column: Array) -> int:
    return int(pd.isna(column).sum()) if column.dtype.kind in "OTfcMm" else 0


def find_classes(labels: Array, *, name: str = "y", fewest: int = 2) -> Array:
    """Return the sorted distinct labels.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        From `as_labels`.
    name : str, default="y"
        What the caller calls them, for errors.
    fewest : int, default=2
        Least number of classes.

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If there are fewer classes.

    Warns
    -----
    UserWarning
        If y has more classes than half its rows: it may be the target of a regression.
    """
    classes = np.unique(labels)
    if len(classes) < fewest:
        raise ValueError(
            f"{name} must hold at least two classes, got 1 class, {describe(classes[0])}; check "
            "how the labels were made."
        )
    if name == "y" and len(labels) > FEW_LABELS and len(classes) > len(labels) / 2:
        warnings.warn(
            f"y holds {len(classes):,} classes in {len(labels):,} rows: if these are numbers to be "
            "predicted, cut them into a few classes, or take a regressor.",
            UserWarning,
            stacklevel=2,
        )
    return classes


def settle_classes(labels: Array, listed: Any, known: Array | None) -> Array:
    """Return the classes of a fit: those of a fit that goes on, listed ones, or those of y.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        From `as_labels`.
    listed : array-like of shape (n_classes,) or None
        All classes that will ever come, as the user lists them.
    known : ndarray of shape (n_classes,) or None
        The classes of the fit that goes on; listed ones must be the same.
    """
    classes = None if listed is None else as_labels(listed, name="classes")
    if known is None:
        return find_classes(labels) if classes is None else find_classes(classes, name="classes")
    if classes is not None:
        check_same_classes(classes, known)
    return known


def check_same_classes(labels: Array, classes: Array) -> None:
    """Raise ValueError unless labels are the given classes, in any order."""
    known = _family(labels) == _family(classes)
    if not (known and np.array_equal(np.unique(labels), classes)):
        raise ValueError(
            f"classes must be those of the first call, {describe(classes.tolist())}, got "
            f"{describe(labels.tolist())}."
        )


def label_numbers(labels: Array, classes: Array, name: str = "y") -> npt.NDArray[np.int64]:
    """Return the position of every label in the sorted classes; ValueError for a new label."""
    if _family(labels) == _family(classes):
        numbers = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
        strangers = classes[numbers] != labels
        if not strangers.any():
            return numbers.astype(np.int64)
        labels = labels[strangers]
    raise ValueError(
        f"{name} must hold only the classes {describe(classes.tolist())}, got "
        f"{describe(np.unique(labels)[:5].tolist())}."
    )


def _family(labels: Array) -> str:
    """Return what labels can be compared with: numbers, strings, dates or time spans."""
    kind = labels.dtype.kind
    return "number" if kind in "biuf" else "string" if kind in "OU" else kind


def check_weights(
    sample_weight: Any, n_rows: int, *, name: str = "sample_weight"
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
        their proportions matter.

    Raises
    ------
    ValueError
        If a weight is no number, missing, masked, negative or not finite, if all are zero, or if
        their number is wrong.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    if isinstance(sample_weight, Number):
        sample_weight = np.full(n_rows, sample_weight)
    column = _as_column(sample_weight, name, "weight")
    column = np.full(n_rows, column) if column.ndim == 0 else column
    _check_shape(column, name, "weight", n_rows)
    weights = _as_floats(column, name)
    if not np.isfinite(weights).all() or (weights < 0).any():
        wrong = weights[~np.isfinite(weights) | (weights < 0)]
        raise ValueError(
            f"{name} must hold finite numbers that are not negative, got {len(wrong):,} others "
            f"such as {describe(wrong[0])}; 0 leaves a row out."
        )
    if not weights.any():
        raise ValueError(f"{name} must not be zero for every row, got only zeros.")
    return _within_range(weights)


def _as_floats(column: Array, name: str) -> npt.NDArray[np.float64]:
    types = set(map(type, column)) if column.dtype == object else {column.dtype.type}
    if missing := _count_missing(column):
        raise ValueError(
            f"{name} must have a weight in every row, got {missing} missing (None, NaN, NaT or NA);"
            " 0 leaves a row out."
        )
    # NumPy's booleans are no numbers to Python, and time spans are integers to NumPy.
    strangers = {t for t in types if not issubclass(t, Real | Decimal | np.bool_)}
    if strangers := strangers | (types & {np.timedelta64}):
        names = sorted(kind.__name__.rstrip("_") for kind in strangers)
        raise ValueError(f"{name} must hold real numbers, got {', '.join(names)}.")
    with np.errstate(over="ignore"):
        return column.astype(np.float64)


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
    factors: npt.NDArray[np.float64],
    name: str = "sample_weight",
) -> npt.NDArray[np.float64]:
    """Multiply row weights by the factors of their classes; scale them to mean 1.

    Rows of weight zero count as absent on average too.
    """
    weights = weights * factors
    if not weights.any():
        raise ValueError(
            f"{name} times class_weight must not be zero for every row, got only zeros."
        )
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
    n_rows, counts = len(numbers), np.bincount(numbers)
    n_validation = int(np.ceil(fraction * n_rows))
    # The only row of a class is for training; the others are shared out.
    rows = None
    if (counts == 1).any():
        shared = counts[numbers] > 1
        if n_validation < shared.sum():
            rows = np.flatnonzero(shared)
            numbers, counts = numbers[rows], np.where(counts > 1, counts, 0)
    n_classes = np.count_nonzero(counts)
    fewest = min(n_validation, len(numbers) - n_validation)
    if counts[counts > 0].min() >= 2 and fewest >= n_classes:
        drawn = _draw_from_classes(numbers, counts, n_validation, random_state)
    else:
        drawn = random_state.permutation(len(numbers))[:n_validation]
    in_validation = np.zeros(n_rows, dtype=bool)
    in_validation[drawn if rows is None else rows[drawn]] = True
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def _draw_from_classes(
    numbers: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    n_drawn: int,
    random_state: np.random.RandomState,
) -> npt.NDArray[np.int64]:
    """Draw row numbers, of every class the same share as far as that goes.

    The rows are those of `sklearn.model_selection.train_test_split`, and the source is left as
    that leaves it. It gathers them in Python's lists, which takes as long as half an epoch.
    """
    # NumPy sorts short integers by their digits.
    by_class = np.argsort(numbers.astype(np.min_scalar_type(len(counts))), kind="stable")
    of_classes = [rows for rows in np.split(by_class, counts.cumsum()[:-1]) if len(rows)]
    counts = counts[counts > 0]
    n_kept = _share_out(counts, len(numbers) - n_drawn, random_state)
    n_taken = _share_out(counts - n_kept, n_drawn, random_state)
    drawn = []
    for rows, first, n in zip(of_classes, n_kept, n_taken, strict=True):
        drawn.append(rows[random_state.permutation(len(rows))[first : first + n]])
    random_state.permutation(len(numbers) - n_drawn)
    return random_state.permutation(np.concatenate(drawn))


def _share_out(
    counts: npt.NDArray[np.int64], n_draws: int, random_state: np.random.RandomState
) -> npt.NDArray[np.int64]:
    """Return how many of so many draws without replacement fall on every class, most probably."""
    expected = counts / counts.sum() * n_draws
    shares = np.floor(expected).astype(np.int64)
    remainders, n_missing = expected - shares, n_draws - int(shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if n_missing <= 0:
            break
        # One more each, in random order where several are as near to it.
        equal = np.flatnonzero(remainders == remainder)
        n_more = min(len(equal), n_missing)
        shares[random_state.choice(equal, size=n_more, replace=False)] += 1
        n_missing -= n_more
    return shares
