"""Strings of Arrow as positions in their distinct values."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_dictionary(column: Any) -> Any:
    """Return a column of strings as a DictionaryArray whose values are not missing, else None."""
    pa: Any = import_module("pyarrow")
    types, kind = pa.types, column.type
    if types.is_string(kind) or types.is_large_string(kind):
        column = column.dictionary_encode()
    elif not types.is_dictionary(kind):
        return None
    value_type = column.type.value_type
    if not (types.is_string(value_type) or types.is_large_string(value_type)):
        return None
    return None if column.dictionary.null_count else column


def positions_in_dictionary(column: Any) -> NDArray[np.integer[Any]]:
    """Return the position of every cell of a DictionaryArray, -1 where it is missing."""
    indices = column.indices
    if indices.null_count:
        indices = indices.cast("int64").fill_null(-1)
    positions: NDArray[np.integer[Any]] = indices.to_numpy(zero_copy_only=False)
    return positions.astype(np.int64) if positions.dtype.kind == "u" else positions
