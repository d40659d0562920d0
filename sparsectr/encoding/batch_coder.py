"""Encode a column that comes in record batches."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.arrow import from_arrow
from sparsectr.encoding.bags import BagVocabulary, NewCode
from sparsectr.encoding.cells import Field, encode_cells
from sparsectr.encoding.dictionaries import as_dictionary, positions_in_dictionary
from sparsectr.encoding.resolutions import encode_values
from sparsectr.encoding.vocabulary import MISSING, Vocabulary

# A vocabulary so many times longer than a dictionary is not hashed anew for it.
LONGER = 4


class BatchCoder:
    """Encode one column in the batches of a part.

    Parameters
    ----------
    field : tuple of Vocabulary, Bins or Buckets
        The code columns of the field.
    new_code : callable, optional
        For `BagVocabulary.codes_of`.
    """

    def __init__(self, field: Field, new_code: NewCode | None = None) -> None:
        self.field = field
        self.new_code = new_code
        self._dictionary: Any = None
        self._codes: list[NDArray[np.int32]] = []

    def codes(self, column: Any) -> list[NDArray[np.int32]]:
        """Encode a column (n_rows,) of a record batch, one array per code column."""
        several = isinstance(self.field[0], BagVocabulary)
        strings = None if several else as_dictionary(column)
        if strings is None:
            cells = from_arrow(import_module("pyarrow").chunked_array([column]))
            return encode_cells(cells, self.field, self.new_code)
        if self._dictionary is None or not strings.dictionary.equals(self._dictionary):
            self._dictionary = strings.dictionary
            # The last entry is for positions of -1.
            found = encode_strings(self.field, strings.dictionary)
            self._codes = [np.append(codes, np.int32(MISSING)) for codes in found]
        positions = positions_in_dictionary(strings)
        return [codes.take(positions) for codes in self._codes]


def encode_strings(field: Field, strings: Any) -> list[NDArray[np.int32]]:
    """Encode distinct strings (m,) in Arrow's memory, one array per code column."""
    first = field[0]
    if len(field) == 1 and isinstance(first, Vocabulary):
        codes = first.codes_of_arrow(strings, longer=LONGER)
        if codes is not None:
            return [codes]
    values = np.empty(len(strings), dtype=object)
    values[:] = strings.to_pylist()
    return encode_values(field, values)
