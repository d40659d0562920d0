"""Fields of several values: a code for every value, and one for every set of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bag_columns import BagColumn, Ints, number_bags, sort_bags
from sparsectr.encoding.bag_counts import BagCounts
from sparsectr.encoding.packing import check_packed, pack, unpack
from sparsectr.encoding.vocabulary import (
    MISSING,
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    as_objects,
    learn_vocabulary,
)
from sparsectr.stored_state import check_array, damaged, reading

# The codes of a set that has none, rising, to one.
NewCode = Callable[[NDArray[np.int32]], int]


class BagRows(NamedTuple):
    """Say of which rows of a table of values the rows of sets are the means.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_bags,)
        The row of each set.
    starts : ndarray of int64, shape (n_bags + 1,)
        Where the values of each set begin.
    values : ndarray of int64, shape (n_lookups,)
        The rows of the values of each set.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    values: NDArray[np.int64]


class BagVocabulary:
    """Map the sets of values of one field to codes.

    A set of one value has the code of this value, as in a field of single values. Larger sets that
    training rows have get the codes behind those of the values. The order of values does not
    matter; a value that comes twice counts twice.

    Parameters
    ----------
    vocabulary : Vocabulary
        The single values.
    separator : str or None
        As in `read_bags`.
    starts : ndarray of int64, shape (n_bags + 1,)
        Where the values of each larger set begin.
    lookups : ndarray of int32, shape (n_lookups,)
        The codes of the values of each larger set, rising within it; 0 for unknown values.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        separator: str | None,
        starts: NDArray[np.int64],
        lookups: NDArray[np.int32],
    ) -> None:
        self.vocabulary = vocabulary
        self.separator = separator
        self.starts = starts
        self.lookups = lookups
        self._known: dict[bytes, int] | None = None

    @property
    def n_bags(self) -> int:
        """Number of sets of more than one value that have a code."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """Number of codes, those of unknown and missing values and of sets included."""
        return self.vocabulary.size + self.n_bags

    @property
    def values(self) -> NDArray[np.object_]:
        """What the codes from 2 on stand for: values, then tuples of values."""
        single = np.empty(self.vocabulary.size, dtype=object)
        single[N_RESERVED:] = as_objects(self.vocabulary.values)
        values = np.empty(self.size - N_RESERVED, dtype=object)
        values[: len(single) - N_RESERVED] = single[N_RESERVED:]
        parts = np.split(single[self.lookups], self.starts[1:-1]) if self.n_bags else []
        for place, part in enumerate(parts, len(single) - N_RESERVED):
            values[place] = tuple(part.tolist())
        return values

    def names(self) -> NDArray[np.object_]:
        """Return `values` with the sets as texts."""
        joint = self.separator or ", "
        values = self.values
        for place in range(self.vocabulary.size - N_RESERVED, len(values)):
            values[place] = joint.join("unknown" if v is None else str(v) for v in values[place])
        return values

    def codes(self, values: NDArray[np.generic]) -> NDArray[np.int32]:
        """Look up single values (m,), none missing; see `Vocabulary.codes`."""
        return self.vocabulary.codes(values)

    def code(self, value: str | int) -> int:
        """Look up one single value."""
        return self.vocabulary.code(value)

    def codes_of(self, column: BagColumn, new: NewCode | None = None) -> NDArray[np.int32]:
        """Look up the cells of a column.

        Parameters
        ----------
        column : BagColumn
            Of n_rows cells.
        new : callable, optional
            Gives codes to sets that have none. Without it they are unknown.

        Returns
        -------
        ndarray of int32, shape (n_rows,)
        """
        codes = self.vocabulary.codes(column.values)
        starts, lookups = sort_bags(column.starts, codes[column.positions])
        found = _codes_of_equal(starts, lookups)
        several = np.flatnonzero(found < 0)
        numbers, keys = number_bags(starts, lookups, several)
        known = self._index()
        of_keys = np.empty(len(keys), dtype=np.int32)
        for place, key in enumerate(keys):
            code = known.get(key)
            if code is None:
                code = UNKNOWN if new is None else new(np.frombuffer(key, np.int32))
            of_keys[place] = code
        found[several] = of_keys[numbers]
        return np.append(found, np.int32(MISSING))[column.bags]

    def spread(self, codes: Ints) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Take sets apart.

        Parameters
        ----------
        codes : ndarray of int, shape (n,)
            Codes of this field.

        Returns
        -------
        places : ndarray of int, shape (m,)
            The place in ``codes`` of every value, rising; a set has as many entries as values.
        values : ndarray of int32, shape (m,)
            The codes of the values.
        """
        numbers = np.maximum(codes.astype(np.int64) - self.vocabulary.size, -1)
        # The last entry is that of single values.
        lengths = np.append(np.diff(self.starts), 1)[numbers]
        first = np.append(self.starts[:-1], 0)[numbers]
        places = np.repeat(np.arange(len(codes)), lengths)
        within = np.arange(len(places)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = codes[places].astype(np.int32)
        is_bag = numbers[places] >= 0
        values[is_bag] = self.lookups[(first[places] + within)[is_bag]]
        return places, values

    def _index(self) -> dict[bytes, int]:
        if self._known is None:
            _, keys = number_bags(self.starts, self.lookups, np.arange(self.n_bags))
            self._known = {key: code for code, key in enumerate(keys, self.vocabulary.size)}
        return self._known

    def __getstate__(self) -> dict[str, Any]:
        return pack(self.vocabulary.values) | {
            "separator": self.separator,
            "bag_starts": self.starts,
            "bag_lookups": self.lookups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        with reading("BagVocabulary"):
            state = dict(state)
            separator = state.pop("separator")
            starts = check_array("bag_starts", state.pop("bag_starts"), "i", (None,))
            lookups = check_array("bag_lookups", state.pop("bag_lookups"), "i", (None,))
            vocabulary = Vocabulary(unpack(check_packed("BagVocabulary", state)))
            lengths = np.diff(starts)
            if not len(starts) or starts[0] or starts[-1] != len(lookups) or (lengths < 2).any():
                raise damaged("BagVocabulary", "its sets have no values")
            if len(lookups) and not (lookups.min() >= 0 and lookups.max() < vocabulary.size):
                raise damaged("BagVocabulary", "its sets hold other values")
            self.__init__(vocabulary, separator, starts, lookups)  # type: ignore[misc]


def learn_bags(
    counts: BagCounts, min_count: float, max_categories: int | None, separator: str | None
) -> BagVocabulary:
    """Learn the values of one field, and the sets of them that rows have.

    Parameters
    ----------
    counts : BagCounts
        Values, sets and their numbers of rows.
    min_count, max_categories
        As in `most_frequent`, for values. Sets are all kept.
    separator : str or None
        As in `read_bags`.
    """
    vocabulary, codes = learn_vocabulary(counts.values, counts.counts, min_count, max_categories)
    starts, lookups = sort_bags(counts.starts, codes[counts.positions])
    several = np.flatnonzero((_codes_of_equal(starts, lookups) < 0) & (counts.bag_counts > 0))
    numbers, keys = number_bags(starts, lookups, several)
    rows = np.bincount(numbers, counts.bag_counts[several], len(keys))
    parts = [np.frombuffer(key, np.int32) for key in keys]
    # By falling frequency, equal ones by their codes, whatever the order of the rows.
    order = sorted(range(len(keys)), key=lambda k: (-rows[k], len(parts[k]), parts[k].tolist()))
    lengths = np.array([len(parts[k]) for k in order], dtype=np.int64)
    nothing = np.empty(0, dtype=np.int32)
    return BagVocabulary(
        vocabulary,
        separator,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([nothing, *(parts[k] for k in order)]),
    )


def gather_bags(columns: Sequence[Any]) -> BagRows | None:
    """Return the sets of all columns of codes, None if no column has sets."""
    if not any(isinstance(column, BagVocabulary) for column in columns):
        return None
    rows, lengths, values, first = [], [], [], 0
    for column in columns:
        if isinstance(column, BagVocabulary):
            rows.append(np.arange(first + column.vocabulary.size, first + column.size))
            lengths.append(np.diff(column.starts))
            values.append(column.lookups.astype(np.int64) + first)
        first += column.size
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return BagRows(np.concatenate(rows), starts, np.concatenate(values))


def _codes_of_equal(starts: NDArray[np.int64], lookups: Ints) -> NDArray[np.int32]:
    """Return the one code of sorted bags whose values are all equal, else -1, (n_bags,)."""
    found = np.full(len(starts) - 1, -1, dtype=np.int32)
    filled = np.flatnonzero(np.diff(starts))
    first, last = lookups[starts[filled]], lookups[starts[filled + 1] - 1]
    found[filled] = np.where(first == last, first, -1)
    found[np.diff(starts) == 0] = MISSING
    return found
