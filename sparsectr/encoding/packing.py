"""Distinct values as they go into a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.stored_state import check_array, damaged


def pack(values: NDArray[np.generic]) -> dict[str, NDArray[Any]]:
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


def check_packed(name: str, packed: Any) -> dict[str, NDArray[Any]]:
    """Return what `pack` has made and a file has given back.

    Parameters
    ----------
    name : str
        Class that it is part of, for errors.
    packed : dict of str to ndarray
        What was stored.

    Raises
    ------
    ValueError
        If it cannot be what `pack` has made.
    """
    if not isinstance(packed, dict) or packed.keys() not in ({"values"}, {"text", "lengths"}):
        raise damaged(name, "its values are missing")
    if "values" in packed:
        check_array(name, packed["values"], "biufOSUVMm", (None,), finite=False)
        return packed
    check_array(name, packed["text"], "u", (None,))
    lengths = check_array(name, packed["lengths"], "u", (None,))
    if packed["text"].itemsize > 1:
        raise damaged(name, "its text is no UTF-8")
    # A character takes one to four bytes. Sums of floats do not wrap around.
    n_characters, n_bytes = lengths.sum(dtype=np.float64), len(packed["text"])
    if not n_bytes / 4 <= n_characters <= n_bytes:
        raise damaged(name, f"{n_bytes} bytes are not {n_characters:.0f} characters")
    return packed


def unpack(packed: dict[str, NDArray[np.generic]]) -> NDArray[Any]:
    """Return the values that `pack` was given, shape (n_values,)."""
    if "text" not in packed:
        return packed["values"]
    text = packed["text"].tobytes().decode("utf-8", "surrogatepass")
    ends = np.cumsum(packed["lengths"], dtype=np.int64).tolist()
    if ends[-1:] != [len(text)]:
        raise damaged("list of values", "its lengths are not those of its text")
    values = np.empty(len(ends), dtype=object)
    values[:] = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return values
