"""Combinations of values of many crosses in few arrays, each of the smallest type that holds it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.integer]

# Combinations of values that are remembered of a cross: at most, and at least of every one.
MOST_COMBINATIONS = 400
FEWEST_COMBINATIONS = 50
# Combinations of all crosses together, and weights for each further one: a combination takes about
# as many bytes as three weights, so that all of them are a twentieth of a larger net.
ALL_COMBINATIONS = 6_000
WEIGHTS_PER_COMBINATION = 60
# Values that are remembered of a field at least, and weights of the net for each further one.
FEWEST_VALUES = 100
WEIGHTS_PER_VALUE = 180


def count_remembered(n_crosses: int, n_weights: int) -> list[int]:
    """Return how many combinations to remember of every cross, the strongest first.

    A file should be little larger than the weights. In a small net the strongest crosses have as
    many as in a large one, the others fewer.

    Parameters
    ----------
    n_crosses : int
        Number of crosses.
    n_weights : int
        Number of weights of the net.
    """
    n_left = max(ALL_COMBINATIONS, n_weights // WEIGHTS_PER_COMBINATION)
    numbers = []
    for n_after in range(n_crosses - 1, -1, -1):
        free = n_left - FEWEST_COMBINATIONS * n_after
        numbers.append(min(MOST_COMBINATIONS, max(FEWEST_COMBINATIONS, free)))
        n_left -= numbers[-1]
    return numbers


def count_values(n_fields: int, n_weights: int) -> int:
    """Return how many values to remember of every field of a net with so many weights."""
    free = n_weights // (WEIGHTS_PER_VALUE * n_fields)
    return min(MOST_COMBINATIONS, max(FEWEST_VALUES, free))


def pack_combinations(codes: Sequence[Array], counts: Sequence[Array]) -> dict[str, Array]:
    """Pack the combinations of several crosses.

    Parameters
    ----------
    codes : sequence of ndarray of int, shape (M, o)
        For every cross the codes of its o fields; at least one combination.
    counts : sequence of ndarray of int, shape (M,)
        How many rows have each combination.

    Returns
    -------
    dict of str to ndarray
        For `unpack_combinations`; "ends" are the places behind the combinations of every cross.
    """
    return {
        "codes": _smallest([part.ravel() for part in codes]),
        "counts": _smallest(counts),
        "code_ends": _smallest([np.cumsum([part.size for part in codes])]),
        "ends": _smallest([np.cumsum([len(part) for part in counts])]),
    }


def unpack_combinations(packed: dict[str, Array], place: int) -> tuple[Array, Array, slice]:
    """Return the codes (M, o) and counts (M,) of one cross, and where its combinations stand."""
    rows, cells = (_part(packed[name], place) for name in ("ends", "code_ends"))
    counts = packed["counts"][rows].astype(np.int64)
    codes = packed["codes"][cells].astype(np.int32)
    return codes.reshape(len(counts), -1), counts, rows


def _part(ends: Array, place: int) -> slice:
    return slice(int(ends[place - 1]) if place else 0, int(ends[place]))


def _smallest(parts: Sequence[Array]) -> Array:
    """Join arrays of numbers >= 0 in the smallest type that holds them."""
    joined = np.concatenate([np.zeros(0, np.int64), *parts])
    return joined.astype(np.min_scalar_type(int(joined.max(initial=0))))
