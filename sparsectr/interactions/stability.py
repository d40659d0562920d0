"""Find out which crosses a method finds again on other rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from sparsectr.encoding.columns import TableLike, as_table, take_rows
from sparsectr.interactions.interaction import lists_crosses
from sparsectr.parameters import check_integer, describe
from sparsectr.targets.labels import as_labels
from sparsectr.targets.numbers import as_numbers


def interaction_stability(
    estimator: BaseEstimator,
    X: TableLike,
    y: npt.ArrayLike,
    *,
    cv: Any = 5,
    n_interactions: int = 20,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Fit on several parts of the data and compare the crosses that are found.

    The standard error in ``interaction_table()`` tells how well the strength of a cross in *one*
    net is known. Another sample of rows, and another start, gives another net: this is what the
    frequencies and the spread here tell.

    Parameters
    ----------
    estimator : classifier or regressor of this package
        Cloned and fitted once per part. With a fixed ``random_state`` only the rows differ from
        fit to fit; with None also the start.
    X : DataFrame or array-like of shape (n_rows, n_fields)
        One column per field.
    y : array-like of shape (n_rows,)
        Class labels, or numbers where the estimator is a regressor.
    cv : int, splitter or iterable, default=5
        As in `sklearn.model_selection.cross_validate`: the fits use its training rows.
    n_interactions : int, default=20
        A fit has found a cross if it is among its strongest so many.
    n_jobs : int or None, default=None
        Fits that run at the same time; None is one.

    Returns
    -------
    DataFrame
        One row per cross that any fit has found: fields (tuple of names), order, frequency (share
        of the fits that found it), mean_strength and strength_std (over these fits; with one fit
        the latter is 0; ``attrs["score"]`` names their unit). The most frequent come first, among
        them the strongest.

    Raises
    ------
    ValueError
        If ``n_interactions`` is below 1, or if the estimator cannot learn the rows of a part, such
        as rows of a single class; the message says which and why. A TypeError or MemoryError of the
        estimator is passed on in the same way.

    See Also
    --------
    InteractionDisplay.from_stability : A picture of the result.

    Examples
    --------
    >>> from sparsectr import ProfitClassifier, interaction_stability
    >>> from sparsectr.datasets import make_clicks
    >>> clicks = make_clicks(3_000, n_fields=4, cardinality=8, crosses=[(0, 2)], random_state=0)
    >>> clf = ProfitClassifier(n_crosses=1, max_epochs=5, random_state=0)
    >>> table = interaction_stability(clf, clicks.X, clicks.y, cv=3)
    >>> table["fields"][0]
    ('f0', 'f2')
    """
    check_integer("n_interactions", n_interactions, 1)
    if isinstance(estimator, type) or not lists_crosses(estimator):
        raise TypeError(
            "estimator must be one that lists crosses in selected_interactions_, got "
            f"{describe(estimator)}."
        )
    if isinstance(cv, Integral | str):
        cv = check_integer("cv", cv, 2)
    (as_numbers if is_regressor(estimator) else as_labels)(y)
    X = as_table(X)
    parts = list(check_cv(cv, y, classifier=is_classifier(estimator)).split(X, y))
    fits = Parallel(n_jobs=n_jobs)(
        delayed(_fit_part)(estimator, X, y, np.asarray(rows), f"{number} of {len(parts)}")
        for number, (rows, _) in enumerate(parts, 1)
    )
    found = pd.DataFrame(
        [cross for fit in fits for cross in fit.selected_interactions_[:n_interactions]],
        columns=["fields", "order", "strength"],
    )
    table = (
        found.groupby("fields", sort=False)
        .agg(
            order=("order", "first"),
            frequency=("strength", lambda strengths: len(strengths) / len(fits)),
            mean_strength=("strength", "mean"),
            strength_std=("strength", lambda strengths: np.std(strengths.to_numpy())),
        )
        .reset_index()
    )
    table = table.sort_values(
        ["frequency", "mean_strength"], ascending=False, kind="stable", ignore_index=True
    )
    if hasattr(fits[0], "interaction_table"):
        table.attrs.update(fits[0].interaction_table().attrs)
    return table


def _fit_part(
    estimator: BaseEstimator, X: TableLike, y: npt.ArrayLike, rows: Any, number: str
) -> Any:
    """Fit on one part; an error says on which."""
    try:
        return clone(estimator).fit(take_rows(X, rows), _safe_indexing(y, rows))
    except (TypeError, ValueError, MemoryError) as error:
        kind = next(k for k in (TypeError, MemoryError, ValueError) if isinstance(error, k))
        reason = str(error).rstrip(".")
        raise kind(
            f"the estimator must be able to learn the training rows of every part of cv, but it "
            f"cannot learn those of part {number} ({reason}). Pass a cv that mixes rows, such as "
            "StratifiedKFold(shuffle=True), or mend the rows."
        ) from error
