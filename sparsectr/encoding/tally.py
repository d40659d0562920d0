"""How often each value of a column was seen, batch by batch."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.counts import ValueCounts


class Strings(NamedTuple):
    """Hold distinct strings in Arrow's memory with their numbers of rows.

    Attributes
    ----------
    values : pyarrow.Array, shape (n_values,)
        Strings, none missing.
    counts : ndarray of int64, shape (n_values,)
        Number of rows of each; perhaps 0.
    """

    values: Any
    counts: NDArray[np.int64]

    def merge(self, other: Strings) -> Strings:
        """Add the counts of further rows."""
        return merge_strings([self, other])

    def as_counts(self) -> ValueCounts:
        """Return the same with Python's strings."""
        values = np.empty(len(self.values), dtype=object)
        values[:] = self.values.to_pylist()
        return ValueCounts(values, self.counts, "other")


class Tally:
    """Count the values of one column over record batches.

    Counts of batches are merged only when there are about as many values to merge as have been
    merged already: every value is then hashed a few times, however many batches there are.
    """

    def __init__(self) -> None:
        self._parts: list[Strings | ValueCounts] = []

    def add(self, more: Strings | ValueCounts) -> None:
        """Add the counts of further rows."""
        parts = self._parts
        parts.append(more)
        while len(parts) > 1 and _size(parts[-2]) <= 2 * _size(parts[-1]):
            last = parts.pop()
            parts[-1] = _merge(parts[-1], last)

    def total(self) -> Strings | ValueCounts | None:
        """Return the counts of all rows so far, None if there were none."""
        while len(self._parts) > 1:
            last = self._parts.pop()
            self._parts[-1] = _merge(self._parts[-1], last)
        return self._parts[0] if self._parts else None

    def counts(self) -> ValueCounts:
        """Return the counts of all rows, with the values as an encoder knows them."""
        total = self.total()
        if total is None:
            return ValueCounts(np.empty(0, dtype=object), np.zeros(0, dtype=np.int64), "none")
        return total.as_counts() if isinstance(total, Strings) else total


def merge_strings(parts: list[Strings]) -> Strings:
    """Sum up the counts of equal strings."""
    pa: Any = import_module("pyarrow")
    # Numbers of bytes of 64 bits: the strings of all rows may be longer than 2 GB.
    chunks = [
        pa.DictionaryArray.from_arrays(
            pa.array(np.arange(len(part.values), dtype=np.int32)),
            part.values.cast(pa.large_string()),
        )
        for part in parts
    ]
    unified = pa.chunked_array(chunks).unify_dictionaries()
    places = np.concatenate([chunk.indices.to_numpy() for chunk in unified.chunks])
    values = unified.chunk(0).dictionary
    weights = np.concatenate([part.counts for part in parts])
    counts = np.bincount(places, weights, minlength=len(values))  # exact up to 2**53 rows
    return Strings(values, counts.astype(np.int64))


def _size(part: Strings | ValueCounts) -> int:
    """Return how many things are hashed when a part is merged."""
    return len(part.positions) if isinstance(part, BagCounts) else len(part.values)


def _merge(first: Strings | ValueCounts, second: Strings | ValueCounts) -> Strings | ValueCounts:
    if isinstance(first, Strings) and isinstance(second, Strings):
        return first.merge(second)
    a, b = (part.as_counts() if isinstance(part, Strings) else part for part in (first, second))
    return a.merge(b)
