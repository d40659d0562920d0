"""How often each value, and each set of values, of a field was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.bag_columns import BagColumn, number_bags, sort_bags
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.kinds import Kind
from sparsectr.encoding.vocabulary import as_objects
from sparsectr.stored_state import check_array, reading


class BagCounts(ValueCounts):
    """Count the values of one field, and their sets, over chunks of rows.

    Parameters
    ----------
    values, counts : ndarray of shape (n_values,)
        As in `ValueCounts`; a value counts for every time that it comes.
    kind : str
        As there.
    starts : ndarray of int64, shape (n_bags + 1,)
        Where the values of each set begin.
    positions : ndarray of int64, shape (n_lookups,)
        Their positions in ``values``.
    bag_counts : ndarray of int64, shape (n_bags,)
        Number of rows of each set.
    """

    def __init__(
        self,
        values: NDArray[np.generic],
        counts: NDArray[np.int64],
        kind: Kind,
        starts: NDArray[np.int64],
        positions: NDArray[np.int64],
        bag_counts: NDArray[np.int64],
    ) -> None:
        super().__init__(values, counts, kind)
        self.starts = starts
        self.positions = positions
        self.bag_counts = bag_counts

    @classmethod
    def of(cls, column: BagColumn) -> BagCounts:
        """Count the cells of a column."""
        n_bags = len(column.starts) - 1
        rows = np.bincount(column.bags[column.bags >= 0], minlength=n_bags).astype(np.int64)
        starts, positions, bag_counts = _distinct(column.starts, column.positions, rows)
        lookups = np.repeat(bag_counts, np.diff(starts))
        counts = np.bincount(positions, lookups, len(column.values)).astype(np.int64)
        return cls(column.values, counts, "other", starts, positions, bag_counts)

    def merge(self, other: ValueCounts) -> BagCounts:
        """Add the counts of further rows."""
        if not isinstance(other, BagCounts):
            if len(other.values):
                raise ValueError(
                    "the cells held several values before, and now hold single ones; put them "
                    "into lists."
                )
            return self
        merged = super().merge(other)
        # Values may have got another dtype, and are still in the order of self, then of other.
        places = pd.Index(as_objects(merged.values), dtype=object, tupleize_cols=False)
        theirs = places.get_indexer(pd.Index(as_objects(other.values), dtype=object))
        starts = np.concatenate([self.starts, other.starts[1:] + self.starts[-1]])
        positions = np.concatenate([self.positions, theirs[other.positions]]).astype(np.int64)
        rows = np.concatenate([self.bag_counts, other.bag_counts])
        bags = _distinct(starts, positions, rows)
        return BagCounts(merged.values, merged.counts, merged.kind, *bags)

    def __getstate__(self) -> dict[str, Any]:
        names = ("starts", "positions", "bag_counts")
        return super().__getstate__() | {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        with reading("BagCounts"):
            self.starts = check_array("starts", state["starts"], "i", (None,))
            self.positions = check_array("positions", state["positions"], "i", (None,))
            n_bags = len(self.starts) - 1
            self.bag_counts = check_array("bag_counts", state["bag_counts"], "i", (n_bags,))


def merge_counts(before: ValueCounts, more: ValueCounts) -> ValueCounts:
    """Add the counts of further rows, whichever of both have sets of values.

    Raises
    ------
    ValueError
        If a field holds single values in some rows, and sets in others.
    """
    if isinstance(more, BagCounts) and not isinstance(before, BagCounts):
        if len(before.values):
            raise ValueError(
                "the cells held single values before, and now hold several; put all into lists, "
                "or name the field in multi_valued."
            )
        return more
    return before.merge(more)


def _distinct(
    starts: NDArray[np.int64], positions: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Join equal bags, whatever the order of their values, and add up their rows."""
    starts, positions = sort_bags(starts, positions)
    numbers, keys = number_bags(starts, positions, np.flatnonzero(rows))
    counts = np.bincount(numbers, rows[rows > 0], len(keys)).astype(np.int64)
    parts = [np.frombuffer(key, np.int64) for key in keys]
    nothing = np.empty(0, dtype=np.int64)
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return np.concatenate([[0], ends]), np.concatenate([nothing, *parts]), counts
