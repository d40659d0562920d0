"""Values of several fields joined into one field, exactly."""

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.vocabulary import N_RESERVED, Vocabulary, learn_vocabulary
from sparsectr.stored_state import damaged, reading

UNKNOWN_LABEL = "unknown"
MISSING_LABEL = "missing"


class CrossVocabulary:
    """Give each combination of the codes of several fields a code of its own.

    Codes are as those of `FieldEncoder`: 0 for a combination that was never seen, codes from 2 for
    the others, the most frequent first. A missing value is a value like any other here, so that
    code 1 is not used. Two combinations never share a code, unless the cross is hashed.

    Parameters
    ----------
    positions : sequence of int
        Columns of the crossed fields in a matrix of codes.
    sizes : sequence of int
        Number of codes of each of these fields.
    field : Vocabulary or Buckets
        The joined keys and their codes.
    """

    def __init__(
        self, positions: Sequence[int], sizes: Sequence[int], field: Vocabulary | Buckets
    ) -> None:
        self.positions = list(positions)
        self.sizes = list(sizes)
        self.field = field

    @classmethod
    def learn(
        cls,
        codes: NDArray[np.int32],
        vocabulary_sizes: NDArray[np.int64],
        positions: Sequence[int],
        hash_buckets: int | None,
    ) -> Self:
        """Learn the combinations that occur in a matrix of codes.

        Parameters
        ----------
        codes : ndarray of int32, shape (n_rows, n_fields)
            What `FieldEncoder` returns.
        vocabulary_sizes : ndarray of int64, shape (n_fields,)
            Number of codes of each field.
        positions : sequence of int
            The fields to cross.
        hash_buckets : int or None
            More combinations than this are hashed into this many buckets; None never hashes.

        Returns
        -------
        CrossVocabulary
        """
        sizes = vocabulary_sizes[list(positions)].tolist()
        rows, values = pd.factorize(join_codes(codes[:, list(positions)], sizes))
        if hash_buckets is not None and len(values) > hash_buckets:
            return cls(positions, sizes, Buckets(hash_buckets))
        vocabulary, _ = learn_vocabulary(values, np.bincount(rows), 1, None)
        return cls(positions, sizes, vocabulary)

    @property
    def size(self) -> int:
        """Number of codes, the unused code 1 included."""
        return self.field.size

    def codes(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Look up the combinations of a matrix of codes, shapes (n, n_fields) -> (n,)."""
        return self.field.codes(join_codes(codes[:, self.positions], self.sizes))

    def __setstate__(self, state: dict[str, Any]) -> None:
        with reading("CrossVocabulary"):
            positions, sizes, field = state["positions"], state["sizes"], state["field"]
            numbers = [*positions, *sizes]
            if len(positions) != len(sizes) or not all(type(n) is int and n >= 0 for n in numbers):
                raise damaged("CrossVocabulary", "its fields have no sizes")
            self.__init__(positions, sizes, field)  # type: ignore[misc]

    def labels(self, labels_of_fields: Sequence[NDArray[np.generic]]) -> NDArray[Any]:
        """Describe each code by its values.

        Parameters
        ----------
        labels_of_fields : sequence of ndarray of str, shape (n_codes,)
            For each field of the table, the labels of its codes; see `label_codes`.

        Returns
        -------
        ndarray of str objects, shape (size,)
            Distinct labels such as ``"UA × ORD"``.
        """
        if self.field.values is None:
            return _labels([f"bucket {i}" for i in range(self.size - N_RESERVED)])
        parts = split_keys(self.field.values, self.sizes)
        chosen = [labels_of_fields[j][part] for j, part in zip(self.positions, parts, strict=True)]
        values = list(zip(*chosen, strict=True))
        joined = [" × ".join(value) for value in values]
        # ("a × b", "c") and ("a", "b × c") look alike.
        return _labels(joined if len(set(joined)) == len(joined) else list(map(repr, values)))


def join_codes(codes: NDArray[np.int32], sizes: Sequence[int]) -> NDArray[Any]:
    """Number the combinations of codes in a mixed radix system.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_rows, n_crossed)
        Codes of each field, below its size.
    sizes : sequence of int
        Number of codes of each field.

    Returns
    -------
    ndarray of int64 or object, shape (n_rows,)
        Different combinations have different keys. Python ints where 64 bits do not suffice.
    """
    fits = prod(sizes) <= np.iinfo(np.int64).max
    digits = codes.astype(np.int64 if fits else object)
    keys = digits[:, 0]
    for column, size in zip(digits.T[1:], sizes[1:], strict=True):
        keys = keys * size + column
    return keys


def split_keys(keys: NDArray[np.generic], sizes: Sequence[int]) -> list[NDArray[np.intp]]:
    """Take keys of `join_codes` apart again: for each field its codes, shape (n_keys,)."""
    parts = []
    for size in reversed(sizes):
        parts.append((keys % size).astype(np.intp))
        keys = keys // size
    return parts[::-1]


def label_codes(encoder: FieldEncoder) -> list[NDArray[Any]]:
    """Describe the codes of each field of a fitted encoder by distinct labels.

    Parameters
    ----------
    encoder : FieldEncoder
        A fitted encoder.

    Returns
    -------
    list of ndarray of str objects
        For each field the label of every code, those of unknown and missing included; of numeric
        fields the intervals of their bins.
    """
    labels = []
    values, sizes = encoder.vocabularies_, encoder.vocabulary_sizes_.tolist()
    for column in encoder._main_columns.tolist():
        if values[column] is None:
            labels.append(_labels([f"bucket {i}" for i in range(sizes[column] - N_RESERVED)]))
        else:
            shown = encoder._show(column, np.arange(N_RESERVED, sizes[column]))
            labels.append(_labels(_printed(shown.tolist())))
    return labels


def _printed(values: list[Any]) -> list[str]:
    """Print values, with quotes where 1 and "1" or a value named "missing" need them."""
    printed = list(map(str, values))
    taken = {UNKNOWN_LABEL, MISSING_LABEL, *printed}
    return printed if len(taken) == N_RESERVED + len(values) else list(map(repr, values))


def _labels(labels: list[str]) -> NDArray[Any]:
    return np.array([UNKNOWN_LABEL, MISSING_LABEL, *labels], dtype=object)
