"""Find crosses that a model has not learnt."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils.validation import check_is_fitted

from sparsectr.encoding.columns import TableLike, as_table, take_rows
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.parameters import check_integer, describe
from sparsectr.targets.labels import as_labels, label_numbers
from sparsectr.targets.numbers import as_numbers
from sparsectr.training.agreement import (
    MOST_SETS,
    affordable_rows,
    agreement_scores,
    outstanding_sets,
)

Floats = npt.NDArray[np.float64]


def screen_interactions(
    estimator: BaseEstimator, X: TableLike, y: npt.ArrayLike, *, order: int = 2
) -> pd.DataFrame:
    """Test every set of fields for what a fitted model leaves unexplained.

    If rows with equal values in all fields of a set have residuals of the same sign more often
    than chance allows, then the set holds a cross that the model does not have, or not well
    enough: a net that gives a cross a low rank, for instance, cannot know each day of each
    aircraft. Nothing is trained; 45 pairs of 235,000 rows take half a second.

    Parameters
    ----------
    estimator : classifier or regressor
        Fitted; any classifier with ``predict_proba``, and any regressor, will do.
    X : DataFrame or array-like of shape (n_rows, n_fields)
        The columns of the estimator. Its own training rows are the best choice if it has been
        stopped early; a model that knows them by heart leaves nothing to see.
    y : array-like of shape (n_rows,)
        Class labels, of the classes of the classifier; or numbers, of a regressor.
    order : int, default=2
        Number of fields in a set.

    Returns
    -------
    DataFrame
        One row per set, the highest score first: fields (tuple of names), order, score (how often
        residuals agree, beyond what smaller sets explain: the normal deviate that chance would give
        as seldom) and significant (whether the score stands out from those of the other sets; if
        no set held anything, one would with a chance of 5 %). The score is 0 for sets that cannot
        be tested: see the notes.

    Raises
    ------
    ValueError
        If ``order`` is not between 2 and the number of fields, if there are more than a million
        sets, or if y holds other classes than the classifier's.

    See Also
    --------
    InteractionFeatures : Makes columns of crosses.

    Notes
    -----
    What smaller sets explain is first taken out of the residuals by least squares. Scored is the
    sum of ``2 r_i r_j`` over pairs of rows with equal values in all fields of the set. It is
    the score test of random effects of the joint values beside fixed effects of all smaller sets,
    so it does not matter how well the model knows these. The residuals of a regressor are numbers
    minus predictions; they may scatter more in some rows than in others.

    A set is not tested if a field of it is constant or nearly so (fewer than 20 rows have another
    value than the most frequent one), or if fewer than 10 pairs of rows tell its joint values from
    its smaller sets, as with an id that hardly comes twice. Where one class is rare, a row counts
    as the share of a row of that class: of 2,000 rows, of which 1 % are positive, 20 count.

    Joint values are hashed into 262,144 cells, and large problems screened on a part of the rows,
    evenly spaced.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sparsectr import screen_interactions
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(5000, 4, 10, crosses=[(0, 2)], random_state=0)
    >>> clf = DummyClassifier(strategy="prior").fit(clicks.X, clicks.y)
    >>> screen_interactions(clf, clicks.X, clicks.y)["fields"][0]
    ('f0', 'f2')
    """
    continuous = _predicts_numbers(estimator)
    check_is_fitted(estimator)
    table = as_table(X)
    values = (as_numbers if continuous else as_labels)(y, n_rows=table.shape[0])
    known = getattr(estimator, "encoder_", None)
    encoder = known if isinstance(known, FieldEncoder) else FieldEncoder().fit(table)
    names = encoder._field_names()
    check_integer("order", order, 2, len(names))
    if comb(len(names), order) > MOST_SETS:
        raise ValueError(
            f"there must be at most {MOST_SETS:,} sets, got {comb(len(names), order):,} of order "
            f"{order}. Lower order, or leave out columns."
        )
    n_rows = affordable_rows(len(values), len(names), order)
    if n_rows < len(values):
        rows = np.linspace(0, len(values) - 1, n_rows).astype(int)
        table, values = take_rows(table, rows), values[rows]
    find_residuals = _residuals_of_numbers if continuous else _residuals
    scores = agreement_scores(
        # Of unknown values the estimator warns when it predicts.
        torch.from_numpy(
            encoder._encode_fields(encoder._check_table(table, reset=False), warn=False)
        ),
        torch.from_numpy(find_residuals(estimator, table, values)),
        encoder.vocabulary_sizes_[encoder._main_columns].tolist(),
        order,
    )
    standing_out = set(outstanding_sets(scores))
    ranked = sorted(scores, key=lambda fields: (-scores[fields], fields))
    return pd.DataFrame(
        {
            "fields": [tuple(names[f] for f in fields) for fields in ranked],
            "order": order,
            "score": [scores[fields] for fields in ranked],
            "significant": [fields in standing_out for fields in ranked],
        }
    )


def _predicts_numbers(estimator: Any) -> bool:
    """Tell regressors from classifiers; TypeError for anything else."""
    if not isinstance(estimator, type):
        if hasattr(estimator, "predict_proba"):
            return False
        if isinstance(estimator, BaseEstimator) and is_regressor(estimator):
            return True
    raise TypeError(
        "estimator must be a fitted classifier with predict_proba or a fitted regressor, got "
        f"{describe(estimator)}."
    )


def _residuals(clf: BaseEstimator, table: Any, labels: Any) -> Floats:
    """Return target minus probability, (n_rows, 1), or (n_rows, K) for K > 2 classes."""
    numbers = label_numbers(labels, np.asarray(clf.classes_))
    targets = numbers[:, None] == np.arange(len(clf.classes_))
    residuals: Floats = targets - clf.predict_proba(table)
    return residuals[:, 1:] if len(clf.classes_) == 2 else residuals


def _residuals_of_numbers(reg: BaseEstimator, table: Any, numbers: Any) -> Floats:
    """Return number minus prediction, (n_rows, 1), in units of the largest difference."""
    residuals = numbers - np.asarray(reg.predict(table), dtype=np.float64)
    largest = np.abs(residuals).max()
    scaled: Floats = residuals[:, None] / (largest if largest > 0 else 1.0)
    return scaled
