"""How often each value of a field was seen."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.kinds import Kind, widest
from sparsectr.encoding.packing import check_packed, pack, unpack
from sparsectr.encoding.times import in_one_unit
from sparsectr.encoding.vocabulary import as_index, as_objects
from sparsectr.stored_state import check_array, reading


class ValueCounts:
    """Count the values of one field over chunks of rows.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Distinct values.
    counts : ndarray of int64, shape (n_values,)
        Number of rows of each.
    kind : {"none", "integer", "float", "other"}
        What the column holds, all chunks put together; see `sparsectr.encoding.kinds`.
    """

    def __init__(self, values: NDArray[np.generic], counts: NDArray[np.int64], kind: Kind) -> None:
        self.values = values
        self.counts = counts
        self.kind = kind

    def merge(self, other: "ValueCounts") -> "ValueCounts":
        """Add the counts of further rows.

        Parameters
        ----------
        other : ValueCounts
            The counts of the same field in other rows.

        Returns
        -------
        ValueCounts
            The counts of all rows.
        """
        kind = widest(self.kind, other.kind)
        if len(self.values) == 0 or len(other.values) == 0:
            one = other if len(self.values) == 0 else self
            return ValueCounts(one.values, one.counts, kind)
        mine, theirs = in_one_dtype(self.values, other.values)
        positions = as_index(mine).get_indexer(as_index(theirs))
        known = positions >= 0
        counts = self.counts.copy()
        counts[positions[known]] += other.counts[known]
        return ValueCounts(
            np.concatenate([mine, theirs[~known]]),
            np.concatenate([counts, other.counts[~known]]),
            kind,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"packed": pack(self.values), "counts": self.counts, "kind": self.kind}

    def __setstate__(self, state: dict[str, Any]) -> None:
        with reading("ValueCounts"):
            self.values = unpack(check_packed("ValueCounts", state["packed"]))
            self.counts = check_array("counts", state["counts"], "i", (len(self.values),))
            self.kind = state["kind"]


def in_one_dtype(
    first: NDArray[np.generic], second: NDArray[np.generic]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give two arrays of values one dtype, without changing one: object where no other does it."""
    if first.dtype == second.dtype:
        return first, second
    kinds = first.dtype.kind + second.dtype.kind
    exact = kinds in ("if", "fi") and all(
        np.all(np.abs(values.astype(np.float64)) < 2.0**53)
        for values in (first, second)
        if values.dtype.kind == "i"
    )
    if exact:
        return first.astype(np.float64), second.astype(np.float64)
    if kinds in ("MM", "mm") and (alike := in_one_unit(first, second)) is not None:
        return alike[0], alike[1]
    return as_objects(first), as_objects(second)
