"""The values of one field and their codes."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = 0
MISSING = 1
N_RESERVED = 2  # codes 0 and 1


class Vocabulary:
    """Map the values of one field to codes.

    Values are equal when Python says so: ``1 == 1.0 == True``, but ``1 != "1"``. Integers are
    compared exactly, also beyond 2**53.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Distinct values in the order of their codes; the first one gets code 2.

    Attributes
    ----------
    values : ndarray, shape (n_values,)
        As given.
    size : int
        Number of codes, those of unknown and missing included.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        self._indexes: dict[str, pd.Index] = {}

    @property
    def size(self) -> int:
        return N_RESERVED + len(self.values)

    def codes(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Look up values.

        Parameters
        ----------
        values : ndarray, shape (m,)
            Any values, none missing.

        Returns
        -------
        ndarray of int32, shape (m,)
            The codes; 0 for values that are not in the vocabulary.
        """
        same = values.dtype == self.values.dtype
        positions = self._index(exact=not same).get_indexer(as_index(values, exact=not same))
        return np.where(positions < 0, UNKNOWN, positions + N_RESERVED).astype(np.int32)

    def _index(self, exact: bool) -> pd.Index:
        """Build the hash table when it is first needed; it is not pickled."""
        name = "exact" if exact else "same"
        if name not in self._indexes:
            self._indexes[name] = as_index(self.values, exact)
        return self._indexes[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.values = state["values"]
        self._indexes = {}


def as_index(values: NDArray[Any], exact: bool) -> pd.Index:
    """Wrap values in an index; `exact` compares them as Python objects."""
    index = pd.Index(values, dtype=values.dtype, tupleize_cols=False)
    return index.astype(object) if exact else index


def most_frequent(
    values: NDArray[Any],
    counts: NDArray[np.int64],
    min_count: float,
    max_categories: int | None,
) -> NDArray[np.intp]:
    """Choose the values that get a code.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Distinct values.
    counts : ndarray of int64, shape (n_values,)
        Number of rows of each value; values of no row get no code.
    min_count : float
        Rarer values get no code.
    max_categories : int or None
        Largest number of values to choose; None for no limit.

    Returns
    -------
    ndarray of int
        Positions of the chosen values by falling count, equal counts by rising value.
    """
    kept = np.flatnonzero(counts >= max(min_count, 1))
    kept = kept[_value_order(values[kept])]
    return kept[np.argsort(-counts[kept], kind="stable")][:max_categories]


def _value_order(values: NDArray[Any]) -> NDArray[np.intp]:
    if values.dtype != object:
        return np.argsort(values, kind="stable")
    cells = values.tolist()
    if pd.api.types.infer_dtype(values, skipna=False) != "string":
        cells = [_mixed_key(cell) for cell in cells]
    return np.array(sorted(range(len(cells)), key=cells.__getitem__), dtype=np.intp)


def _mixed_key(value: Any) -> tuple[int, Any, str]:
    """Order values of several types: numbers, then strings, then the rest by what they print."""
    if isinstance(value, Real | Decimal):
        return 0, value, ""
    if isinstance(value, str):
        return 1, 0, value
    return 2, 0, f"{type(value).__name__} {value!r}"
