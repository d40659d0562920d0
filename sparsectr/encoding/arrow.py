"""Arrow's columns in the arrays of NumPy and pandas. pyarrow is optional: only its data come."""

from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd


def from_arrow(column: Any) -> Any:
    """Convert an Arrow column without a detour through float.

    Parameters
    ----------
    column : pyarrow.ChunkedArray, shape (n_rows,)
        Cells of any type.

    Returns
    -------
    ndarray or pandas ExtensionArray, shape (n_rows,)
        Strings stay in Arrow's memory, dictionaries become categories. A null is missing, also
        inside a dictionary.
    """
    pa: Any = import_module("pyarrow")
    types, kind = pa.types, column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _from_extension(column)
    if types.is_dictionary(kind):
        return _from_dictionary(column)
    if types.is_run_end_encoded(kind):
        decode = import_module("pyarrow.compute").run_end_decode
        return from_arrow(pa.chunked_array(map(decode, column.chunks), kind.value_type))
    if types.is_string_view(kind):
        with suppress(pa.ArrowNotImplementedError):  # pyarrow 17 cannot cast them
            return from_arrow(column.cast(pa.large_string()))
    if types.is_string(kind) or types.is_large_string(kind):
        strings: Any = pd.StringDtype("pyarrow")
        return strings.__from_arrow__(column)
    if types.is_boolean(kind) or types.is_integer(kind):
        return _masked(column)
    if types.is_timestamp(kind) and kind.tz is not None:
        return pd.DatetimeIndex(column.to_numpy()).tz_localize("UTC").tz_convert(kind.tz).array
    # Intervals of months, days and nanoseconds are temporal, too.
    if types.is_floating(kind) or (types.is_temporal(kind) and _has_unit(types, kind)):
        return column.to_numpy()
    cells = np.empty(len(column), dtype=object)
    cells[:] = column.to_pylist()
    return cells


def is_list(kind: Any) -> bool:
    """Tell whether the cells of a column of this Arrow type are lists."""
    types: Any = import_module("pyarrow").types
    return any(
        getattr(types, name)(kind) for name in ("is_list", "is_large_list", "is_fixed_size_list")
    )


def _has_unit(types: Any, kind: Any) -> bool:
    return types.is_date(kind) or types.is_timestamp(kind) or types.is_duration(kind)


def _masked(column: Any) -> Any:
    """Convert integers or booleans, in an array with a mask if some are missing."""
    if column.null_count == 0:
        return column.to_numpy()
    missing = column.is_null().to_numpy()
    if column.type == "bool":
        return pd.arrays.BooleanArray(column.fill_null(False).to_numpy(), missing)
    return pd.arrays.IntegerArray(column.fill_null(0).to_numpy(), missing)


def _from_extension(column: Any) -> Any:
    """Convert an extension type by what pandas knows of it, or else its storage."""
    pa: Any = import_module("pyarrow")
    try:
        known = column.type.to_pandas_dtype()
    except NotImplementedError:
        known = None
    if hasattr(known, "__from_arrow__"):
        return known.__from_arrow__(column)
    storage = [chunk.storage for chunk in column.chunks]
    return from_arrow(pa.chunked_array(storage, column.type.storage_type))


def _from_dictionary(column: Any) -> Any:
    """Make categories of dictionaries, each of which may hold null, and equal values twice."""
    pa: Any = import_module("pyarrow")
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):  # those that hold null, or lists
        column = column.unify_dictionaries()
    dictionaries = [chunk.dictionary for chunk in column.chunks[: _n_dictionaries(column)]]
    entries = from_arrow(pa.chunked_array(dictionaries, column.type.value_type))
    codes_of_entries, values = pd.factorize(entries)
    codes_of_entries = np.append(codes_of_entries, -1)  # where the index is null
    parts, start = [np.empty(0, dtype=np.intp)], 0
    for place, chunk in enumerate(column.chunks):
        indices = chunk.indices.cast(pa.int64())
        places = indices.fill_null(0).to_numpy() + start
        places[indices.is_null().to_numpy(zero_copy_only=False)] = -1
        parts.append(codes_of_entries[places])
        if place + 1 < len(dictionaries):
            start += len(chunk.dictionary)
    categories = pd.Index(values, tupleize_cols=False)
    return pd.Categorical.from_codes(np.concatenate(parts), categories)


def _n_dictionaries(column: Any) -> int:
    """Count the dictionaries that differ: one, where the chunks share theirs."""
    first = [chunk.dictionary for chunk in column.chunks[:1]]
    shared = all(chunk.dictionary.equals(first[0]) for chunk in column.chunks[1:])
    return len(first) if shared else column.num_chunks
