"""Statistics of cells, and the folds that keep a row's own label out of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.ensembles.cells import (
    deal_folds,
    log_loss_of_means,
    means_out_of_fold,
    shrink,
    sum_cells,
)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(2, 7))
def test_folds_share_out_every_class(classes, n_folds):
    numbers = np.array(classes)
    folds = deal_folds(numbers, n_folds, np.random.RandomState(0))
    for number in np.unique(numbers):
        counts = np.bincount(folds[numbers == number], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.max() - sizes.min() <= 1


def test_folds_are_drawn():
    numbers = np.zeros(100, dtype=int)
    first, second = (deal_folds(numbers, 5, np.random.RandomState(seed)) for seed in (0, 1))
    assert (first != second).any()


def test_shrunk_means():
    cells, targets = np.array([0, 0, 2]), np.array([[1.0], [0.0], [1.0]])
    counts, sums = sum_cells(cells, 4, targets, np.array([1.0, 2.0, 1.0]))
    assert counts.tolist() == [3, 0, 1, 0]
    assert sums.ravel().tolist() == [1, 0, 1, 0]
    # The mean of all is 2 / 4, and counts as two rows.
    np.testing.assert_allclose(shrink(counts, sums, 2.0).ravel(), [2 / 5, 1 / 2, 2 / 3, 1 / 2])


def test_means_out_of_fold_are_those_of_the_other_rows():
    rng = np.random.default_rng(0)
    cells, folds = rng.integers(0, 5, 80), rng.integers(0, 4, 80)
    targets, weights = rng.random((80, 2)), rng.random(80)
    means = means_out_of_fold(cells, 5, targets, weights, folds, 3.0)
    for row in range(80):
        others = folds != folds[row]
        alike = others & (cells == cells[row])
        prior = np.average(targets[others], axis=0, weights=weights[others])
        sums = weights[alike] @ targets[alike] + 3 * prior
        np.testing.assert_allclose(means[row], sums / (weights[alike].sum() + 3))


def test_no_row_sees_its_own_label():
    cells, folds = np.arange(10), np.arange(10) % 2
    targets = np.zeros((10, 1))
    before = means_out_of_fold(cells, 10, targets, np.ones(10), folds, 1.0)
    targets[3] = 1
    after = means_out_of_fold(cells, 10, targets, np.ones(10), folds, 1.0)
    assert after[3] == before[3]
    assert (after[folds == 0] > before[folds == 0]).all()  # through the mean of all


def test_log_loss_of_means():
    means, targets = np.array([[0.5], [0.25]]), np.array([[1.0], [0.0]])
    expected = (-np.log(0.5) - 3 * np.log(0.75)) / 4
    assert log_loss_of_means(means, targets, np.array([1.0, 3.0])) == pytest.approx(expected)
