"""Count the values of a column that comes in record batches."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from sparsectr.encoding.arrow import from_arrow, is_list
from sparsectr.encoding.bag_columns import read_bags
from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.columns import read_column
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.dictionaries import as_dictionary, positions_in_dictionary
from sparsectr.encoding.kinds import Kind
from sparsectr.encoding.tally import Strings, Tally


class BatchCounter:
    """Count the values of one column in the batches of a part.

    Parameters
    ----------
    dropped : callable
        Tells of a kind of column (see `sparsectr.encoding.kinds`) that its values are not wanted.
    several : bool, default=False
        Whether cells hold several values; those that are lists do in any case.
    separator : str, optional
        What stands between them, where cells are strings.
    """

    def __init__(
        self, dropped: Callable[[Kind], bool], several: bool = False, separator: str | None = None
    ) -> None:
        self.dropped = dropped
        self.several = several
        self.separator = separator
        self.tally = Tally()
        self._last: Strings | None = None

    def add(self, column: Any) -> None:
        """Count a column (n_rows,) of a record batch."""
        if self.several or is_list(column.type):
            cells = from_arrow(import_module("pyarrow").chunked_array([column]))
            self.tally.add(BagCounts.of(read_bags(cells, self.separator)))
            return
        strings = as_dictionary(column)
        if strings is None:
            read = read_column(from_arrow(import_module("pyarrow").chunked_array([column])))
            counts = ValueCounts(read.values, read.counts(), read.kind)
            if self.dropped(counts.kind):
                counts = ValueCounts(counts.values[:0], counts.counts[:0], counts.kind)
            self.tally.add(counts)
            return
        if self.dropped("other"):
            self.tally.add(Strings(strings.dictionary.slice(0, 0), np.zeros(0, dtype=np.int64)))
            return
        positions = positions_in_dictionary(strings)
        n_values = len(strings.dictionary)
        counts_of_batch = np.bincount(positions + 1, minlength=n_values + 1)[1:].astype(np.int64)
        # The batches of one row group share their dictionary.
        if self._last is not None and strings.dictionary.equals(self._last.values):
            self._last.counts[:] += counts_of_batch
            return
        self._close()
        self._last = Strings(strings.dictionary, counts_of_batch)

    def result(self) -> Strings | ValueCounts | None:
        """Return the counts of all batches, None if there was none."""
        self._close()
        return self.tally.total()

    def _close(self) -> None:
        if self._last is not None:
            self.tally.add(self._last)
            self._last = None
