"""Columns whose cells hold several values: lists, or strings with a separator."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.columns import Array, read_column
from sparsectr.parameters import describe

Ints: TypeAlias = NDArray[np.integer[Any]]

# What may hold the values of a cell. A tuple is one value, unless the field is declared.
CONTAINERS = (list, tuple, set, frozenset, np.ndarray)
NESTED = (*CONTAINERS, dict)


class BagColumn(NamedTuple):
    """Hold the cells of one column as bags of positions in its distinct values.

    Attributes
    ----------
    bags : ndarray of int64, shape (n_rows,)
        The bag of each cell; -1 where it is missing or has no values.
    starts : ndarray of int64, shape (n_bags + 1,)
        Where the values of each bag begin, and last the number of all lookups.
    positions : ndarray of int64, shape (n_lookups,)
        Position of each value of each bag in ``values``. A value may come several times.
    values : ndarray, shape (n_values,)
        The distinct values, as those of a `Column`.
    """

    bags: NDArray[np.int64]
    starts: NDArray[np.int64]
    positions: NDArray[np.int64]
    values: Array


def holds_lists(cells: Any) -> bool:
    """Tell whether the first cell of a column that is not missing is a list, an array or a set."""
    if cells.dtype != object or not isinstance(cells, np.ndarray):
        return False
    for cell in cells:
        if not _is_missing(cell):
            return isinstance(cell, list | set | np.ndarray)
    return False


def read_bags(cells: Any, separator: str | None) -> BagColumn:
    """Read a column whose cells hold several values.

    Parameters
    ----------
    cells : ndarray or pandas ExtensionArray, shape (n_rows,)
        One column of `iterate_columns`.
    separator : str or None
        What stands between the values of strings; None for cells that are lists.

    Returns
    -------
    BagColumn
        Missing values inside a cell are left out.

    Raises
    ------
    TypeError
        If a cell is neither missing nor a list (a string, with a separator), or a value in it is
        itself a list or a dict.
    """
    if separator is None:
        lists = [_as_list(cell) for cell in cells]
        bags = np.arange(len(lists), dtype=np.int64)
    else:
        column = read_column(cells)
        lists = [_split(cell, separator) for cell in column.values.tolist()]
        bags = column.positions.astype(np.int64)
    flat = np.empty(sum(map(len, lists)), dtype=object)
    for place, value in enumerate(chain.from_iterable(lists)):
        if isinstance(value, NESTED):
            raise TypeError(
                "the values in a cell of several values must be strings, numbers, dates and the "
                f"like, got {describe(value)} in one; flatten such cells, or turn their values "
                "into strings."
            )
        flat[place] = value
    column = read_column(flat)
    known = column.positions >= 0
    owners = np.repeat(np.arange(len(lists)), list(map(len, lists)))[known]
    lengths = np.bincount(owners, minlength=len(lists)).astype(np.int64)
    # A missing cell of strings has position -1, which reads the last entry.
    is_empty = np.append(lengths == 0, True)[bags]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    positions = column.positions[known].astype(np.int64)
    return BagColumn(np.where(is_empty, -1, bags), starts, positions, column.values)


def _as_list(cell: object) -> list[Any]:
    if isinstance(cell, np.ndarray) and cell.ndim == 1:
        # Times in nanoseconds would become integers.
        return list(cell) if cell.dtype.kind in "mM" else cell.tolist()
    if isinstance(cell, CONTAINERS) and not isinstance(cell, np.ndarray):
        return list(cell)
    if _is_missing(cell):
        return []
    raise TypeError(
        f"every cell of a field of several values must be a list or missing, got {describe(cell)}; "
        "put single values into lists, or name the separator of strings in multi_valued."
    )


def _split(cell: object, separator: str) -> list[str]:
    if not isinstance(cell, str):
        raise TypeError(
            f"every cell of a field with a separator must be a string or missing, got "
            f"{describe(cell)}; multi_valued takes None for cells that are lists."
        )
    return [part for part in cell.split(separator) if part]


def _is_missing(cell: object) -> bool:
    return cell is None or (not isinstance(cell, NESTED) and pd.isna(cast(Any, cell)) is True)


def sort_bags(starts: NDArray[np.int64], lookups: Ints) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Sort the lookups (n_lookups,) of every bag, which begin at ``starts`` (n_bags + 1,)."""
    owners = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return starts, lookups[np.lexsort((lookups, owners))]


def number_bags(
    starts: NDArray[np.int64], lookups: Ints, some: NDArray[np.intp]
) -> tuple[NDArray[np.intp], list[bytes]]:
    """Number the different ones among some sorted bags; return also the bytes of each."""
    data = lookups.tobytes()
    width = lookups.itemsize
    ends = (starts * width).tolist()
    known: dict[bytes, int] = {}
    numbers = [
        known.setdefault(data[ends[bag] : ends[bag + 1]], len(known)) for bag in some.tolist()
    ]
    return np.array(numbers, dtype=np.intp), list(known)
