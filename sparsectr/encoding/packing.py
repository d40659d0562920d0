"""Distinct values as they go into a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.stored_state import check_array, damaged

# The largest byte that is a character by itself.
ASCII = 127


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
    ends = np.cumsum(packed["lengths"], dtype=np.int64)
    strings = _split_ascii(packed["text"], ends)
    if strings is None:
        strings = _split_text(packed["text"].tobytes().decode("utf-8", "surrogatepass"), ends)
    values = np.empty(len(ends), dtype=object)
    values[:] = strings
    return values


def _split_ascii(text: NDArray[Any], ends: NDArray[np.int64]) -> list[str] | None:
    """Cut ASCII text behind every end, in half the time; None where it is no such text."""
    separator = ord("\n")
    if not len(ends) or ends[-1] != len(text) or text.max(initial=0) > ASCII or separator in text:
        return None
    lines = np.full(len(text) + len(ends), separator, dtype=np.uint8)
    is_text = np.ones(len(lines), dtype=bool)
    is_text[ends + np.arange(len(ends))] = False
    lines[is_text] = text
    return lines.tobytes().decode("ascii").split("\n")[:-1]


def _split_text(text: str, ends: NDArray[np.int64]) -> list[str]:
    """Cut text behind every end, in characters."""
    places = ends.tolist()
    if places[-1:] != [len(text)]:
        raise damaged("list of values", "its lengths are not those of its text")
    return [text[start:end] for start, end in zip([0, *places], places, strict=False)]
