"""Validation rows that are the last ones, or whole groups."""

import numpy as np
import pytest

from sparsectr.targets.holdout import split_groups, split_last


def test_the_last_rows_are_held_out():
    train, held_out = split_last(np.array([5, 1, 2, 9, 3, 4, 8, 0, 7, 6]), 0.3)
    assert train.tolist() == [0, 1, 2, 4, 5, 7, 9]
    assert held_out.tolist() == [3, 6, 8]


def test_rows_of_one_time_stay_together():
    train, held_out = split_last(np.array([0, 1, 1, 1, 2]), 0.4)
    assert (train.tolist(), held_out.tolist()) == ([0], [1, 2, 3, 4])
    # Nearly all rows have the first time: the others are held out, however few.
    train, held_out = split_last(np.array([0, 0, 0, 0, 1]), 0.9)
    assert (train.tolist(), held_out.tolist()) == ([0, 1, 2, 3], [4])
    with pytest.raises(ValueError, match="rows of at least two times, got one"):
        split_last(np.zeros(5, dtype=np.int64), 0.1)


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides(seed):
    groups = np.random.RandomState(seed).randint(20, size=1_000) ** 2
    train, held_out = split_groups(groups, 0.1, np.random.RandomState(seed))
    assert sorted([*train, *held_out]) == list(range(1_000))
    assert not set(groups[train]) & set(groups[held_out])
    assert 100 <= len(held_out) <= 100 + np.bincount(groups).max()


def test_one_group_stays_for_training():
    train, held_out = split_groups(np.array([7, 7, 3]), 0.99, np.random.RandomState(0))
    assert len(train)
    assert len(held_out)
    with pytest.raises(ValueError, match="at least two groups, got one"):
        split_groups(np.array([7, 7]), 0.5, np.random.RandomState(0))
