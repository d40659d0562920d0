"""The values of one field and their codes."""

from contextlib import suppress
from copyreg import __newobj__  # type: ignore[attr-defined]
from decimal import Decimal
from importlib import import_module
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.packing import check_packed, pack, unpack
from sparsectr.encoding.times import time_objects
from sparsectr.stored_state import damaged

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

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.values = values
        self._forget()

    def _forget(self) -> None:
        """Start without what is made of the values when it is first needed."""
        self._indexes: dict[bool, pd.Index[Any]] = {}
        self._arrow: Any = None

    @property
    def size(self) -> int:
        return N_RESERVED + len(self.values)

    def codes(self, values: NDArray[np.generic]) -> NDArray[np.int32]:
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
        as_is = values.dtype == self.values.dtype
        wanted = as_index(values if as_is else as_objects(values))
        positions = self._index(as_is).get_indexer(wanted)
        return np.where(positions < 0, UNKNOWN, positions + N_RESERVED).astype(np.int32)

    def code(self, value: str | int) -> int:
        """Look up one string or integer, in a hundredth of the time of `codes`."""
        if self.values.dtype != object and not (
            isinstance(value, int) and self.values.dtype == np.int64
        ):
            return int(self.codes(np.array([value], dtype=object))[0])
        try:
            position: Any = self._index(True).get_loc(value)
        except (KeyError, OverflowError):
            return UNKNOWN
        return N_RESERVED + int(position)

    def codes_of_arrow(self, strings: Any, *, longer: float = 1.0) -> NDArray[np.int32] | None:
        """Look up strings without making Python objects of them.

        Parameters
        ----------
        strings : pyarrow array, shape (m,)
            Strings, some perhaps missing.
        longer : float, default=1.0
            How many times longer than the strings the vocabulary may be.

        Returns
        -------
        ndarray of int32, shape (m,), or None
            The codes; 0 for values that are not in the vocabulary, 1 for missing ones. None where
            the values are not all strings, or so many that another way is faster: their hash
            table is made anew in every call.
        """
        if longer * len(strings) < len(self.values):
            return None
        compute: Any = import_module("pyarrow.compute")
        if self._arrow is None:
            self._arrow = ()
            if pd.api.types.infer_dtype(self.values, skipna=False) == "string":
                with suppress(UnicodeEncodeError):  # half a surrogate pair: no text
                    self._arrow = compute.cast(self.values, "large_string")
        if not len(self._arrow):
            return None
        positions = compute.index_in(strings, value_set=self._arrow)
        codes = np.asarray(compute.fill_null(positions, UNKNOWN - N_RESERVED)) + N_RESERVED
        if strings.null_count:
            codes[np.asarray(compute.is_null(strings))] = MISSING
        return codes

    def _index(self, as_is: bool) -> "pd.Index[Any]":
        """Build the hash table when it is first needed; it is not pickled."""
        if as_is not in self._indexes:
            index = as_index(self.values if as_is else as_objects(self.values))
            if not index.is_unique:  # no fit makes such a vocabulary
                raise damaged("Vocabulary", "it holds a value twice")
            self._indexes[as_is] = index
        return self._indexes[as_is]

    def __getstate__(self) -> dict[str, Any]:
        return pack(self.values)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return __newobj__, (type(self),), self.__getstate__()

    def __reduce__(self) -> tuple[Any, ...]:
        # skops looks at this, and takes the state from `__getstate__`: packed once, not twice.
        return __newobj__, (type(self),)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.values = unpack(check_packed("Vocabulary", state))
        self._forget()


def learn_vocabulary(
    values: NDArray[np.generic],
    counts: NDArray[np.int64],
    min_count: float,
    max_categories: int | None,
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Learn the vocabulary of one field from its distinct values and their counts.

    Parameters
    ----------
    values, counts : ndarray of shape (n_values,)
        As in `most_frequent`.
    min_count, max_categories
        As there.

    Returns
    -------
    vocabulary : Vocabulary
    codes : ndarray of int32, shape (n_values,)
        ``vocabulary.codes(values)``, without the lookup.
    """
    kept = most_frequent(values, counts, min_count, max_categories)
    codes = np.full(len(values), UNKNOWN, dtype=np.int32)
    codes[kept] = np.arange(N_RESERVED, N_RESERVED + len(kept))
    return Vocabulary(values[kept]), codes


def as_index(values: NDArray[np.generic]) -> "pd.Index[Any]":
    """Wrap values (m,) in an index, a hash table, without changing their dtype."""
    index: pd.Index[Any] = pd.Index(values, dtype=values.dtype, tupleize_cols=False)
    return index


def as_objects(values: NDArray[np.generic]) -> NDArray[np.object_]:
    """Turn values (m,) into Python objects, dates into Timestamps, so that ``==`` is exact."""
    if values.dtype == object:
        return cast(NDArray[np.object_], values)
    if values.dtype.kind in "mM":
        return time_objects(values)
    return pd.Series(values).astype(object).to_numpy()


def as_number(value: object) -> int | float | Decimal | None:
    """Return the Python number that a cell is, or None."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, int | float | Decimal) else None


def most_frequent(
    values: NDArray[np.generic],
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
    kept = kept[value_order(values[kept])]
    return kept[np.argsort(-counts[kept], kind="stable")][:max_categories]


def value_order(values: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the positions of distinct values (m,) in rising order: numbers, strings, the rest."""
    if values.dtype != object:
        return np.argsort(values, kind="stable")
    cells = values.tolist()
    if pd.api.types.infer_dtype(values, skipna=False) != "string":
        cells = [_mixed_key(cell) for cell in cells]
    return np.array(sorted(range(len(cells)), key=cells.__getitem__), dtype=np.intp)


def _mixed_key(value: object) -> tuple[int, Any, str]:
    """Order values of several types: numbers, then strings, then the rest by what they print."""
    number = as_number(value)
    if number is not None:
        return 0, number, ""
    if isinstance(value, str):
        return 1, 0, value
    return 2, 0, f"{type(value).__name__} {value!r}"
