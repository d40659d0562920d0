"""One column of labels, numbers or weights, as users pass it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import column_or_1d

from sparsectr.parameters import describe

Array = npt.NDArray[np.generic]


def as_column(values: Any, name: str, noun: str) -> Array:
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


def read_column(values: Any, name: str, noun: str, n_rows: int | None) -> Array:
    """Turn what a user passes as targets into an array of shape (n_rows,) with nothing missing.

    Parameters
    ----------
    values : array-like of shape (n_rows,) or (n_rows, 1)
        One entry per row.
    name, noun : str
        What the caller calls all of them, and one, for errors.
    n_rows : int or None
        Number of them that there must be; None for any.

    Raises
    ------
    ValueError
        If an entry is missing or masked, or they do not form one column of this length.
    """
    column = as_column(values, name, noun)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column_or_1d(column, warn=True)
    check_shape(column, name, noun, n_rows)
    if missing := count_missing(column):
        raise ValueError(
            f"{name} must have a {noun} in every row, got {missing} missing (None, NaN, NaT or "
            "NA); leave these rows out."
        )
    return column


def check_shape(column: Array, name: str, noun: str, n_rows: int | None) -> None:
    """Raise ValueError unless a column has the shape (n_rows,)."""
    if column.ndim != 1:
        raise ValueError(
            f"{name} must have one {noun} per row, got an array of shape {column.shape}."
        )
    if n_rows is not None and len(column) != n_rows:
        raise ValueError(
            f"{name} must have one {noun} per row, got {len(column):,} for {n_rows:,} rows."
        )


def count_missing(column: Array) -> int:
    """Count the missing entries of a column (n_rows,)."""
    return int(pd.isna(column).sum()) if column.dtype.kind in "OTfcMm" else 0


def as_floats(column: Array, name: str) -> npt.NDArray[np.float64]:
    """Return real numbers of any kind (n,) as float64; ValueError for all else."""
    types = set(map(type, column)) if column.dtype == object else {column.dtype.type}
    # NumPy's booleans are no numbers to Python, and time spans are integers to NumPy.
    strangers = {t for t in types if not issubclass(t, Real | Decimal | np.bool_)}
    if strangers := strangers | (types & {np.timedelta64}):
        names = sorted(kind.__name__.rstrip("_") for kind in strangers)
        raise ValueError(f"{name} must hold real numbers, got {', '.join(names)}.")
    with np.errstate(over="ignore"):
        return column.astype(np.float64)
