"""Codes without a vocabulary: a stable hash of the value."""

from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import N_RESERVED

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

    def codes(self, values: NDArray[Any]) -> NDArray[np.int32]:
        """Hash values into buckets, shapes (m,) -> (m,)."""
        return (hash_values(values) % np.uint64(self.n_buckets) + N_RESERVED).astype(np.int32)


def hash_values(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash values to 64 bits, the same in every process and on every machine.

    Values that are equal in Python (1, 1.0 and True) have equal hashes, whatever the dtype of
    their array; strings are hashed by their UTF-8 bytes (SipHash), times by their nanoseconds,
    and values of other types by what they print.

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
    if values.dtype.kind == "f":
        integral = (np.abs(values) < 2.0**63) & (values == np.floor(values))
        hashes = _hash(values.astype(np.float64))
        hashes[integral] = _hash(values[integral].astype(np.int64).astype(np.uint64))
        return hashes
    cells = pd.Index(values, dtype=values.dtype, tupleize_cols=False).astype(object)
    numeric = np.fromiter((isinstance(v, Real | Decimal) for v in cells), np.bool_, len(cells))
    hashes = np.empty(len(cells), dtype=np.uint64)
    hashes[numeric] = [_hash_number(value) for value in cells[numeric]]
    texts = [v if isinstance(v, str) else f"{type(v).__name__} {v!r}" for v in cells[~numeric]]
    hashes[~numeric] = _hash(np.array(texts, dtype=object))
    return hashes


def _hash(values: NDArray[Any]) -> NDArray[np.uint64]:
    return pd.util.hash_array(values, hash_key=_HASH_KEY, categorize=False)


def _hash_number(value: Any) -> np.uint64:
    """Hash one number of an object column as its own dtype would be hashed."""
    if isinstance(value, Integral) or value == value // 1:
        return _hash(np.array([int(value) % 2**64], dtype=np.uint64))[0]
    return _hash(np.array([value], dtype=np.float64))[0]
