"""Sets of values that an encoder has no codes for."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bags import BagRows


class NewBags:
    """Give codes to sets of values that an encoder has none for, in the rows of one call.

    With V codes of all columns together, set j of the call has the code ``V + j - first`` in its
    column, whose codes begin at ``first`` among those of all columns: as a row of one table of all
    values it stands behind all others.

    Parameters
    ----------
    sizes : ndarray of int64, shape (n_columns,)
        Number of codes of each column.
    """

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self._firsts = np.cumsum(sizes) - sizes
        self._n_codes = int(sizes.sum())
        self._bags: list[NDArray[np.int64]] = []
        self._known: dict[tuple[int, bytes], int] = {}
        self._lock = Lock()

    def code(self, column: int, codes: NDArray[np.int32]) -> int:
        """Return the code of a set of values of a column, given by their codes, rising."""
        key, first = (column, codes.tobytes()), int(self._firsts[column])
        with self._lock:  # files are encoded in threads
            number = self._known.setdefault(key, len(self._bags))
            if number == len(self._bags):
                self._bags.append(codes.astype(np.int64) + first)
        return self._n_codes + number - first

    def rows(self) -> BagRows:
        """Return the sets of the call."""
        lengths = list(map(len, self._bags))
        nothing = np.empty(0, dtype=np.int64)
        return BagRows(
            self._n_codes + np.arange(len(self._bags)),
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            np.concatenate([nothing, *self._bags]),
        )
