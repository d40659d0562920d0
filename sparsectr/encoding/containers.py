"""What can be a table: everything else is refused with a sentence that says what to pass."""

from collections.abc import Iterator, Mapping, Sequence, Set
from importlib import import_module
from typing import Any, NoReturn, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.generic]

WHAT_IS_A_TABLE = "X must be a table: a data frame, a 2-d array or a list of rows"


def open_container(X: Any) -> Any:
    """Return the frame or the array that holds the cells of a table.

    Parameters
    ----------
    X : object
        What a user has passed.

    Returns
    -------
    DataFrame or ndarray
        A frame of the library it came from, with its names; or an array of any shape, without a
        mask. A list of rows is a pandas frame of objects.

    Raises
    ------
    TypeError
        If X is no table; the message says what to pass instead.
    ValueError
        If the rows of a list have different lengths, or X is a single column.
    """
    X = nw.to_native(X, pass_through=True)
    if isinstance(X, np.ndarray):
        return _plain_array(X)
    if isinstance(X, Sequence) and not isinstance(X, str | bytes | memoryview):
        return _stack_rows(X)
    if type(X).__name__ == "RecordBatch" and hasattr(X, "__arrow_c_array__"):
        return import_module("pyarrow").table(X)
    if nw.dependencies.is_into_dataframe(X):
        return X
    _refuse(X)
    try:
        array = np.asarray(X)
    except Exception as error:  # __array__ of another library may raise anything
        raise TypeError(
            f"{WHAT_IS_A_TABLE}, got {_name(X)}, of which no array can be made: {first_line(error)}"
        ) from error
    if array.ndim == 0:
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}.")
    return _plain_array(array)


def unmask(array: Array) -> Array:
    """Make the masked cells of an array missing ones.

    Parameters
    ----------
    array : ndarray or MaskedArray
        An array without named fields, of any shape.

    Returns
    -------
    ndarray
        Of the same shape, without a mask. Masked cells are NaN among floats and complex numbers,
        NaT among times; other cells become objects, with None for the masked ones.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    cells, mask = np.asarray(array.data), np.ma.getmaskarray(array)
    if not mask.any():
        return cells
    kind = cells.dtype.kind
    if kind not in "fcmM":
        cells = cells.astype(object)
    filled = cells.copy()
    filled[mask] = np.nan if kind in "fc" else "NaT" if kind in "mM" else None
    return filled


def first_line(error: Exception) -> str:
    """Return the first line of an error of another library."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _plain_array(array: Array) -> Array:
    if array.dtype.names is not None:
        raise TypeError(
            f"{WHAT_IS_A_TABLE}, got an array with the named fields {list(array.dtype.names)}: "
            "pass pandas.DataFrame.from_records(X)."
        )
    return np.asarray(unmask(array))


def _stack_rows(rows: Any) -> Any:
    """Make a frame of rows that keeps masks and nanoseconds; an array if it has not two axes."""
    rows = [_as_objects(row) if _is_array(row) else row for row in rows]
    if rows and (isinstance(rows[0], Mapping | Set) or nw.dependencies.is_into_dataframe(rows[0])):
        advice = "pass pandas.DataFrame(X)" if isinstance(rows[0], Mapping) else "pass lists"
        raise TypeError(f"every row of X must be a list of cells, got {_name(rows[0])}: {advice}.")
    lengths = {len(row) for row in rows if isinstance(row, list | tuple)}
    if len(lengths) > 1:
        raise ValueError(
            f"all rows of X must have equally many cells, got {min(lengths)} to {max(lengths)}; "
            "put None where a cell is missing."
        )
    array = np.array(rows, dtype=object)
    if array.ndim == 1 and rows:
        raise ValueError(
            f"Expected a table or a 2D array, got a list whose first entry is {_name(rows[0])}: "
            "pass [X] if it is one row, [[cell] for cell in X] if it is one field."
        )
    if array.ndim != 2 or array.size == 0:
        return array if rows else array.reshape(0, 0)
    return pd.DataFrame(dict(enumerate(array.T)))


def _is_array(row: Any) -> bool:
    return hasattr(row, "__array__") and not isinstance(row, np.generic)


def _as_objects(row: Any) -> Array:
    row = unmask(row) if isinstance(row, np.ndarray) else np.asarray(row)
    if row.dtype.kind not in "mM":
        return row
    # NumPy turns times in nanoseconds into integers when it makes objects of them.
    objects = np.empty(row.shape, dtype=object)
    for place in np.ndindex(row.shape):
        objects[place] = row[place]
    return objects


def _refuse(X: Any) -> None:
    """Raise TypeError for what NumPy would misread or take a single cell."""
    if sp.issparse(X):
        raise TypeError(
            "X must be a table or a dense array, got a sparse matrix: pass X.toarray()."
        )
    if X is None or isinstance(X, str | bytes):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}.")
    if isinstance(X, Mapping):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}: pass pandas.DataFrame(X).")
    if isinstance(X, Set):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}, which has no order.")
    if isinstance(X, Iterator) and not hasattr(X, "__arrow_c_stream__"):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}: pass list(X).")
    if nw.dependencies.is_into_series(X):
        _refuse_column(X)
    lazy = nw.from_native(X, pass_through=True)
    if isinstance(lazy, nw.LazyFrame) and hasattr(X, "collect"):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}: pass X.collect().")
    if hasattr(X, "__arrow_c_stream__"):
        # A stream may be read only once, and a table is read more often.
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}: pass pyarrow.table(X).")
    if isinstance(lazy, nw.LazyFrame):
        raise TypeError(f"{WHAT_IS_A_TABLE}, got {_name(X)}: pass its rows as a data frame.")


def _refuse_column(X: Any) -> NoReturn:
    advice = "pass X.to_frame() if it is one field"
    if isinstance(X, pd.Series):
        advice += ", X.to_frame().T if it is one row"
    elif not hasattr(X, "to_frame"):
        advice = "pass pyarrow.table({'name': X}) if it is one field"
    raise ValueError(f"Expected a table or a 2D array, got a single {_name(X)}: {advice}.")


def _name(X: Any) -> str:
    """Name what came: a plain number by itself, anything else by its type."""
    if X is None or isinstance(X, bool | int | float):
        return repr(X)
    kind = type(X)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package} {kind.__name__}"
