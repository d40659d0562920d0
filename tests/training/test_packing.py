"""What is packed comes out again, in little room."""

import numpy as np
import pytest

from sparsectr.training.packing import (
    ALL_COMBINATIONS,
    FEWEST_COMBINATIONS,
    MOST_COMBINATIONS,
    count_remembered,
    count_values,
    pack_combinations,
    unpack_combinations,
)


@pytest.mark.parametrize("highest", [1, 255, 256, 70_000, 2**31 - 1])
def test_combinations_come_out_as_they_went_in(highest):
    rng = np.random.default_rng(0)
    shapes = [(7, 2), (1, 3), (1, 2), (20, 2), (3, 4)]
    codes = [rng.integers(0, highest, shape).astype(np.int32) for shape in shapes]
    codes[0][0, 0] = highest
    counts = [rng.integers(1, highest + 1, shape[0]) for shape in shapes]
    packed = pack_combinations(codes, counts)
    n_before = 0
    for place in range(len(shapes)):
        its_codes, its_counts, rows = unpack_combinations(packed, place)
        assert (its_codes.dtype, its_counts.dtype) == (np.int32, np.int64)
        np.testing.assert_array_equal(its_codes, codes[place])
        np.testing.assert_array_equal(its_counts, counts[place])
        assert (rows.start, rows.stop) == (n_before, n_before + len(counts[place]))
        n_before = rows.stop
    # One byte up to 255, two up to 65,535, four above.
    assert packed["codes"].itemsize == (1 if highest < 256 else 2 if highest < 65_536 else 4)


def test_no_crosses():
    assert all(len(part) == 0 for part in pack_combinations([], []).values())
    assert count_remembered(0, 10**9) == []


@pytest.mark.parametrize("n_crosses", [1, 10, 50, 119, 120, 121, 1000])
@pytest.mark.parametrize("n_weights", [100, 10**6, 10**9])
def test_the_strongest_crosses_have_most_room(n_crosses, n_weights):
    numbers = count_remembered(n_crosses, n_weights)
    assert len(numbers) == n_crosses
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] <= MOST_COMBINATIONS
    assert numbers[-1] >= FEWEST_COMBINATIONS
    room = max(ALL_COMBINATIONS, n_weights / 60, n_crosses * FEWEST_COMBINATIONS)
    assert sum(numbers) <= room
    # No room is left that a cross could have used.
    assert sum(numbers) > room - 1 or numbers[-1] == MOST_COMBINATIONS


def test_fields_of_large_nets_remember_as_many_values_as_crosses():
    assert count_values(12, 190_000) == 100
    assert count_values(20, 1_000_000) == 277
    assert count_values(20, 10_000_000) == MOST_COMBINATIONS
    assert count_values(1_000, 100) == 100
