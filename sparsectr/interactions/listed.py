"""Crosses that need no search: all of them, or those that are known."""

import math
from collections.abc import Collection, Set
from itertools import combinations
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from sparsectr.drafts import on_a_draft
from sparsectr.encoding.columns import TableLike, as_table
from sparsectr.encoding.tags import CategoricalInputMixin
from sparsectr.interactions.interaction import Interaction
from sparsectr.parameters import ParameterCheck, describe
from sparsectr.stored_state import StoredStateMixin


class ListedInteractions(StoredStateMixin, CategoricalInputMixin, BaseEstimator):
    """List all crosses of a table's fields, or given ones, without any search.

    For `InteractionFeatures`, in the place of an estimator that discovers crosses: where the fields
    are few, statistics of every pair cost little and may be worth more than a choice of twenty;
    and crosses that somebody knows need no discovery.

    Parameters
    ----------
    interactions : list of collections of str or of Interaction, or None, default=None
        The crosses, each by the names of two or more of its fields, or as an estimator lists them
        in its ``selected_interactions_``. None lists every set of two to
        ``max_order`` fields.
    max_order : int, default=2
        Most fields in a cross if all are listed: n fields have n (n - 1) / 2 pairs.

    Attributes
    ----------
    selected_interactions_ : list of Interaction
        The crosses, with fields in column order: given ones as they were given, all of them by
        order and then by columns. Their strength is NaN, since nothing was measured.
    n_features_in_ : int
        Number of fields.
    feature_names_in_ : ndarray of str, shape (n_fields,)
        Names of the columns, if all are strings. Without them fields are ``x0``, ``x1``, ...

    See Also
    --------
    InteractionFeatures : Makes columns of crosses.
    screen_interactions : Finds crosses that a model has not learnt.

    Examples
    --------
    >>> import pandas as pd
    >>> from sparsectr import ListedInteractions
    >>> X = pd.DataFrame({"month": ["1", "2"], "day": ["1", "1"], "carrier": ["UA", "B6"]})
    >>> [cross.fields for cross in ListedInteractions().fit(X).selected_interactions_]
    [('month', 'day'), ('month', 'carrier'), ('day', 'carrier')]
    """

    selected_interactions_: list[Interaction]

    def __init__(
        self,
        interactions: Collection[Collection[str] | Interaction] | None = None,
        *,
        max_order: int = 2,
    ) -> None:
        self.interactions = interactions
        self.max_order = max_order

    @on_a_draft
    def fit(self, X: TableLike, y: npt.ArrayLike | None = None) -> Self:
        """List the crosses of a table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_fields)
            Only its columns matter.
        y : array-like of shape (n_rows,), default=None
            Ignored.

        Returns
        -------
        ListedInteractions
            Itself.

        Raises
        ------
        ValueError
            If a cross has fewer than two different fields or one that the table has not.
        """
        ParameterCheck(self).integer("max_order", 2)
        crosses = None if self.interactions is None else _as_crosses(self.interactions)
        table = as_table(X)
        validate_data(self, table, skip_check_array=True)
        default = [f"x{j}" for j in range(self.n_features_in_)]
        names = [str(name) for name in getattr(self, "feature_names_in_", default)]
        if crosses is None:
            highest = min(self.max_order, len(names))
            listed = [c for order in range(2, highest + 1) for c in combinations(names, order)]
        else:
            listed = [_in_order(fields, names) for fields in crosses]
        self.selected_interactions_ = [
            Interaction(fields, len(fields), math.nan) for fields in listed
        ]
        return self


def _as_crosses(interactions: Any) -> list[Any]:
    """Return the fields of given crosses, each a collection of strings."""
    if not isinstance(interactions, list | tuple | Set | np.ndarray):
        # An iterator would be empty in a second fit.
        raise ValueError(
            "interactions must be None or a list of crosses, such as [('month', 'day')], got "
            f"{describe(interactions)}."
        )
    crosses = [cross.fields if isinstance(cross, Interaction) else cross for cross in interactions]
    for cross in crosses:
        listed = isinstance(cross, list | tuple | Set | np.ndarray)
        if not (listed and all(isinstance(field, str) for field in cross)):
            raise ValueError(
                "every cross of interactions must be a list of names of fields, such as "
                f"('month', 'day'), got {describe(cross)}."
            )
    return crosses


def _in_order(fields: Collection[str], names: list[str]) -> tuple[str, ...]:
    """Return the fields of a cross in column order."""
    if len(set(fields)) < max(2, len(fields)):
        raise ValueError(
            "every cross of interactions must have two or more different fields, got "
            f"{describe(fields)}."
        )
    if strangers := sorted(set(fields) - set(names)):
        raise ValueError(
            f"X must have the columns {describe(strangers)} of a cross of interactions, it has "
            f"{describe(names)}."
        )
    return tuple(name for name in names if name in fields)
