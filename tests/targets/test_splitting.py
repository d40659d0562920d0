"""The validation split."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from sparsectr.targets.splitting import split_rows


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.05, 0.9))
def test_split_is_disjoint_and_complete(numbers, fraction):
    numbers = np.array(numbers)
    n_validation = int(np.ceil(fraction * len(numbers)))
    if n_validation == len(numbers):
        return
    train, validation = split_rows(numbers, fraction, np.random.RandomState(0))
    assert len(validation) == n_validation
    assert sorted([*train, *validation]) == list(range(len(numbers)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


@given(
    numbers=st.lists(st.sampled_from([0, 0, 0, 1, 1, 3, 4]), min_size=2, max_size=60),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_split_draws_the_rows_of_scikit_learn(numbers, fraction, seed):
    numbers = np.array(numbers)
    n_validation = int(np.ceil(fraction * len(numbers)))
    if n_validation == len(numbers):
        return
    counts = np.bincount(numbers)
    rows = np.flatnonzero(counts[numbers] > 1)
    if n_validation >= len(rows):
        rows = np.arange(len(numbers))
    of_rows = numbers[rows]
    fewest = min(n_validation, len(rows) - n_validation)
    stratify = counts[of_rows].min() > 1 and fewest >= len(np.unique(of_rows))
    ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
    expected = train_test_split(
        rows, test_size=n_validation, stratify=of_rows if stratify else None, random_state=theirs
    )[1]
    assert split_rows(numbers, fraction, ours)[1].tolist() == sorted(expected)
    # The source is left alike: what is drawn next stays what it was.
    assert ours.randint(2**31) == theirs.randint(2**31)


def test_split_keeps_class_shares_and_the_only_row_of_a_class():
    numbers = np.repeat([0, 1, 2], [80, 20, 1])
    train, validation = split_rows(numbers, 0.1, np.random.RandomState(0))
    assert np.bincount(numbers[validation], minlength=3).tolist() == [9, 2, 0]
    assert 100 in train
