"""Codes without a vocabulary: a stable hash of the value."""

import math
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import N_RESERVED, as_number, as_objects
from sparsectr.stored_state import damaged

_HASH_KEY = "sparsectr-fields"  # 16 bytes; changing it changes every hashed code


class Buckets:
    """Map the values of one field to codes by a hash, storing no values.

    Parameters
    ----------
    n_buckets : int
        Number of buckets; the codes run from 2 to ``n_buckets + 1``.

    Attributes
    ----------
    size : int
        Number of codes, those of unknown (never used) and missing included.
    values : None
        Hashed values cannot be given back.
    """

    values = None

    def __init__(self, n_buckets: int) -> None:
        self.n_buckets = n_buckets

    @property
    def size(self) -> int:
        return N_RESERVED + self.n_buckets

    def codes(self, values: NDArray[np.generic]) -> NDArray[np.int32]:
        """Hash values into buckets, shapes (m,) -> (m,)."""
        return (hash_values(values) % np.uint64(self.n_buckets) + N_RESERVED).astype(np.int32)

    def __setstate__(self, state: dict[str, Any]) -> None:
        n_buckets = state.get("n_buckets") if isinstance(state, dict) else None
        if type(n_buckets) is not int or not 1 <= n_buckets <= np.iinfo(np.int32).max - N_RESERVED:
            raise damaged("Buckets", f"their number is {n_buckets!r}")
        self.n_buckets = n_buckets


def hash_values(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Hash values to 64 bits, the same in every process and on every machine.

    Values that are equal in Python (1, 1.0 and True) have equal hashes, whatever the dtype of
    their array. Strings are hashed by their UTF-8 bytes (SipHash), times by their ISO form in UTC,
    values of other types by what they print.

    Parameters
    ----------
    values : ndarray, shape (m,)
        Any values, none missing.

    Returns
    -------
    ndarray of uint64, shape (m,)
    """
    if values.dtype.kind in "biu":
        return _hash(values.astype(np.uint64))  # negative integers wrap around
    hashes = np.empty(len(values), dtype=np.uint64)
    keys = [_key(value) for value in as_objects(values)]
    # One call for each type of key: pandas hashes an array of one type, and integers by value.
    for key_type, dtype in ((int, np.uint64), (float, np.float64), (bytes, np.object_)):
        chosen = np.array([type(key) is key_type for key in keys], dtype=np.bool_)
        hashes[chosen] = _hash(np.array([k for k in keys if type(k) is key_type], dtype=dtype))
    return hashes


def _hash(keys: NDArray[np.generic]) -> NDArray[np.uint64]:
    return pd.util.hash_array(keys, hash_key=_HASH_KEY, categorize=False)


def _key(value: object) -> int | float | bytes:
    """Return what stands for a value in the hash: whole numbers modulo 2**64."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    number = as_number(value)
    if number is None:
        return _printed(value).encode("utf-8", "surrogatepass")
    if isinstance(number, int) or (math.isfinite(number) and number == int(number)):
        return int(number) % 2**64
    return float(number)


def _printed(value: object) -> str:
    if not isinstance(value, datetime):
        return f"{type(value).__name__} {value!r}"
    stamp = pd.Timestamp(value)
    return f"datetime {(stamp if stamp.tz is None else stamp.tz_convert('UTC')).isoformat()}"
