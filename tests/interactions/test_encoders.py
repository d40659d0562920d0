"""Encoders of other libraries: copies, folds, no leaks."""

import category_encoders as ce
import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from sparsectr.interactions.encoders import (
    encode,
    encode_out_of_fold,
    fit_encoder,
    make_folds,
    needs_target,
)

# category-encoders 2.11 with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated")


def make_frame(codes, size):
    index = pd.RangeIndex(size)
    return pd.DataFrame(
        {
            f"c{j}": pd.Categorical.from_codes(column, categories=index)
            for j, column in enumerate(codes.T)
        }
    )


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.integers(2, 9, size=(300, 2)), rng.integers(0, 2, 300).astype(np.float64)


@pytest.mark.parametrize(
    ("encoder", "needs"),
    [
        (ce.TargetEncoder(), True),
        (ce.CatBoostEncoder(), True),
        (ce.CountEncoder(), False),
        (TargetEncoder(), True),
        (OneHotEncoder(), False),
    ],
)
def test_which_encoders_need_a_target(encoder, needs):
    assert needs_target(encoder) is needs


def test_the_encoder_passed_stays_as_it_is(rows):
    codes, target = rows
    encoder = ce.TargetEncoder()
    before = encoder.get_params()
    first = fit_encoder(encoder, make_frame(codes, 9), target)
    assert encoder.get_params() == before
    assert first.cols == ["c0", "c1"]  # the trap: what is learnt lies in a parameter
    renamed = make_frame(codes, 9).set_axis(["d0", "d1"], axis=1)
    assert np.array_equal(
        encode(fit_encoder(encoder, renamed, target), renamed),
        encode(first, make_frame(codes, 9)),
    )


def test_counts_are_counts(rows):
    codes, _ = rows
    frame = make_frame(codes, 9)
    encoded = encode(fit_encoder(ce.CountEncoder(), frame, None), frame)
    for j in range(2):
        assert np.array_equal(encoded[:, j], np.bincount(codes[:, j])[codes[:, j]])


def test_out_of_fold_means_are_those_of_the_other_folds(rows):
    codes, target = rows
    folds = make_folds(target.astype(int), 4, random_state=0)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(300))
    encoder = TargetEncoder(smooth=0.0, target_type="continuous")
    encoded = encode_out_of_fold(encoder, make_frame(codes, 9), target, folds)
    for train, test in folds:
        means = pd.Series(target[train]).groupby(codes[train, 0]).mean()
        assert np.allclose(encoded[test, 0], means[codes[test, 0]])


def test_a_row_has_no_part_in_its_own_encoding(rows):
    codes, target = rows
    folds = make_folds(target.astype(int), 5, random_state=0)
    encoder, frame = ce.TargetEncoder(), make_frame(codes, 9)
    encoded = encode_out_of_fold(encoder, frame, target, folds)
    for _, test in folds[:2]:
        changed = target.copy()
        changed[test] = 1 - changed[test]
        again = encode_out_of_fold(encoder, frame, changed, folds)
        assert np.array_equal(again[test], encoded[test])
        assert not np.array_equal(again, encoded)


@pytest.mark.parametrize("counts", [[40, 7, 1], [3, 2], [200, 100]])
def test_folds_share_classes_out(counts):
    numbers = np.repeat(np.arange(len(counts)), counts)
    folds = make_folds(numbers, 5, random_state=0)
    assert len(folds) == min(5, max(counts))
    for number, count in enumerate(counts):
        if count >= len(folds):
            found = [(numbers[test] == number).sum() for _, test in folds]
            assert max(found) - min(found) <= 1 + (min(counts) < len(folds))


def test_sparse_blocks_come_back_in_the_order_of_the_rows(rows):
    codes, target = rows
    frame, folds = make_frame(codes, 9), make_folds(target.astype(int), 3, random_state=1)
    # A one-hot encoding does not look at the target, so that folds change nothing.
    encoder = OneHotEncoder(categories=[np.arange(9)] * 2)
    encoded = encode_out_of_fold(encoder, frame, target, folds)
    assert np.array_equal(
        encoded.toarray(), encode(fit_encoder(encoder, frame, None), frame).toarray()
    )
