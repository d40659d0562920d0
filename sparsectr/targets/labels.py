"""Class labels, from what users pass to class numbers."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparsectr.parameters import describe
from sparsectr.targets.columns import read_column

Array = npt.NDArray[np.generic]

# What labels may be.
LABELS = "strings, integers of 64 bits, whole floats, booleans or timestamps"
# So many are looked up at a time: labels of a mapped file have many rows.
LABELS_AT_ONCE = 1 << 20
# So few rows may all have a class of their own.
FEW_LABELS = 20


def as_labels(y: npt.ArrayLike, *, name: str = "y", n_rows: int | None = None) -> Array:
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
    return _in_plain_dtype(read_column(y, name, "label", n_rows), name)


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


def settle_classes(labels: Array, listed: npt.ArrayLike | None, known: Array | None) -> Array:
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
    """Raise ValueError unless labels (n,) are the given classes (n_classes,), in any order."""
    known = _family(labels) == _family(classes)
    if not (known and np.array_equal(np.unique(labels), classes)):
        raise ValueError(
            f"classes must be those of the first call, {describe(classes.tolist())}, got "
            f"{describe(labels.tolist())}."
        )


def label_numbers(labels: Array, classes: Array, name: str = "y") -> npt.NDArray[np.int64]:
    """Return the positions of labels (n_rows,) in sorted classes (n_classes,), shape (n_rows,).

    ValueError for a label that is no class.
    """
    if _family(labels) == _family(classes):
        numbers, others = np.empty(len(labels), dtype=np.int64), []
        for start in range(0, len(labels), LABELS_AT_ONCE):
            some = labels[start : start + LABELS_AT_ONCE]
            found = np.searchsorted(classes, some).clip(max=len(classes) - 1)
            strangers = classes[found] != some
            if strangers.any():
                others.append(some[strangers])
            numbers[start : start + len(some)] = found
        if not others:
            return numbers
        labels = np.concatenate(others)
    raise ValueError(
        f"{name} must hold only the classes {describe(classes.tolist())}, got "
        f"{describe(np.unique(labels)[:5].tolist())}."
    )


def _family(labels: Array) -> str:
    """Return what labels can be compared with: numbers, strings, dates or time spans."""
    kind = labels.dtype.kind
    return "number" if kind in "biuf" else "string" if kind in "OU" else kind
