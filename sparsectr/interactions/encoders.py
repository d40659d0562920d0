"""Fit encoders of other libraries on columns of codes, without leaks."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import get_tags

Floats: TypeAlias = NDArray[np.float64]
Fold: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]


def needs_target(encoder: BaseEstimator) -> bool:
    """Tell whether an encoder learns from the target, by its tags."""
    return bool(get_tags(encoder).target_tags.required)


def fit_encoder(encoder: BaseEstimator, frame: pd.DataFrame, target: Floats | None) -> Any:
    """Fit a copy of an encoder.

    A copy, because encoders of category-encoders write what they learn into their parameters: a
    second fit of the same object would look for the columns of the first.

    Parameters
    ----------
    encoder : transformer
        Stays as it is.
    frame : DataFrame of shape (n_rows, n_columns)
        Columns of dtype category.
    target : ndarray of shape (n_rows,) or None
        1 for the rows of the class and 0 for the others; None for encoders without a target.

    Returns
    -------
    transformer
        The fitted copy.
    """
    fitted = clone(encoder)
    if hasattr(fitted, "set_output"):
        fitted.set_output(transform="default")
    return fitted.fit(frame) if target is None else fitted.fit(frame, target)


def encode(encoder: BaseEstimator, frame: pd.DataFrame) -> Any:
    """Return what a fitted encoder makes of a frame: float64, dense or a CSR matrix."""
    encoded = encoder.transform(frame)
    return encoded.tocsr() if hasattr(encoded, "tocsr") else np.asarray(encoded, dtype=np.float64)


def encode_out_of_fold(
    encoder: BaseEstimator, frame: pd.DataFrame, target: Floats, folds: Iterable[Fold]
) -> Any:
    """Encode each fold by an encoder that was fitted on the other folds.

    Parameters
    ----------
    encoder, frame
        As in `fit_encoder`.
    target : ndarray of shape (n_rows,)
        As there.
    folds : iterable of (train_rows, test_rows)
        Every row is a test row once.

    Returns
    -------
    ndarray or CSR matrix of shape (n_rows, n_columns_out), float64
        The target of a row has no part in its own encoding.
    """
    parts, rows = [], []
    for train, test in folds:
        fitted = fit_encoder(encoder, frame.iloc[train], target[train])
        parts.append(encode(fitted, frame.iloc[test]))
        rows.append(test)
    stacked = sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.concatenate(parts)
    return stacked[np.argsort(np.concatenate(rows))]


def make_folds(
    numbers: NDArray[Any], n_folds: int, random_state: int | np.random.RandomState | None
) -> list[Fold]:
    """Split rows into shuffled folds, with equal shares of classes.

    Parameters
    ----------
    numbers : ndarray of int or float, shape (n_rows,)
        Class number of every row, or numbers of type float, which have no classes.
    n_folds : int
        Number of folds; fewer if no class has so many rows.
    random_state : int, RandomState instance or None
        Source of the shuffle.

    Returns
    -------
    list of (train_rows, test_rows)
    """
    if numbers.dtype.kind == "f":
        folds = KFold(min(n_folds, len(numbers)), shuffle=True, random_state=random_state)
        return list(folds.split(numbers))
    counts = np.bincount(numbers)
    n_folds = min(n_folds, counts.max())
    # A class too small to be in every fold is dealt out together with the largest one.
    strata = np.where(counts[numbers] >= n_folds, numbers, counts.argmax())
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    return list(splitter.split(strata[:, None], strata))
