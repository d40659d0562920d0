"""Distinct values as they go into a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Turn values into arrays that are stored fast, and small.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Any values.

    Returns
    -------
    dict of str to ndarray
        Of strings, "text": all of them in UTF-8, one behind the other, and "lengths": their numbers
        of characters. Of other values, "values": as given.
    """
    if values.dtype != object or set(map(type, values.tolist())) != {str}:
        return {"values": values}
    strings = values.tolist()
    lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
    # Half a surrogate pair is no text, but a value like any other.
    text = "".join(strings).encode("utf-8", "surrogatepass")
    return {
        "text": np.frombuffer(text, dtype=np.uint8),
        "lengths": lengths.astype(np.min_scalar_type(lengths.max())),
    }


def unpack(packed: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the values that `pack` was given, shape (n_values,)."""
    if "text" not in packed:
        return packed["values"]
    text = packed["text"].tobytes().decode("utf-8", "surrogatepass")
    ends = np.cumsum(packed["lengths"], dtype=np.int64).tolist()
    values = np.empty(len(ends), dtype=object)
    values[:] = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return values
