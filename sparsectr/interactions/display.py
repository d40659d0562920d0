"""Pictures of discovered crosses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sparsectr.interactions.drawing import (
    draw_bars,
    draw_graph,
    draw_matrix,
    draw_stability,
    figure_size,
)
from sparsectr.interactions.field_bars import (
    choose_values,
    draw_field_values,
    draw_fields,
    field_values_size,
    fields_size,
)
from sparsectr.interactions.heat_maps import choose_cells, count_panels, draw_values, heat_map_size
from sparsectr.interactions.waterfall import draw_waterfall, waterfall_size, waterfall_steps
from sparsectr.parameters import check_choice, check_integer, describe

if TYPE_CHECKING:  # matplotlib is optional
    from matplotlib.axes import Axes

# Default number of crosses, or fields, in a picture.
MOST_CROSSES = {"bar": 20, "matrix": 100, "graph": 40, "fields": 30, "stability": 20}
# What their tables have.
COLUMNS: dict[str, list[str]] = {
    "bar": ["fields", "strength", "strength_error"],
    "matrix": ["fields", "strength"],
    "graph": ["fields", "strength"],
    "fields": ["field", "total", "main", "crosses"],
    "stability": ["fields", "frequency", "mean_strength", "strength_std"],
    "values": [],
    "waterfall": ["label", "start", "end"],
}
# Fields of which values are drawn.
MOST_FIELDS = 3
EXPLANATION = ["row", "fields", "values", "contribution"]
DRAW: dict[str, Callable[[Axes, pd.DataFrame], None]] = {
    "bar": draw_bars,
    "matrix": draw_matrix,
    "graph": draw_graph,
    "fields": draw_fields,
    "stability": draw_stability,
    "waterfall": draw_waterfall,
}
SIZES: dict[str, Callable[[pd.DataFrame], tuple[float, float]]] = {
    "fields": fields_size,
    "waterfall": waterfall_size,
}


class InteractionDisplay:
    """Show the fields and the crosses of a fitted estimator.

    Make one with `from_estimator`, `from_values`, `from_explanation` or `from_stability`; the
    constructor takes what they compute. Needs matplotlib, which ``pip install sparsectr[plot]``
    brings.

    Parameters
    ----------
    table : DataFrame
        What to draw: rows of ``interaction_table()``, of ``field_table()``, of
        ``value_effects(fields)`` or of `interaction_stability`; or the columns label, start and
        end of the steps of a waterfall. ``table.attrs["score"]`` says what effects are in, as the
        reports of regressors do; by default log-odds.
    kind : {"bar", "matrix", "graph", "fields", "values", "stability", "waterfall"}, default="bar"
        How to draw it.
    n_values : dict of str to int or None, default=None
        How many values every field has: pictures of values say where they show fewer.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of them
        The axes; of the values of a pair those of effects and of counts, of a triple one for each
        value of the third field.
    figure_ : matplotlib Figure
        The figure that they are in.

    See Also
    --------
    interaction_stability : Fit on several parts of the data and compare the crosses.

    Examples
    --------
    >>> import pandas as pd
    >>> from sparsectr import InteractionDisplay
    >>> table = pd.DataFrame({"fields": [("day", "month"), ("day", "hour")], "order": 2})
    >>> table = table.assign(strength=[0.5, 0.1], strength_error=0.01)
    >>> display = InteractionDisplay(table, kind="bar")
    >>> display.plot().ax_.get_xlabel()
    'strength (log-odds)'
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        kind: str = "bar",
        n_values: Mapping[str, int] | None = None,
    ) -> None:
        self.table = table
        self.kind = kind
        self.n_values = n_values

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        kind: str = "bar",
        n_interactions: int | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the strongest crosses, or fields, of a fitted estimator.

        Parameters
        ----------
        estimator : classifier or regressor of this package
            Fitted.
        kind : {"bar", "matrix", "graph", "fields"}, default="bar"
            Bars with standard errors, pale for crosses without evidence; a field-by-field matrix,
            in which pairs stand above the diagonal, and crosses of higher order below it in the
            cells of all their pairs; fields on a circle, joined by their crosses; or bars of what
            fields do by themselves and in crosses.
        n_interactions : int, optional
            Most crosses, or fields. By default 20 bars, 100 in a matrix, 40 in a graph, 30 fields.
        ax : matplotlib Axes, optional
            Where to draw; a figure of a fitting size is made if there is none.

        Returns
        -------
        InteractionDisplay
            With the drawn axes in ``ax_``.
        """
        check_choice("kind", kind, ["bar", "matrix", "graph", "fields"])
        _check_estimator(estimator)
        if kind == "fields":
            table = estimator.field_table().dropna(subset=["total"])
        else:
            table = estimator.interaction_table().dropna(subset=["strength"])
            table = table[table["strength"] > 0]
        table = _strongest(table, n_interactions, kind)
        return cls(table, kind=kind).plot(ax=ax)

    @classmethod
    def from_values(
        cls,
        estimator: BaseEstimator,
        fields: Sequence[str],
        *,
        n_values: int = 20,
        class_label: object = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw what the values of one to three fields add to the score, and in how many rows.

        One field: a bar per value, numbers and ordered categories in their order, other values by
        their effect. A pair: a heat map of effects and one of counts. A triple: a heat map for each
        of up to four values of the third field. Where a field has more values, those are shown
        whose rows have most of the squared effect, and the picture says how many these are.

        Parameters
        ----------
        estimator : classifier or regressor of this package
            Fitted.
        fields : sequence of str
            Name of a field, or names of the fields of a cross in ``selected_interactions_``: rows,
            columns, panels.
        n_values : int, default=20
            Most values of each field.
        class_label : object, optional
            The class whose log-odds are drawn; the last one by default. Of a regressor None.
        ax : matplotlib Axes or sequence of them, optional
            Where to draw: one for a field, two for the effects and the counts of a pair, as many as
            panels for a triple.

        Returns
        -------
        InteractionDisplay
            With the drawn axes in ``ax_``.
        """
        check_integer("n_values", n_values, 1)
        if (
            not isinstance(fields, Sequence)
            or isinstance(fields, str)
            or not 1 <= len(fields) <= MOST_FIELDS
        ):
            raise ValueError(
                f"fields must be the names of one to three fields, got {describe(fields)}."
            )
        _check_estimator(estimator)
        table = estimator.value_effects(fields, class_label=class_label)
        every = estimator.field_table().set_index("field")["n_values"]
        chosen = (choose_values if len(fields) == 1 else choose_cells)(table, n_values)
        known = {name: int(every[name]) for name in fields}
        display = cls(chosen, kind="values", n_values=known)
        return display.plot(ax=ax)

    @classmethod
    def from_explanation(
        cls,
        explanation: pd.DataFrame,
        *,
        row: int = 0,
        n_entries: int = 10,
        ax: Any = None,
    ) -> Self:
        """Draw how the effects of a row's values add up to its score.

        The first mark is what the model predicts for a row of which no field is known. Every bar
        is the effect of a field or of a cross, the largest first; the crosses that are not listed
        share one. The last bar ends at the score of the row: log-odds, or of a regressor the
        prediction or its logarithm. With two classes, the first and the last score are given as
        probabilities, too. The first mark holds the crosses that are not listed where the
        explanation does not say what no field predicts: that of a `CrossEnsembleClassifier`, or of
        rows that each explain their own class.

        Parameters
        ----------
        explanation : DataFrame
            From ``explain(X, top=None, complete=True)`` of an estimator.
        row : int, default=0
            The position of the row in X.
        n_entries : int, default=10
            Most effects with a bar of their own; the others share one.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        InteractionDisplay
            With the drawn axes in ``ax_``.

        Raises
        ------
        ValueError
            If the explanation has no such row, or was not made with ``complete=True``.
        """
        _require(explanation, EXPLANATION, "explanation")
        check_integer("n_entries", n_entries, 1)
        entries = explanation[explanation["row"] == row]
        if () not in set(entries["fields"]):
            raise ValueError(
                "explanation must come from explain(X, top=None, complete=True) and hold the row "
                f"{row!r}, got rows {describe(sorted(set(explanation['row'])))}."
            )
        steps = waterfall_steps(entries, n_entries)
        return cls(steps, kind="waterfall").plot(ax=ax)

    @classmethod
    def from_stability(
        cls, stability: pd.DataFrame, *, n_interactions: int | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw how strong crosses are over several fits, and how many fits found them.

        Parameters
        ----------
        stability : DataFrame
            From `interaction_stability`.
        n_interactions : int, optional
            Most crosses, by default 20.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        InteractionDisplay
            With the drawn axes in ``ax_``.
        """
        table = _strongest(stability, n_interactions, "stability")
        return cls(table, kind="stability").plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, or several of them for the values of a cross, optional
            Where to draw; a figure of a fitting size is made if there is none.

        Returns
        -------
        InteractionDisplay
            This display, with the axes in ``ax_``.

        Raises
        ------
        ValueError
            If there is nothing to draw, or ``ax`` has another number of axes.
        ImportError
            If matplotlib is not installed.
        """
        check_choice("kind", self.kind, [*DRAW, "values"])
        _check_table(self.table, self.kind)
        if not len(self.table):
            raise ValueError("there are no crosses to draw: the table has no rows.")
        plt = _import_pyplot()
        is_cross = self.kind == "values" and self.table.shape[1] > 3
        n_axes = count_panels(self.table) if is_cross else 1
        if ax is None:
            _, ax = plt.subplots(1, n_axes, figsize=self._size(), layout="constrained")
        if np.size(ax) != n_axes:
            raise ValueError(f"ax must be {n_axes} matplotlib Axes, got {np.size(ax)}.")
        first = np.ravel(ax)[0]
        self.ax_, self.figure_ = np.ravel(ax) if is_cross else first, first.figure
        if is_cross:
            draw_values(list(self.ax_), self.table, self.n_values)
        elif self.kind == "values":
            draw_field_values(self.ax_, self.table, self.n_values)
        else:
            DRAW[self.kind](self.ax_, self.table)
        return self

    def _size(self) -> tuple[float, float]:
        """Return a width and a height, inches, in which everything can be read."""
        if self.kind == "values":
            return (heat_map_size if self.table.shape[1] > 3 else field_values_size)(self.table)
        if self.kind in SIZES:
            return SIZES[self.kind](self.table)
        return figure_size(self.kind, self.table)


def _check_estimator(estimator: BaseEstimator) -> None:
    if not hasattr(estimator, "interaction_table"):
        raise TypeError(
            "estimator must be a fitted one of this package that lists crosses, got "
            f"{describe(estimator)}."
        )


def _check_table(table: Any, kind: str) -> None:
    """Check that a table has what a picture of this kind shows."""
    _require(table, COLUMNS[kind], f"the table of a picture of kind {kind!r}")


def _require(table: Any, needed: list[str], name: str) -> None:
    """Check that a table has some columns."""
    if not isinstance(table, pd.DataFrame) or not {*needed} <= {*table.columns}:
        columns = f" with the columns {[*table.columns]}" if hasattr(table, "columns") else ""
        raise ValueError(
            f"{name} must be a DataFrame with the columns {needed}, got {describe(table)}{columns}."
        )


def _strongest(table: pd.DataFrame, n_interactions: int | None, kind: str) -> pd.DataFrame:
    _check_table(table, kind)
    if n_interactions is None:
        n_interactions = MOST_CROSSES[kind]
    check_integer("n_interactions", n_interactions, 1)
    return table.head(n_interactions)


def _import_pyplot() -> Any:
    """Import matplotlib when a picture is wanted: the package works without it."""
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "InteractionDisplay needs matplotlib: pip install 'sparsectr[plot]'."
        ) from error
    return plt
